/** How the subgroup kernel of the matrix product reads its operands: each of three ways, for either side. */
import { unroll } from "./unroll.ts";

/**
 * How an operand is read. `along-inner`: four k at a time, of a matrix that is contiguous along K; `along-outer`: four
 * rows of left or columns of right at a time, of one that is contiguous that way; `scalar`: number by number, however
 * it lies. The first two make the operand's alias a vec4f and want whole vec4f: K, or the other length, is a
 * multiple of four.
 */
export type MatmulLoad = "along-inner" | "along-outer" | "scalar";

/** k of a step: a vec4f. */
export const STEP = 4;
export const COMPONENTS = ["x", "y", "z", "w"];

/** The part of the tile that a side's loads depend on. */
interface Tile {
  /** S */
  readonly subgroupSize: number;
  /** Rows of a tile. */
  readonly rows: number;
  /** Columns of a lane. */
  readonly width: number;
}

/** The loads of the left operand: where each lane reads, what it reads for `step` k from k on, and who holds a number. */
export interface LeftLoads {
  readonly setup: string;
  readonly loads: (step: number) => string;
  /** The number of row i at k + u, broadcast. */
  readonly number: (i: number, u: number, step: number) => string;
}

/** The loads of the right operand: r0_u, r1_u, … are a lane's groups of columns at k + u. */
export interface RightLoads {
  readonly setup: string;
  readonly loads: (step: number) => string;
}

// Lane l reads row l, l + S, … of the tile.
function leftRows({ subgroupSize: S, rows }: Tile): string {
  return unroll(
    Math.ceil(rows / S),
    (j) =>
      `  let leftRow${j} = leftStart + min(tile.row + ${
        j * S
      }u + lane, parameters.rows - 1u) * parameters.leftRow;`,
  );
}

function leftAlongInner(tile: Tile): LeftLoads {
  const { subgroupSize: S, rows } = tile;
  return {
    setup: leftRows(tile),
    loads: () =>
      unroll(Math.ceil(rows / S), (j) => `    let l${j} = left[leftRow${j} + k / ${STEP}u];`),
    number: (i, u) => `subgroupBroadcast(l${Math.floor(i / S)}.${COMPONENTS[u]}, ${i % S}u)`,
  };
}

function leftScalar(tile: Tile): LeftLoads {
  const { subgroupSize: S, rows } = tile;
  return {
    setup: leftRows(tile),
    loads: (step) =>
      unroll(
        Math.ceil(rows / S),
        (j) =>
          unroll(
            step,
            (u) => `    let l${j}_${u} = left[leftRow${j} + (k + ${u}u) * parameters.leftInner];`,
          ),
      ),
    number: (i, u) => `subgroupBroadcast(l${Math.floor(i / S)}_${u}, ${i % S}u)`,
  };
}

// The vec4f of four rows at one k, counted through the rows and then the k, are dealt to the lanes in turn.
function leftAlongOuter({ subgroupSize: S, rows }: Tile): LeftLoads {
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
    number(i, u) {
      const vector = u * quads + Math.floor(i / 4);
      return `subgroupBroadcast(l${Math.floor(vector / S)}.${COMPONENTS[i % 4]}, ${vector % S}u)`;
    },
  };
}

/** Left's loads. */
export function leftLoads(load: MatmulLoad, tile: Tile): LeftLoads {
  if (load === "scalar") return leftScalar(tile);
  return load === "along-inner" ? leftAlongInner(tile) : leftAlongOuter(tile);
}

// Columns are those of the names column0, column1, … that the kernel declares.
function rightStarts(width: number): string {
  return unroll(
    width,
    (c) =>
      `  let rightColumn${c} = rightStart + min(column${c}, parameters.columns - 1u) * parameters.rightColumn;`,
  );
}

// What a lane's columns hold at k + u, as groups of four where there are four.
function groups(width: number, step: number, number: (c: number, u: number) => string): string {
  const size = groupSize(width);
  return unroll(width / size, (v) =>
    unroll(step, (u) => {
      const numbers = unroll(size, (c) => number(size * v + c, u), ", ");
      return `    let r${v}_${u} = ${size === 1 ? numbers : `vec${size}f(${numbers})`};`;
    }));
}

/** Columns that a lane adds up as one vector. */
export function groupSize(width: number): 1 | 4 {
  return width % 4 === 0 ? 4 : 1;
}

function rightAlongInner({ width }: Tile): RightLoads {
  return {
    setup: rightStarts(width),
    loads: (step) =>
      unroll(width, (c) => `    let number${c} = right[rightColumn${c} + k / ${STEP}u];`) + "\n" +
      groups(width, step, (c, u) => `number${c}.${COMPONENTS[u]}`),
  };
}

function rightScalar({ width }: Tile): RightLoads {
  return {
    setup: rightStarts(width),
    loads: (step) =>
      groups(
        width,
        step,
        (c, u) => `right[rightColumn${c} + (k + ${u}u) * parameters.rightInner]`,
      ),
  };
}

function rightAlongOuter({ width }: Tile): RightLoads {
  return {
    setup: unroll(
      width / 4,
      (v) => `  let rightQuad${v} = rightStart + column${4 * v} / 4u;`,
    ),
    loads: (step) =>
      unroll(
        step,
        (u) =>
          unroll(
            width / 4,
            (v) =>
              `    let r${v}_${u} = right[rightQuad${v} + (k + ${u}u) * parameters.rightInner];`,
          ),
      ),
  };
}

/** Right's loads. */
export function rightLoads(load: MatmulLoad, tile: Tile): RightLoads {
  if (load === "scalar") return rightScalar(tile);
  return load === "along-inner" ? rightAlongInner(tile) : rightAlongOuter(tile);
}
