/**
 * The tile of attention backward's panel kernels for adapters that compute on the CPU and have
 * subgroups of 8 lanes.
 *
 * A workgroup is one subgroup and computes 32 × 32 numbers: each lane computes one vec4f in every
 * row. Each number of the left operand is loaded by a single lane, which broadcasts it. The kernel
 * walks along the inner length in steps of four. One statement adds a step's four products to an
 * accumulator, because carrying an accumulator around the loop costs more than an addition. The
 * kernels need no barrier and no workgroup memory.
 */
import type { PanelTile } from "./panel.ts";
import { unroll } from "../../unroll.ts";

/** Lanes of a subgroup. */
export const PANEL_LANES = 8;

/** The rows and the columns of a tile. */
const SIDE = 32;

/** The tile, for `panelHeader`. */
export const SUBGROUP_PANEL: PanelTile = { rows: SIDE, keys: SIDE };

/** Columns of a gradient per workgroup. */
export const SUBGROUP_COLUMNS = SIDE;

/** The number of vec4f in a panel's row. */
export const PANEL_VECTORS = SIDE / 4;

const COMPONENTS = ["x", "y", "z", "w"] as const;

export function eachRow(line: (row: number) => string, separator = "\n"): string {
  return unroll(SIDE, line, separator);
}

/** WGSL that loads the left operand and shares its numbers among the lanes. */
export interface LeftLoads {
  /** Declares the vec4f variables `left0` … `left3`. */
  readonly loads: string;
  /** The number of row `row` at the inner index k + u, broadcast to all lanes. */
  readonly number: (row: number, u: number) => string;
}

/**
 * Loads rows of the left operand that are contiguous along the inner length. Lane l reads one vec4f
 * of each of the rows l, l + 8, …; `index(j)` is where that of row l + 8 j lies in the buffer.
 */
export function leftAlongInner(buffer: string, index: (group: number) => string): LeftLoads {
  return {
    loads: unroll(4, (j) => `let left${j} = ${buffer}[${index(j)}];`),
    number: (row, u) =>
      `subgroupBroadcast(left${row >> 3}.${COMPONENTS[u]}, ${row % PANEL_LANES}u)`,
  };
}

/**
 * Loads rows of the left operand from memory where the numbers of all rows at one inner index are
 * contiguous. At the inner index k + u, lane l reads rows 4 l to 4 l + 3 as one vec4f, which lies
 * at `index(u)` in the buffer.
 */
export function leftAcross(buffer: string, index: (u: number) => string): LeftLoads {
  return {
    loads: unroll(4, (u) => `let left${u} = ${buffer}[${index(u)}];`),
    number: (row, u) => `subgroupBroadcast(left${u}.${COMPONENTS[row % 4]}, ${row >> 2}u)`,
  };
}

/**
 * Adds a step's products, `left × right0 … right3`, to the accumulators `name0`, ….
 *
 * @param seen whether a row sees the inner index k + u; if not, that product is not added. By
 *   default every row sees every index
 */
export function addProducts(
  name: string,
  { number }: LeftLoads,
  seen?: (row: number, u: number) => string,
): string {
  return eachRow((r) => {
    const term = (u: number) => {
      const product = `${number(r, u)} * right${u}`;
      return seen === undefined ? product : `select(vec4f(0.0), ${product}, ${seen(r, u)})`;
    };
    return `      ${name}${r} += ${unroll(4, term, " + ")};`;
  });
}
