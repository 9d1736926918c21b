/**
 * Matrix product for adapters that compute on the CPU and have subgroups. Needs matmul_operands.wgsl in front, with
 * Operand = vec4f, and says there what it computes.
 *
 * On such adapters a load is spelled out lane by lane and costs as much as dozens of multiply-adds, and so does a
 * barrier. So one subgroup is a workgroup and computes a tile of `rows` × 4 S `vectors` numbers, S lanes wide: lane
 * l holds the groups of four columns l, l + S, …, each of them as one vec4f a row. Every number of the left operand is loaded by one lane and broadcast
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
  /** Groups of four columns that a lane holds. */
  readonly vectors: number;
  /** Whether left is contiguous along K: stored [M, K]. Else it is contiguous along M. */
  readonly leftAlongInner: boolean;
  /** Whether right is contiguous along K: stored [N, K]. Else it is contiguous along N. */
  readonly rightAlongInner: boolean;
  /** Whether a tile may reach past the last row or column, or a workgroup have no tile. */
  readonly guarded: boolean;
  /** Whether the product is stored as vec4f, which makes Stored one: its rows are whole vec4f then. */
  readonly storedVectors: boolean;
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

/** The loads of the right operand: r0_u, r1_u, … are a lane's groups of four columns at k + u. */
interface RightPlan {
  readonly setup: string;
  readonly loads: string;
}

// Lane l loads each of its columns, four k at a time.
function rightAlongInner({ subgroupSize: S, vectors }: MatmulSubgroupOptions): RightPlan {
  const each = (line: (v: number, c: number) => string) =>
    unroll(vectors, (v) => unroll(4, (c) => line(v, c)));
  const group = (v: number, u: number) =>
    unroll(4, (c) => `column${v}_${c}.${COMPONENTS[u]}`, ", ");
  return {
    setup: each((v, c) =>
      `  let rightColumn${v}_${c} = rightStart + min(tile.column + ${
        4 * S * v + c
      }u + 4u * lane, parameters.columns - 1u) * parameters.rightColumn;`
    ),
    loads: each((v, c) => `    let column${v}_${c} = right[rightColumn${v}_${c} + k / ${STEP}u];`) +
      "\n" +
      unroll(vectors, (v) => unroll(STEP, (u) => `    let r${v}_${u} = vec4f(${group(v, u)});`)),
  };
}

// Lane l loads the vec4f of each of its groups of columns at each k.
function rightAlongColumns({ subgroupSize: S, vectors }: MatmulSubgroupOptions): RightPlan {
  return {
    setup: unroll(
      vectors,
      (v) =>
        `  let rightQuad${v} = rightStart + min(tile.column / 4u + ${
          S * v
        }u + lane, (parameters.columns + 3u) / 4u - 1u);`,
    ),
    loads: unroll(
      STEP,
      (u) =>
        unroll(
          vectors,
          (v) => `    let r${v}_${u} = right[rightQuad${v} + (k + ${u}u) * parameters.rightInner];`,
        ),
    ),
  };
}

// The stores of row i.
function store(i: number, options: MatmulSubgroupOptions): string {
  const { subgroupSize: S, vectors, guarded, storedVectors } = options;
  const guard = (at: number, write: string) =>
    guarded ? `    if (column + ${at}u < parameters.columns) { ${write} }` : `  ${write}`;
  const stores = unroll(vectors, (v) => {
    if (storedVectors) {
      const place = `(place + ${i}u * parameters.columns) / 4u + ${S * v}u`;
      return guard(4 * S * v, `product[${place}] = p${i}_${v};`);
    }
    return unroll(4, (c) => {
      const at = 4 * S * v + c;
      const number = `p${i}_${v}.${COMPONENTS[c]}`;
      return guard(at, `product[place + ${i}u * parameters.columns + ${at}u] = ${number};`);
    });
  });
  return guarded ? `  if (tile.row + ${i}u < rowsToWrite) {\n${stores}\n  }` : stores;
}

/**
 * Writes the kernel.
 *
 * Dispatch: as many workgroups as the product has tiles of `rows` × 4 S `vectors` numbers, spread over x and y.
 *
 * @param options the tile, and how the operands lie
 * @returns WGSL, for the feature `subgroups`
 */
export function matmulSubgroup(options: MatmulSubgroupOptions): string {
  const { subgroupSize: S, rows, vectors, guarded } = options;
  const left = options.leftAlongInner ? leftAlongInner(options) : leftAlongRows(options);
  const right = options.rightAlongInner ? rightAlongInner(options) : rightAlongColumns(options);
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
  let tile = tileOf(workgroup, workgroups, vec2u(${rows}u, ${4 * S * vectors}u));
  let batch = ${guarded ? "min(tile.batch, parameters.batches - 1u)" : "tile.batch"};
  let leftStart = batch * parameters.leftBatch;
  let rightStart = batch * parameters.rightBatch;
${left.setup}
${right.setup}
${unroll(rows, (i) => unroll(vectors, (v) => `  var p${i}_${v} = vec4f();`))}
  for (var k = 0u; k < parameters.inner; k += ${STEP}u) {
${loads}
${
    unroll(rows, (i) => {
      const numbers = unroll(STEP, (u) => `let x${u} = ${left.number(i, u)};`, " ");
      const sums = unroll(vectors, (v) =>
        `      p${i}_${v} = p${i}_${v}${unroll(STEP, (u) => ` + x${u} * r${v}_${u}`, "")};`);
      return `    {\n      ${numbers}\n${sums}\n    }`;
    })
  }
  }
  let column = tile.column + 4u * lane;
  let place = (batch * parameters.rows + tile.row) * parameters.columns + column;
${
    guarded
      ? "  let rowsToWrite = select(0u, parameters.rows, tile.batch < parameters.batches);"
      : ""
  }
${unroll(rows, (i) => store(i, options))}
}
`;
}
