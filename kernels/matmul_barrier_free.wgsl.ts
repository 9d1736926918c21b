/**
 * Matrix product for adapters that compute on the CPU and have no subgroups. Needs matmul_operands.wgsl in front, with
 * Operand = vec4f, and says there what it computes.
 *
 * Every invocation computes a tile of its own in registers, as large as the compiler bears, because a load costs as
 * much as dozens of multiply-adds there and a barrier more. K goes in steps of four, so that every load is a whole
 * vec4f, whichever way the operands lie; and the four products of a step are added to an accumulator in one
 * statement, because carrying it around the loop costs more than adding to it. No barrier, no workgroup memory.
 *
 * K is a multiple of 4, and so is the other length of an operand that is contiguous along it; what lies past the end
 * in K is zero in both operands. Rows and columns past the end are read at the last ones and, with `guarded`, not
 * written; without it there are none.
 */
import { unroll } from "./unroll.ts";

/** What the kernel is made for. */
export interface MatmulBarrierFreeOptions {
  /** Rows of an invocation's tile, a multiple of 4. */
  readonly rows: number;
  /** Columns of an invocation's tile, a multiple of 4. */
  readonly columns: number;
  /** Invocations of a workgroup, one below the other. */
  readonly down: number;
  /** Invocations of a workgroup, side by side. */
  readonly across: number;
  /** Whether left is contiguous along K: stored [M, K]. Else it is contiguous along M. */
  readonly leftAlongInner: boolean;
  /** Whether right is contiguous along K: stored [N, K]. Else it is contiguous along N. */
  readonly rightAlongInner: boolean;
  /** Whether a tile may reach past the last row or column. */
  readonly guarded: boolean;
}

const STEP = 4; // of k: a vec4f
const COMPONENTS = ["x", "y", "z", "w"];

/** One operand's loads: of `count` rows of left, or columns of right. */
interface OperandCode {
  readonly setup: string;
  readonly loads: string;
  /** Number i at k + u. */
  readonly number: (i: number, u: number) => string;
}

// One vec4f of four k for each row of left, or column of right.
function alongInner(name: string, count: number, lines: string): OperandCode {
  return {
    setup: unroll(
      count,
      (i) =>
        `  let ${name}Line${i} = ${name}Start + min(${name}First + ${i}u, parameters.${lines}s - 1u) * parameters.${name}${
          lines === "row" ? "Row" : "Column"
        };`,
    ),
    loads: unroll(count, (i) => `    let ${name}${i} = ${name}[${name}Line${i} + k / ${STEP}u];`),
    number: (i, u) => `${name}${i}.${COMPONENTS[u]}`,
  };
}

// One vec4f of four rows of left, or columns of right, for each k.
function alongOuter(name: string, count: number, lines: string): OperandCode {
  const quads = count / 4;
  return {
    setup: unroll(
      quads,
      (q) =>
        `  let ${name}Quad${q} = ${name}Start + min(${name}First / 4u + ${q}u, (parameters.${lines}s + 3u) / 4u - 1u);`,
    ),
    loads: unroll(
      STEP,
      (u) =>
        unroll(
          quads,
          (q) =>
            `    let ${name}${q}at${u} = ${name}[${name}Quad${q} + (k + ${u}u) * parameters.${name}Inner];`,
        ),
    ),
    number: (i, u) => `${name}${Math.floor(i / 4)}at${u}.${COMPONENTS[i % 4]}`,
  };
}

/**
 * Writes the kernel.
 *
 * Dispatch: as many workgroups as the product has tiles of (`rows` · `down`) × (`columns` · `across`) numbers, spread
 * over x and y.
 *
 * @param options the tile, and how the operands lie
 * @returns WGSL
 */
export function matmulBarrierFree(options: MatmulBarrierFreeOptions): string {
  const { rows, columns, down, across, guarded } = options;
  const quads = columns / 4;
  const left = (options.leftAlongInner ? alongInner : alongOuter)("left", rows, "row");
  const right = (options.rightAlongInner ? alongInner : alongOuter)("right", columns, "column");
  const rightVector = (q: number, u: number) =>
    `vec4f(${unroll(4, (c) => right.number(4 * q + c, u), ", ")})`;
  return `
@compute @workgroup_size(${across}, ${down})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let tile = tileOf(workgroup, workgroups, vec2u(${rows * down}u, ${columns * across}u));
  if (tile.batch >= parameters.batches) {
    return;
  }
  let leftStart = tile.batch * parameters.leftBatch;
  let rightStart = tile.batch * parameters.rightBatch;
  let leftFirst = tile.row + ${rows}u * lane.y;
  let rightFirst = tile.column + ${columns}u * lane.x;
${left.setup}
${right.setup}
${unroll(rows, (i) => unroll(quads, (q) => `  var p${i}_${q} = vec4f();`))}
  for (var k = 0u; k < parameters.inner; k += ${STEP}u) {
${left.loads}
${right.loads}
${unroll(STEP, (u) => unroll(quads, (q) => `    let r${q}at${u} = ${rightVector(q, u)};`))}
${
    unroll(rows, (i) =>
      unroll(quads, (q) =>
        `    p${i}_${q} = p${i}_${q}` +
        unroll(STEP, (u) => ` + ${left.number(i, u)} * r${q}at${u}`, "") + ";"))
  }
  }
  let place = (tile.batch * parameters.rows + leftFirst) * parameters.columns + rightFirst;
${
    unroll(rows, (i) => {
      const stores = unroll(columns, (c) => {
        const number = `p${i}_${Math.floor(c / 4)}.${COMPONENTS[c % 4]}`;
        const write = `product[place + ${i}u * parameters.columns + ${c}u] = ${number};`;
        return guarded
          ? `    if (rightFirst + ${c}u < parameters.columns) { ${write} }`
          : `  ${write}`;
      });
      return guarded ? `  if (leftFirst + ${i}u < parameters.rows) {\n${stores}\n  }` : stores;
    })
  }
}
`;
}
