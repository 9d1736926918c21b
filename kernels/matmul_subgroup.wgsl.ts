/**
 * Matrix product for adapters that compute on the CPU and have subgroups. Needs matmul_operands.wgsl in front, with
 * Operand = vec4f, and says there what it computes.
 *
 * On such adapters a load is spelled out lane by lane and costs as much as dozens of multiply-adds, and so does a
 * barrier. So one subgroup is a workgroup and computes a tile of `rows` × 4 S numbers, S lanes wide: lane l
 * holds the columns 4l..4l+3, one vec4f a row. Every number of the left operand is loaded by one lane and broadcast
 * from there. K goes in steps of four, so that every load is a whole vec4f, whichever way the operands lie; and
 * the four products of a step are added to an accumulator in one statement, because carrying an accumulator
 * around the loop costs more than adding to it. No barrier, no workgroup memory.
 *
 * K is a multiple of 4, and so is the other length of an operand that is contiguous along it; what lies past the end
 * in K is zero in both operands. Rows and columns past the end are read at the last ones and, with `guarded`, not
 * written; without it there are none, since a condition around the stores triples the time to compile.
 */
import { unroll } from "./unroll.ts";

/** What the kernel is made for. */
export interface MatmulSubgroupOptions {
  /** S, the size of every subgroup: a power of two, at least 4. */
  readonly subgroupSize: number;
  /** Rows of a tile: a power of two, at least 4 and at least S. */
  readonly rows: number;
  /** Whether left is contiguous along K: stored [M, K]. Else it is contiguous along M. */
  readonly leftAlongInner: boolean;
  /** Whether right is contiguous along K: stored [N, K]. Else it is contiguous along N. */
  readonly rightAlongInner: boolean;
  /** Whether a tile may reach past the last row or column, or a workgroup have no tile. */
  readonly guarded: boolean;
}

const STEP = 4; // of k: a vec4f
const COMPONENTS = ["x", "y", "z", "w"];

/** The loads of the left operand: how many a step, where each lane reads, and who holds a number. */
interface LeftPlan {
  readonly setup: string;
  readonly loads: string;
  /** The number of row i at k + u, broadcast. */
  readonly number: (i: number, u: number) => string;
}

// Lane l loads row l, l + S, … of the tile, four k at a time.
function leftAlongInner({ subgroupSize: S, rows }: MatmulSubgroupOptions): LeftPlan {
  const count = rows / S;
  return {
    setup: unroll(
      count,
      (j) =>
        `  let leftRow${j} = leftStart + min(tile.row + ${
          j * S
        }u + lane, parameters.rows - 1u) * parameters.leftRow;`,
    ),
    loads: unroll(count, (j) => `    let l${j} = left[leftRow${j} + k / ${STEP}u];`),
    number: (i, u) => `subgroupBroadcast(l${Math.floor(i / S)}.${COMPONENTS[u]}, ${i % S}u)`,
  };
}

// The vec4f of four rows at one k, counted through the rows and then the four k, are dealt to the lanes in turn.
function leftAlongRows({ subgroupSize: S, rows }: MatmulSubgroupOptions): LeftPlan {
  const quads = rows / 4;
  const count = Math.ceil(STEP * quads / S);
  const lastQuad = "(parameters.rows + 3u) / 4u - 1u";
  return {
    setup: unroll(count, (j) =>
      `  let vector${j} = ${j * S}u + lane;
  let leftQuad${j} = leftStart + min(tile.row / 4u + vector${j} % ${quads}u, ${lastQuad})
    + min(vector${j} / ${quads}u, ${STEP - 1}u) * parameters.leftInner;`),
    loads: unroll(count, (j) => `    let l${j} = left[leftQuad${j} + k * parameters.leftInner];`),
    number(i, u) {
      const vector = u * quads + Math.floor(i / 4);
      return `subgroupBroadcast(l${Math.floor(vector / S)}.${COMPONENTS[i % 4]}, ${vector % S}u)`;
    },
  };
}

// Lane l loads its four columns, four k at a time.
const rightAlongInner = {
  setup: unroll(
    4,
    (c) =>
      `  let rightColumn${c} = rightStart + min(tile.column + 4u * lane + ${c}u, parameters.columns - 1u) * parameters.rightColumn;`,
  ),
  loads: unroll(4, (c) => `    let column${c} = right[rightColumn${c} + k / ${STEP}u];`) + "\n" +
    unroll(STEP, (u) => {
      const component = COMPONENTS[u];
      return `    let r${u} = vec4f(${unroll(4, (c) => `column${c}.${component}`, ", ")});`;
    }),
};

// Lane l loads the vec4f of its four columns at each k.
const rightAlongColumns = {
  setup:
    "  let rightQuad = rightStart + min(tile.column / 4u + lane, (parameters.columns + 3u) / 4u - 1u);",
  loads: unroll(
    STEP,
    (u) => `    let r${u} = right[rightQuad + (k + ${u}u) * parameters.rightInner];`,
  ),
};

function store(i: number, guarded: boolean): string {
  const stores = unroll(4, (c) => {
    const write = `product[place + ${i}u * parameters.columns + ${c}u] = p${i}.${COMPONENTS[c]};`;
    return guarded ? `    if (column + ${c}u < parameters.columns) { ${write} }` : `  ${write}`;
  });
  return guarded ? `  if (tile.row + ${i}u < rowsToWrite) {\n${stores}\n  }` : stores;
}

/**
 * Writes the kernel.
 *
 * Dispatch: as many workgroups as the product has tiles of `rows` × 4 S numbers, spread over x and y.
 *
 * @param options the tile, and how the operands lie
 * @returns WGSL, for the feature `subgroups`
 */
export function matmulSubgroup(options: MatmulSubgroupOptions): string {
  const { subgroupSize: S, rows, guarded } = options;
  const left = options.leftAlongInner ? leftAlongInner(options) : leftAlongRows(options);
  const right = options.rightAlongInner ? rightAlongInner : rightAlongColumns;
  // Which comes first changes what the compiler keeps in registers: measured on lavapipe 25, 15 % for this pair.
  const loads = options.leftAlongInner && !options.rightAlongInner
    ? `${right.loads}\n${left.loads}`
    : `${left.loads}\n${right.loads}`;
  return `
@compute @workgroup_size(${S})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let tile = tileOf(workgroup, workgroups, vec2u(${rows}u, ${4 * S}u));
  let batch = ${guarded ? "min(tile.batch, parameters.batches - 1u)" : "tile.batch"};
  let leftStart = batch * parameters.leftBatch;
  let rightStart = batch * parameters.rightBatch;
${left.setup}
${right.setup}
${unroll(rows, (i) => `  var p${i} = vec4f();`)}
  for (var k = 0u; k < parameters.inner; k += ${STEP}u) {
${loads}
${
    unroll(rows, (i) =>
      `    p${i} = p${i}` + unroll(STEP, (u) => ` + ${left.number(i, u)} * r${u}`, "") + ";")
  }
  }
  let column = tile.column + 4u * lane;
  let place = (batch * parameters.rows + tile.row) * parameters.columns + column;
${
    guarded
      ? "  let rowsToWrite = select(0u, parameters.rows, tile.batch < parameters.batches);"
      : ""
  }
${unroll(rows, (i) => store(i, guarded))}
}
`;
}
