/**
 * The WGSL of the two products in attention's barrier-free forward kernel. An invocation has R rows
 * and a tile of C columns; the R · C scores and weights are in named variables, not in an array.
 *
 * Every load reads a single number, right before its use. So few numbers are live at once, and a
 * CPU's registers have room for most of them. One step of either product, which covers one of the D
 * dimensions, reads R + C numbers and does R · C multiply-adds.
 */
import { unroll } from "../unroll.ts";

/** Options of the kernel. */
export interface AttentionBarrierFreeOptions {
  /** L, invocations per workgroup. */
  readonly lanes: number;
  /** R, rows per invocation. */
  readonly rows: number;
  /** C, columns per tile, a multiple of 4. */
  readonly columns: number;
}

/** The components of a vec4f. */
const COMPONENTS = ["x", "y", "z", "w"] as const;

/**
 * WGSL that computes the inner products of an invocation's query rows with the tile's keys. Its
 * results are `score0_0`, …, each a vec4f for one row and four keys. Row r begins at `place{r}` of
 * `query`, and the tile's key j at `columnPlace{j}` of `key`.
 */
export function scores({ rows: R, columns: C }: AttentionBarrierFreeOptions): string {
  const each = (line: (r: number, j: number) => string) =>
    unroll(C, (j) => unroll(R, (r) => line(r, j)));
  return `
    ${each((r, j) => `var scoreOf${r}_${j} = 0.0;`)}
    for (var d = 0u; d < headDim; d++) {
      ${unroll(R, (r) => `let row${r} = query[place${r} + d];`)}
      ${
    unroll(C, (j) => `
      let column${j} = key[columnPlace${j} + d];
      ${unroll(R, (r) => `scoreOf${r}_${j} = scoreOf${r}_${j} + row${r} * column${j};`)}`)
  }
    }
    ${
    unroll(R, (r) =>
      unroll(C / 4, (g) =>
        `var score${r}_${g} = vec4f(${
          unroll(4, (j) => `scoreOf${r}_${4 * g + j}`, ", ")
        });`))
  }`;
}

/**
 * WGSL of `output = correction · output + Σ_j weight_j value_j` for each row, over the tile's keys.
 *
 * @param seen the WGSL condition under which a row sees a key; by default all rows see all keys
 */
export function weightedSums(
  { rows: R, columns: C }: AttentionBarrierFreeOptions,
  seen?: (row: number, column: number) => string,
): string {
  const term = (r: number, j: number) => {
    const product = `weight${r}_${Math.floor(j / 4)}.${COMPONENTS[j % 4]} * column${j}`;
    return seen === undefined ? product : `select(0.0, ${product}, ${seen(r, j)})`;
  };
  return `
      for (var d = 0u; d < headDim; d++) {
        ${unroll(R, (r) => `var running${r} = correction${r} * output[place${r} + d];`)}
        ${
    unroll(C, (j) => `
        let column${j} = value[columnPlace${j} + d];
        ${unroll(R, (r) => `running${r} += ${term(r, j)};`)}`)
  }
        ${unroll(R, (r) => `output[place${r} + d] = running${r};`)}
      }`;
}
