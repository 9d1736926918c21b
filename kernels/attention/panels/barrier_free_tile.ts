/**
 * The tile of attention backward's panel kernels for adapters that compute on the CPU and have no
 * subgroups or only narrow ones.
 *
 * Every invocation computes R rows of `groups` columns that are `lanes` apart. All invocations of a
 * workgroup read the same element of the left operand and neighboring elements of the right one. So
 * some compilers load once for several invocations: one element from the left operand, a vector
 * from the right one. One statement adds the products of `step` inner indices to an accumulator,
 * because carrying an accumulator around the loop costs more than an addition. The kernels need no
 * barrier and no workgroup memory.
 */
import { unroll } from "../../unroll.ts";

/** Options of a kernel. */
export interface PanelBarrierFreeOptions {
  /** Invocations per workgroup, along the columns. */
  readonly lanes: number;
  /** R, rows per workgroup: a multiple of `step`, and a divisor of K. */
  readonly rows: number;
  /** Columns per invocation. */
  readonly groups: number;
  /** K, keys per panel tile. */
  readonly keys: number;
  /** How many products one statement adds to an accumulator: at most 4. */
  readonly step: number;
}

/** Declares the accumulators `sum{row}_{group}`. */
export function declareSums({ rows, groups }: PanelBarrierFreeOptions): string {
  return unroll(rows, (r) => unroll(groups, (g) => `var sum${r}_${g} = 0.0;`));
}

/** WGSL for the operands of `addProducts` at the inner index k + u. */
export interface PanelOperands {
  readonly left: (row: number, u: number) => string;
  readonly right: (group: number, u: number) => string;
  /**
   * Whether a statement adds its products to the accumulator one after the other. Otherwise it
   * first sums the products, then adds the sum. Default: false.
   */
  readonly chained?: boolean;
}

/** Adds the products of `step` inner indices to the accumulators. */
export function addProducts(
  { rows, groups, step }: PanelBarrierFreeOptions,
  { left, right, chained = false }: PanelOperands,
): string {
  const products = (g: number) => unroll(step, (u) => `left${u} * right${g}_${u}`, " + ");
  const add = (sum: string, g: number) =>
    chained ? `${sum} = ${sum} + ${products(g)};` : `${sum} += ${products(g)};`;
  return `
    ${unroll(step, (u) => unroll(groups, (g) => `let right${g}_${u} = ${right(g, u)};`))}
    ${
    unroll(rows, (r) => `
    {
      ${unroll(step, (u) => `let left${u} = ${left(r, u)};`)}
      ${unroll(groups, (g) => add(`sum${r}_${g}`, g))}
    }`)
  }`;
}

/**
 * Adds the products of one inner index k to the accumulators of the rows that see k. The other rows
 * add nothing, not even a product with zero.
 */
export function addSeen(
  { rows, groups }: PanelBarrierFreeOptions,
  { left, right, seen }: PanelOperands & { readonly seen: (row: number) => string },
): string {
  return `
    ${unroll(groups, (g) => `let right${g} = ${right(g, 0)};`)}
    ${
    unroll(rows, (r) => `
    if (${seen(r)}) {
      let left = ${left(r, 0)};
      ${unroll(groups, (g) => `sum${r}_${g} += left * right${g};`)}
    }`)
  }`;
}
