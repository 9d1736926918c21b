/**
 * The tile of attention backward's panel kernels for adapters that compute on the CPU and have
 * subgroups of 8 lanes.
 *
 * One subgroup is a workgroup and computes 32 × 32 numbers: one vec4f of each of 32 rows per lane.
 * Each number of the left operand is loaded by one lane and broadcast from there. The inner length
 * goes in steps of four, whose products are added to an accumulator in one statement, because
 * carrying an accumulator around the loop costs more than adding to it. No barrier, no workgroup
 * memory.
 */
import type { PanelTile } from "./panel.ts";
import { unroll } from "../../unroll.ts";

/** Lanes of a subgroup. */
export const PANEL_LANES = 8;

/** Rows, and columns, of a tile. */
const SIDE = 32;

/** The tile, for `panelHeader`. */
export const SUBGROUP_PANEL: PanelTile = { rows: SIDE, keys: SIDE };

/** Columns of a gradient that a workgroup computes. */
export const SUBGROUP_COLUMNS = SIDE;

/** vec4f of a panel's row. */
export const PANEL_VECTORS = SIDE / 4;

const COMPONENTS = ["x", "y", "z", "w"] as const;

/** One line for each row of a tile. */
export function eachRow(line: (row: number) => string, separator = "\n"): string {
  return unroll(SIDE, line, separator);
}

/** The loads of the left operand that the lanes share. */
export interface LeftLoads {
  /** Declares `left0` … `left3`, vec4f. */
  readonly loads: string;
  /** The number of a row at the inner index k + u, broadcast. */
  readonly number: (row: number, u: number) => string;
}

/**
 * Left rows that are contiguous along the inner length: lane l reads rows l, l + 8, …, at the vec4f
 * `index`.
 */
export function leftAlongInner(buffer: string, index: (group: number) => string): LeftLoads {
  return {
    loads: unroll(4, (j) => `let left${j} = ${buffer}[${index(j)}];`),
    number: (row, u) =>
      `subgroupBroadcast(left${row >> 3}.${COMPONENTS[u]}, ${row % PANEL_LANES}u)`,
  };
}

/**
 * Left rows that are contiguous across: lane l reads rows 4 l to 4 l + 3 of the inner index k + u,
 * at the vec4f `index`.
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
 * @param name the accumulators' name
 * @param left the left operand's numbers
 * @param seen whether a row sees the inner index k + u; what it does not see is never multiplied
 *   in. All see all if not given
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
