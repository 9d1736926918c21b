/**
 * Matrix product for adapters that compute on the CPU and have no subgroups, or subgroups of
 * several sizes. Needs matmul/operands.wgsl in front, which defines the product.
 *
 * Every invocation computes a part of the product, as large as its registers can hold, because on
 * such adapters a load costs as much as dozens of multiply-adds, and a barrier even more. The
 * invocations of a workgroup own the same `rows` rows and neighboring columns; an invocation's
 * columns are `lanes` apart. All invocations read the same element of left and neighboring elements
 * of right. So some compilers load once for several invocations: one element from left, a vector
 * from right. One statement adds the products of `step` k to an accumulator, because carrying an
 * accumulator around the loop costs more than an addition. The kernel needs no barrier and no
 * workgroup memory.
 *
 * Rows and columns past the end read the last ones and, with `guarded`, are not written. Without
 * `guarded` no row or column is past the end, and the stores need no condition. A condition would
 * triple the compile time.
 */
import { unroll } from "../unroll.ts";

/** Options of the kernel. */
export interface MatmulBarrierFreeOptions {
  /** Invocations per workgroup, along the columns. */
  readonly lanes: number;
  /** Rows per tile. */
  readonly rows: number;
  /** Columns per invocation, `lanes` apart. */
  readonly groups: number;
  /** For how many k one statement adds the products to an accumulator. */
  readonly step: number;
  /** Whether K is not a multiple of `step`. */
  readonly remainder: boolean;
  /** Whether a tile may extend past the last row or column, or a workgroup may have no tile. */
  readonly guarded: boolean;
}

// Adds the products of k, k + 1, … k + step - 1 to every accumulator.
function accumulate({ rows, groups }: MatmulBarrierFreeOptions, step: number): string {
  const loads = unroll(
    step,
    (u) =>
      unroll(
        groups,
        (g) => `    let r${g}_${u} = right[rightColumn${g} + (k + ${u}u) * parameters.rightInner];`,
      ),
  );
  const row = (i: number) => {
    const numbers = unroll(
      step,
      (u) => `      let x${u} = left[leftRow${i} + (k + ${u}u) * parameters.leftInner];`,
    );
    const sums = unroll(
      groups,
      (g) => `      p${i}_${g} = p${i}_${g}${unroll(step, (u) => ` + x${u} * r${g}_${u}`, "")};`,
    );
    return `    {\n${numbers}\n${sums}\n    }`;
  };
  return `${loads}\n${unroll(rows, row)}`;
}

/**
 * Writes the kernel.
 *
 * Dispatch: as many workgroups as the product has tiles of `rows` × (`lanes` · `groups`) numbers,
 * spread over x and y.
 */
export function matmulBarrierFree(options: MatmulBarrierFreeOptions): string {
  const { lanes, rows, groups, step, remainder, guarded } = options;
  const store = (i: number) => {
    const stores = unroll(groups, (g) => {
      const at = `${g * lanes}u`;
      const write = `product[place + ${i}u * parameters.columns + ${at}] = p${i}_${g};`;
      return guarded ? `    if (column + ${at} < parameters.columns) { ${write} }` : `  ${write}`;
    });
    return guarded ? `  if (tile.row + ${i}u < rowsToWrite) {\n${stores}\n  }` : stores;
  };
  const rest = `  for (var k = whole; k < parameters.inner; k++) {\n${accumulate(options, 1)}\n  }`;
  return `
@compute @workgroup_size(${lanes})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let tile = tileOf(workgroup, workgroups, vec2u(${rows}u, ${lanes * groups}u));
  let batch = ${guarded ? "min(tile.batch, parameters.batches - 1u)" : "tile.batch"};
  let column = tile.column + lane.x;
${
    unroll(rows, (i) =>
      `  let leftRow${i} = batch * parameters.leftBatch + min(tile.row + ${i}u, parameters.rows - 1u) * parameters.leftRow;`)
  }
${
    unroll(groups, (g) =>
      `  let rightColumn${g} = batch * parameters.rightBatch
    + min(column + ${g * lanes}u, parameters.columns - 1u) * parameters.rightColumn;`)
  }
${unroll(rows, (i) => unroll(groups, (g) => `  var p${i}_${g} = 0.0;`))}
  let whole = parameters.inner${remainder ? ` - parameters.inner % ${step}u` : ""};
  for (var k = 0u; k < whole; k += ${step}u) {
${accumulate(options, step)}
  }
${remainder ? rest : ""}
  let place = (batch * parameters.rows + tile.row) * parameters.columns + column;
${
    guarded
      ? "  let rowsToWrite = select(0u, parameters.rows, tile.batch < parameters.batches);"
      : ""
  }
${unroll(rows, store)}
}
`;
}
