/**
 * How the subgroup kernel of the matrix product reads its operands. `MatmulLoad` names three ways;
 * each operand is read in one of them.
 */
import { unroll } from "../unroll.ts";
import { blockLoads } from "./subgroup_images.ts";
import {
  COMPONENTS,
  groups,
  type LeftLoads,
  type MatmulLoad,
  place,
  type RightLoads,
  STEP,
  type Tile,
  vectorAt,
} from "./subgroup_tile.ts";

/**
 * How many of a tile's last rows all lanes load together, four k at a time, if left is read as
 * `scalar`. These are the rows beyond a multiple of S. The number is 0 if this would save no loads.
 */
export function dealtRows({ subgroupSize: S, rows }: Pick<Tile, "subgroupSize" | "rows">): number {
  const beyond = rows % S;
  return Math.ceil(STEP * beyond / S) < STEP ? beyond : 0;
}

// Lane l reads rows l, l + S, … of the tile. In place of rows past the end of the tile or of the
// operand, it reads the last row again.
function leftRows({ subgroupSize: S, rows }: Tile): string {
  return unroll(Math.ceil(rows / S), (j) => {
    const row = `${j * S}u + lane`;
    const inTile = (j + 1) * S <= rows ? row : `min(${row}, ${rows - 1}u)`;
    return `  let rowOfLane${j} = min(tile.row + ${inTile}, parameters.rows - 1u);
  let leftRow${j} = leftStart + rowOfLane${j} * parameters.leftRow;`;
  });
}

function leftAlongInner(tile: Tile): LeftLoads {
  const { subgroupSize: S, rows } = tile;
  return {
    setup: leftRows(tile),
    loads: () =>
      unroll(Math.ceil(rows / S), (j) => {
        const index = `leftRow${j} + k / ${STEP}u`;
        return `    let l${j} = ${vectorAt("left", tile.leftImage, index)};`;
      }),
    number: (i, u) => place("l", tile, i, `.${COMPONENTS[u]}`),
    held: rows,
    own: (j, u) => `l${j}.${COMPONENTS[u]}`,
  };
}

function leftScalar(tile: Tile): LeftLoads {
  const { subgroupSize: S, rows } = tile;
  const dealt = dealtRows(tile);
  const held = rows - dealt;
  const deals = Math.ceil(STEP * dealt / S);
  return {
    setup: leftRows({ ...tile, rows: held }) + unroll(deals, (j) => `
  let dealt${j} = ${j * S}u + lane;
  let dealtRow${j} = leftStart + parameters.leftRow *
    min(tile.row + min(${held}u + dealt${j} / ${STEP}u, ${rows - 1}u), parameters.rows - 1u);`, ""),
    loads: (step) =>
      unroll(
        Math.ceil(held / S),
        (j) =>
          unroll(
            step,
            (u) => `    let l${j}_${u} = left[leftRow${j} + (k + ${u}u) * parameters.leftInner];`,
          ),
      ) + unroll(deals, (j) => `
    let d${j} = left[dealtRow${j} + (k + min(dealt${j} % ${STEP}u, ${
        step - 1
      }u)) * parameters.leftInner];`, ""),
    number: (i, u) =>
      i < held ? place("l", tile, i, `_${u}`) : place("d", tile, STEP * (i - held) + u),
    held,
    own: (j, u) => `l${j}_${u}`,
  };
}

// A vec4f holds four rows at one k. Vectors are numbered along the rows at one k, then along those
// at the next k. Lane l loads vectors l, l + S, ….
function leftAlongOuter(tile: Tile): LeftLoads {
  const { subgroupSize: S, rows } = tile;
  const quads = rows / 4;
  const count = Math.ceil(STEP * quads / S);
  return {
    setup: unroll(count, (j) =>
      `  let vector${j} = ${j * S}u + lane;
  let leftQuad${j} = leftStart + min(tile.row / 4u + vector${j} % ${quads}u, (parameters.rows + 3u) / 4u - 1u);
  let leftK${j} = vector${j} / ${quads}u;`),
    loads: (step) =>
      unroll(Math.ceil(step * quads / S), (j) => {
        const index = `leftQuad${j} + (k + min(leftK${j}, ${step - 1}u)) * parameters.leftInner`;
        return `    let l${j} = ${vectorAt("left", tile.leftImage, index)};`;
      }),
    number: (i, u) => place("l", tile, u * quads + Math.floor(i / 4), `.${COMPONENTS[i % 4]}`),
    held: 0,
    own: () => {
      throw new RangeError("lanes hold no whole rows of a left operand that is read along them");
    },
  };
}

/** Left's loads. */
export function leftLoads(load: MatmulLoad, tile: Tile): LeftLoads {
  if (load === "scalar") return leftScalar(tile);
  return load === "along-inner" ? leftAlongInner(tile) : leftAlongOuter(tile);
}

// Declares the index in right at which each of a lane's columns starts: rightColumn0 for the
// kernel's column0, and so on.
function rightStarts(width: number): string {
  return unroll(
    width,
    (c) =>
      `  let rightColumn${c} = rightStart + min(column${c}, parameters.columns - 1u) * parameters.rightColumn;`,
  );
}

// Declares the index in right at which an extra column starts.
function extraStart(name: string, { subgroupSize: S, width }: Tile, column: string): string {
  return `
  let ${name} = rightStart +
    min(tile.column + ${
    S * width
  }u + ${column}, parameters.columns - 1u) * parameters.rightColumn;`;
}

// Lane e reads extra column e.
function rightAlongInner(tile: Tile): RightLoads {
  const { width, extra } = tile;
  return {
    setup: rightStarts(width) + (extra === 0 ? "" : extraStart("extraColumn", tile, "lane")),
    loads: (step) =>
      unroll(width, (c) => {
        const index = `rightColumn${c} + k / ${STEP}u`;
        return `    let number${c} = ${vectorAt("right", tile.rightImage, index)};`;
      }) + "\n" +
      groups(tile, step, (c, u) => `number${c}.${COMPONENTS[u]}`) +
      (extra === 0 ? "" : `\n    let extra = right[extraColumn + k / ${STEP}u];`),
    extra: (e, u) => `subgroupBroadcast(extra.${COMPONENTS[u]}, ${e}u)`,
  };
}

// The lanes share the loads of the extra columns: four numbers of each column per step.
function rightScalar(tile: Tile): RightLoads {
  const { subgroupSize: S, width, extra } = tile;
  const deals = Math.ceil(STEP * extra / S);
  return {
    setup: rightStarts(width) + unroll(
      deals,
      (j) => `
  let extra${j} = ${j * S}u + lane;${extraStart(`extraColumn${j}`, tile, `extra${j} / ${STEP}u`)}`,
      "",
    ),
    loads: (step) =>
      groups(
        tile,
        step,
        (c, u) => `right[rightColumn${c} + (k + ${u}u) * parameters.rightInner]`,
      ) + unroll(deals, (j) => `
    let e${j} = right[extraColumn${j} + (k + min(extra${j} % ${STEP}u, ${
        step - 1
      }u)) * parameters.rightInner];`, ""),
    extra: (e, u) => place("e", tile, STEP * e + u),
  };
}

// Lane u reads the vec4f of the extra columns at k + u.
function rightAlongOuter(tile: Tile): RightLoads {
  const { subgroupSize: S, width, extra, rightImage } = tile;
  return {
    setup: unroll(
      width / 4,
      (v) => `  let rightQuad${v} = rightStart + column${4 * v} / 4u;`,
    ) + (extra === 0 ? "" : `
  let extraQuad = rightStart + min(tile.column + ${S * width}u, parameters.columns - 1u) / 4u;`),
    loads: (step) =>
      unroll(
        step,
        (u) =>
          unroll(
            width / 4,
            (v) => {
              const index = `rightQuad${v} + (k + ${u}u) * parameters.rightInner`;
              return `    let r${v}_${u} = ${vectorAt("right", rightImage, index)};`;
            },
          ),
      ) + (extra === 0 ? "" : `
    let extra = right[extraQuad + (k + min(lane, ${step - 1}u)) * parameters.rightInner];`),
    extra: (e, u) => `subgroupBroadcast(extra.${COMPONENTS[e]}, ${u}u)`,
  };
}

/** Right's loads. */
export function rightLoads(load: MatmulLoad, tile: Tile): RightLoads {
  if (load === "scalar") return rightScalar(tile);
  if (tile.rightImage?.blocks) return blockLoads(load, tile);
  return load === "along-inner" ? rightAlongInner(tile) : rightAlongOuter(tile);
}
