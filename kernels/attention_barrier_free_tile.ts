/**
 * The products of attention's barrier-free forward kernel: R rows that an invocation owns against a tile of C columns, whose
 * C · R numbers are named variables.
 *
 * All loads are of single numbers and stand right before their use: so few numbers are alive at once that a CPU's registers
 * hold most of them. One step of either product reads R + C numbers and does R · C multiply-adds.
 */
import { unroll } from "./unroll.ts";

/** What a barrier-free kernel of attention is made for. */
export interface AttentionBarrierFreeOptions {
  /** L, invocations of a workgroup. */
  readonly lanes: number;
  /** R, rows of an invocation. */
  readonly rows: number;
  /** C, columns of a tile, a multiple of 4. */
  readonly columns: number;
}

/** The four columns of a vec4f, and the name of one of them. */
const COMPONENTS = ["x", "y", "z", "w"] as const;

/** The inner products of an invocation's rows with the columns of the tile. */
export interface Products {
  /** `sum0_0` …, a vec4f for each row and four columns, are declared with this name. */
  readonly sum: string;
  /** The buffer with the rows, which begin at `place0`, …. */
  readonly rows: string;
  /** The buffer with the columns, which begin at `columnPlace0`, …. */
  readonly columns: string;
}

/** Declares and computes `Products`. */
export function products(
  { rows: R, columns: C }: AttentionBarrierFreeOptions,
  { sum, rows, columns }: Products,
): string {
  const each = (line: (r: number, j: number) => string) =>
    unroll(C, (j) => unroll(R, (r) => line(r, j)));
  return `
    ${each((r, j) => `var ${sum}Of${r}_${j} = 0.0;`)}
    for (var d = 0u; d < headDim; d++) {
      ${unroll(R, (r) => `let row${r} = ${rows}[place${r} + d];`)}
      ${
    unroll(C, (j) => `
      let column${j} = ${columns}[columnPlace${j} + d];
      ${unroll(R, (r) => `${sum}Of${r}_${j} = ${sum}Of${r}_${j} + row${r} * column${j};`)}`)
  }
    }
    ${
    unroll(R, (r) =>
      unroll(C / 4, (g) =>
        `var ${sum}${r}_${g} = vec4f(${
          unroll(4, (j) =>
            `${sum}Of${r}_${4 * g + j}`, ", ")
        });`))
  }`;
}

/** `total = correction · total + Σ_j weight_j column_j`, row by row, over the columns of the tile. */
export interface WeightedSums {
  /** The buffer that the rows' sums are kept in. */
  readonly total: string;
  /** What each row's sum is multiplied with before; nothing if not given. */
  readonly correction?: (row: number) => string;
  /** The weights: `weight0_0` …, a vec4f for each row and four columns. */
  readonly weight: string;
  /** The buffer with the columns, which begin at `columnPlace0`, …. */
  readonly columns: string;
  /** Whether a row sees a column; all see all if not given. */
  readonly seen?: (row: number, column: number) => string;
}

/** Computes `WeightedSums`. */
export function weightedSums(
  { rows: R, columns: C }: AttentionBarrierFreeOptions,
  { total, correction, weight, columns, seen }: WeightedSums,
): string {
  const term = (r: number, j: number) => {
    const product = `${weight}${r}_${Math.floor(j / 4)}.${COMPONENTS[j % 4]} * column${j}`;
    return seen === undefined ? product : `select(0.0, ${product}, ${seen(r, j)})`;
  };
  return `
      for (var d = 0u; d < headDim; d++) {
        ${
    unroll(R, (r) => {
      const factor = correction === undefined ? "" : `${correction(r)} * `;
      return `var running${r} = ${factor}${total}[place${r} + d];`;
    })
  }
        ${
    unroll(C, (j) => `
        let column${j} = ${columns}[columnPlace${j} + d];
        ${unroll(R, (r) => `running${r} += ${term(r, j)};`)}`)
  }
        ${unroll(R, (r) => `${total}[place${r} + d] = running${r};`)}
      }`;
}
