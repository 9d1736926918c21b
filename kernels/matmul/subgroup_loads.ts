/**
 * How the subgroup kernel of the matrix product reads its operands, in three ways for either side.
 */
import { unroll } from "../unroll.ts";

/**
 * How an operand is read. `along-inner`: four k at a time, from a matrix contiguous along K.
 * `along-outer`: four rows of left or columns of right at a time, from a matrix contiguous in that
 * direction. `scalar`: number by number, in any order. The first two make the operand's alias a
 * vec4f, so K, or the other length, must be a multiple of four.
 */
export type MatmulLoad = "along-inner" | "along-outer" | "scalar";

/** The number of k in a step, as many as a vec4f holds. */
export const STEP = 4;
export const COMPONENTS = ["x", "y", "z", "w"];

/** The properties of a tile that loads depend on. */
interface Tile {
  /** S */
  readonly subgroupSize: number;
  /** Rows of a tile. */
  readonly rows: number;
  /** Columns of a lane. */
  readonly width: number;
  /** Whether a lane's columns are neighbors in groups of four, if `width` allows groups. */
  readonly grouped: boolean;
  /** Columns of a tile in addition to those of its lanes. */
  readonly extra: number;
  /** Whether right is an image, which is not read as `scalar` and has no extra columns. */
  readonly rightImage: boolean;
}

/**
 * WGSL that loads the left operand: the places that each lane reads, its loads of `step` k from k
 * on, and the numbers that they give.
 */
export interface LeftLoads {
  readonly setup: string;
  readonly loads: (step: number) => string;
  /** Left's number in row i at k + u, broadcast. */
  readonly number: (i: number, u: number) => string;
  /** How many of the tile's first rows are held by single lanes: row i by lane i modulo S. */
  readonly held: number;
  /** The number at k + u of the lane's own row, l + S j. */
  readonly own: (j: number, u: number) => string;
}

/** The loads of the right operand: r0_u, r1_u, … are the groups of a lane's columns at k + u. */
export interface RightLoads {
  readonly setup: string;
  readonly loads: (step: number) => string;
  /** The number of extra column e at k + u, broadcast. */
  readonly extra: (e: number, u: number) => string;
}

/**
 * How many of a tile's last rows are spread over all lanes, if left is read as `scalar`: those
 * beyond whole groups of S rows, with four k of each. It is 0 if spreading would save no loads.
 */
export function dealtRows({ subgroupSize: S, rows }: Pick<Tile, "subgroupSize" | "rows">): number {
  const beyond = rows % S;
  return Math.ceil(STEP * beyond / S) < STEP ? beyond : 0;
}

function place(name: string, { subgroupSize: S }: Tile, index: number, component = ""): string {
  return `subgroupBroadcast(${name}${Math.floor(index / S)}${component}, ${index % S}u)`;
}

// Lane l reads rows l, l + S, … of the tile, and the last row again past the end.
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
      unroll(Math.ceil(rows / S), (j) => `    let l${j} = left[leftRow${j} + k / ${STEP}u];`),
    number: (i, u) => place("l", tile, i, `.${COMPONENTS[u]}`),
    held: rows,
    own: (j, u) => `l${j}.${COMPONENTS[u]}`,
  };
}

// The rows beyond whole groups of S are spread over all lanes, with four k of each row, if that
// takes fewer loads.
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

// The vec4f of four rows at one k are spread over the lanes in turn, first along the rows, then
// along k.
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
      unroll(
        Math.ceil(step * quads / S),
        (j) =>
          `    let l${j} = left[leftQuad${j} + (k + min(leftK${j}, ${
            step - 1
          }u)) * parameters.leftInner];`,
      ),
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

// Uses the names column0, column1, … that the kernel declares.
function rightStarts(width: number): string {
  return unroll(
    width,
    (c) =>
      `  let rightColumn${c} = rightStart + min(column${c}, parameters.columns - 1u) * parameters.rightColumn;`,
  );
}

// The index of an extra column's start in right.
function extraStart(name: string, { subgroupSize: S, width }: Tile, column: string): string {
  return `
  let ${name} = rightStart +
    min(tile.column + ${
    S * width
  }u + ${column}, parameters.columns - 1u) * parameters.rightColumn;`;
}

// Declares the numbers of a lane's columns at k + u, in groups of four if possible.
function groups(tile: Tile, step: number, number: (c: number, u: number) => string): string {
  const { width } = tile;
  const size = groupSize(tile);
  return unroll(width / size, (v) =>
    unroll(step, (u) => {
      const numbers = unroll(size, (c) => number(size * v + c, u), ", ");
      return `    let r${v}_${u} = ${size === 1 ? numbers : `vec${size}f(${numbers})`};`;
    }));
}

/** How many columns a lane sums as one vector. */
export function groupSize({ width, grouped }: Pick<Tile, "width" | "grouped">): 1 | 4 {
  return grouped && width % 4 === 0 ? 4 : 1;
}

// The texels in a row of an image's layer, which hold 64 columns.
const IMAGE_WIDTH = 16;

function imageAlongInner(tile: Tile): RightLoads {
  const { width } = tile;
  return {
    setup: unroll(
      width,
      (c) => `  let rightRow${c} = min(column${c}, parameters.columns - 1u);`,
    ),
    loads: (step) =>
      `    let texel = k / ${STEP}u;\n` +
      unroll(
        width,
        (c) =>
          `    let number${c} = textureLoad(right, vec2u(texel % ${IMAGE_WIDTH}u, rightRow${c}), texel / ${IMAGE_WIDTH}u);`,
      ) + "\n" + groups(tile, step, (c, u) => `number${c}.${COMPONENTS[u]}`),
    extra: noExtra,
  };
}

function imageAlongOuter({ width }: Tile): RightLoads {
  return {
    setup: unroll(width / 4, (v) =>
      `  let rightQuad${v} = column${4 * v} / 4u;
  let rightPlace${v} = rightQuad${v} % ${IMAGE_WIDTH}u;
  let rightLayer${v} = rightQuad${v} / ${IMAGE_WIDTH}u;`),
    loads: (step) =>
      unroll(step, (u) =>
        unroll(
          width / 4,
          (v) =>
            `    let r${v}_${u} = textureLoad(right, vec2u(rightPlace${v}, k + ${u}u), rightLayer${v});`,
        )),
    extra: noExtra,
  };
}

function noExtra(): never {
  throw new RangeError("a right operand that is an image has no extra columns");
}

// Lane e reads extra column e.
function rightAlongInner(tile: Tile): RightLoads {
  const { width, extra } = tile;
  return {
    setup: rightStarts(width) + (extra === 0 ? "" : extraStart("extraColumn", tile, "lane")),
    loads: (step) =>
      unroll(width, (c) => `    let number${c} = right[rightColumn${c} + k / ${STEP}u];`) + "\n" +
      groups(tile, step, (c, u) => `number${c}.${COMPONENTS[u]}`) +
      (extra === 0 ? "" : `\n    let extra = right[extraColumn + k / ${STEP}u];`),
    extra: (e, u) => `subgroupBroadcast(extra.${COMPONENTS[u]}, ${e}u)`,
  };
}

// The extra columns' numbers at four k are spread over the lanes.
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
function rightAlongOuter({ subgroupSize: S, width, extra }: Tile): RightLoads {
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
            (v) =>
              `    let r${v}_${u} = right[rightQuad${v} + (k + ${u}u) * parameters.rightInner];`,
          ),
      ) + (extra === 0 ? "" : `
    let extra = right[extraQuad + (k + min(lane, ${step - 1}u)) * parameters.rightInner];`),
    extra: (e, u) => `subgroupBroadcast(extra.${COMPONENTS[e]}, ${u}u)`,
  };
}

/** Right's loads. */
export function rightLoads(load: MatmulLoad, tile: Tile): RightLoads {
  if (load === "scalar") return rightScalar(tile);
  if (tile.rightImage) {
    return load === "along-inner" ? imageAlongInner(tile) : imageAlongOuter(tile);
  }
  return load === "along-inner" ? rightAlongInner(tile) : rightAlongOuter(tile);
}
