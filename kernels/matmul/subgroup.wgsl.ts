/**
 * Matrix product for adapters that compute on the CPU and have subgroups. Needs
 * matmul/operands.wgsl in front, which defines the product.
 *
 * On such adapters a load or a barrier costs as much as dozens of multiply-adds, because it runs
 * lane by lane. So a workgroup is one subgroup, S lanes wide, and computes a tile of `rows` × (S ·
 * `width` + `extra`) numbers without barriers or workgroup memory. A lane holds `width` columns:
 * either groups of four neighbors, with one vec4f per row and group, or the single columns l, l +
 * S, …. One lane loads a number of the left operand and broadcasts it. The loop walks K in steps of
 * four, so loads can be whole vec4f for either order of the operand in memory. One statement adds
 * the four products of a step to an accumulator, because carrying an accumulator around the loop
 * costs more than an addition. If K is not a multiple of four, the last step is shorter.
 *
 * Extra columns serve products slightly too wide for the columns of the lanes. Lane l computes
 * their numbers in rows l, l + S, … of the tile, because it has loaded left's numbers of these rows
 * anyway. If the lanes have shared the loads of a row, all lanes compute the row's numbers in the
 * extra columns.
 *
 * An image (a texture) can hold an operand. All lanes then load with one function call, which takes
 * a fifth of the time of a load from a buffer, and hardly any code. So if an image holds right,
 * lanes take more columns, and one iteration of the loop can take two steps. An image with bfloat16
 * numbers needs half as many loads as one with float32 numbers.
 *
 * Rows and columns past the end repeat the last one and store the same number again. A condition
 * around the stores would triple the compile time and, with it, halve the rows of a tile.
 */
import type { ImageLayout } from "../image_layout.ts";
import { leftLoads, rightLoads } from "./subgroup_loads.ts";
import { COMPONENTS, groupSize, type LeftLoads, type MatmulLoad, STEP } from "./subgroup_tile.ts";
import { unroll } from "../unroll.ts";

/** Options of the kernel. */
export interface MatmulSubgroupOptions {
  /** S, the size of every subgroup: a power of two, at least 4. */
  readonly subgroupSize: number;
  /** Rows of a tile; a multiple of 4 if left is read `along-outer`. */
  readonly rows: number;
  /** Columns of a lane; a multiple of 4 if right is read `along-outer`. */
  readonly width: number;
  /**
   * Whether a lane's columns are neighbors in groups of four, if `width` is a multiple of 4. Always
   * true if right is read `along-outer`.
   */
  readonly grouped: boolean;
  /**
   * Columns of a tile in addition to its lanes' columns: at most 4, and none if left is read
   * `along-outer`. If right is read `along-outer`, the first column of every tile must still be a
   * multiple of 4.
   */
  readonly extra: number;
  /** How left is read; `along-inner` only if K is a multiple of 4. */
  readonly left: MatmulLoad;
  /** How right is read; `along-inner` only if K is a multiple of 4. */
  readonly right: MatmulLoad;
  /**
   * The layout of the image that holds left; undefined if a buffer holds left. With an image,
   * `left` is not `scalar`.
   */
  readonly leftImage: ImageLayout | undefined;
  /**
   * The layout of the image that holds right; undefined if a buffer holds right. With an image,
   * `right` is not `scalar`, and `extra` is 0. If the image has bfloat16 numbers, `along-outer`
   * needs `storedVectors` and a `width` that is a multiple of 8, and `along-inner` needs `steps` to
   * be 2.
   */
  readonly rightImage: ImageLayout | undefined;
  /**
   * Steps in one iteration of the loop. A step covers four values of k. With several steps, K is a
   * multiple of 4 · `steps`.
   */
  readonly steps: number;
  /** K modulo 4. */
  readonly remainder: number;
  /**
   * Whether the product is stored as vec4f; the alias Stored is then vec4f. This needs `grouped`,
   * no `extra` columns, and a `width` and a length of the product's rows that are multiples of 4.
   */
  readonly storedVectors: boolean;
  /** Whether there may be workgroups without a tile. */
  readonly spare: boolean;
  /**
   * Whether a workgroup's tile lies below the previous workgroup's tile, not to the right of it.
   * Then tiles that run one after another read the same columns of right, which come from the
   * cache.
   */
  readonly rowsFirst: boolean;
}

// Like `tileOf` in matmul/operands.wgsl, but numbers tiles from top to bottom, then from left to
// right.
const ROWS_FIRST = `
fn tileOfRowsFirst(workgroup: vec3u, workgroups: vec3u, size: vec2u) -> Tile {
  let index = workgroup.y * workgroups.x + workgroup.x;
  let tilesDown = (parameters.rows + size.x - 1u) / size.x;
  let tilesAcross = (parameters.columns - parameters.firstColumn + size.y - 1u) / size.y;
  let columnOfTiles = index / tilesDown;
  return Tile(
    (index % tilesDown) * size.x,
    parameters.firstColumn + (columnOfTiles % tilesAcross) * size.y,
    columnOfTiles / tilesAcross);
}
`;

// Whether each word of right's image holds two neighboring columns.
function pairsColumns({ rightImage, right }: MatmulSubgroupOptions): boolean {
  return rightImage?.numbers === "bf16" && right === "along-outer";
}

// Declares the columns of a lane: S columns apart, or neighbors in groups of 4, or of 8 with
// `pairsColumns`. If right is read `along-outer` or the product stored as vec4f, every group must
// begin at a multiple of its length. So in place of a group past the end, a lane takes the last
// group again.
function columns(options: MatmulSubgroupOptions): string {
  const { subgroupSize: S, width, right, storedVectors } = options;
  if (groupSize(options) === 1) {
    return unroll(width, (c) => `  let column${c} = tile.column + ${c * S}u + lane;`);
  }
  const whole = right === "along-outer" || storedVectors;
  const size = pairsColumns(options) ? 8 : 4;
  return unroll(width, (c) => {
    if (c % size !== 0) return `  let column${c} = column${c - c % size} + ${c % size}u;`;
    const first = `tile.column + ${c * S}u + ${size}u * lane`;
    return `  let column${c} = ${
      whole ? `min(${first}, (parameters.columns - 1u) / ${size}u * ${size}u)` : first
    };`;
  });
}

/** An accumulator for an extra column. */
interface Extra {
  readonly name: string;
  readonly column: number;
  /** WGSL for the left operand's number at k + u, in the row that this accumulator belongs to. */
  readonly factor: (u: number) => string;
  /** WGSL for the index in the product at which that row starts. */
  readonly row: string;
}

function extras({ rows, extra, subgroupSize: S }: MatmulSubgroupOptions, left: LeftLoads): Extra[] {
  const ofLanes = (column: number) =>
    Array.from({ length: Math.ceil(left.held / S) }, (_, j): Extra => ({
      name: `q${j}_${column}`,
      column,
      factor: (u) => left.own(j, u),
      row: `productStart + rowOfLane${j} * parameters.productRow`,
    }));
  const ofAll = (column: number) =>
    Array.from({ length: rows - left.held }, (_, n): Extra => ({
      name: `o${left.held + n}_${column}`,
      column,
      factor: (u) => left.number(left.held + n, u),
      row: `row${left.held + n}`,
    }));
  return Array.from({ length: extra }, (_, column) => [...ofLanes(column), ...ofAll(column)])
    .flat();
}

// Adds left's number times right's at k, k + 1, … k + step - 1 to every accumulator. `index` is the
// step's number, from 0, within one iteration of the loop over K.
function accumulate(options: MatmulSubgroupOptions, step: number, index = 0): string {
  const { rows, width, extra } = options;
  const left = leftLoads(options.left, options);
  const right = rightLoads(options.right, options);
  // The order of the loads decides which values the compiler keeps in registers, which changes the
  // time by 3 to 17 % on lavapipe 25.
  const loads = options.left === "along-outer" && options.right === "along-inner"
    ? `${left.loads(step)}\n${right.loads(step, index)}`
    : `${right.loads(step, index)}\n${left.loads(step)}`;
  const sum = (name: string, product: (u: number) => string) =>
    `      ${name} = ${name}${unroll(step, (u) => ` + ${product(u)}`, "")};`;
  const extraNumbers = unroll(
    extra,
    (e) => unroll(step, (u) => `    let y${e}_${u} = ${right.extra(e, u)};`),
  );
  const extraProducts = extras(options, left)
    .map(({ name, column, factor }) => sum(name, (u) => `${factor(u)} * y${column}_${u}`))
    .join("\n");
  const products = unroll(rows, (i) => {
    const numbers = unroll(step, (u) => `let x${u} = ${left.number(i, u)};`, " ");
    const sums = unroll(
      width / groupSize(options),
      (v) => sum(`p${i}_${v}`, (u) => `x${u} * r${v}_${u}`),
    );
    return `    {\n      ${numbers}\n${sums}\n    }`;
  });
  return `${loads}\n${extraNumbers}\n${extraProducts}\n${products}`;
}

// WGSL for the product's row that the tile's row i stands for. If the tile's row is past the end,
// this is the row that the loads of left read in its place.
function rowOf(i: number, { left }: MatmulSubgroupOptions): string {
  const row = left === "along-outer"
    ? `min(tile.row + ${i - i % 4}u, (parameters.rows - 1u) / 4u * 4u) + ${i % 4}u`
    : `tile.row + ${i}u`;
  return `min(${row}, parameters.rows - 1u)`;
}

// The vec4f of row i's numbers in four neighboring columns: the lane's columns 4v to 4v + 3.
function fourColumns(i: number, v: number, options: MatmulSubgroupOptions): string {
  if (!pairsColumns(options)) return `p${i}_${v}`;
  const [even, odd] = [`p${i}_${v - v % 2}`, `p${i}_${v - v % 2 + 1}`];
  const [a, b] = v % 2 === 0 ? ["x", "y"] : ["z", "w"];
  return `vec4f(${even}.${a}, ${odd}.${a}, ${even}.${b}, ${odd}.${b})`;
}

// Stores row i.
function store(i: number, options: MatmulSubgroupOptions): string {
  const { width, storedVectors } = options;
  const row = `  let row${i} = productStart + ${rowOf(i, options)} * parameters.productRow;`;
  if (storedVectors) {
    return `${row}\n` +
      unroll(
        width / 4,
        (v) => `  product[(row${i} + column${4 * v}) / 4u] = ${fourColumns(i, v, options)};`,
      );
  }
  const size = groupSize(options);
  return `${row}\n` + unroll(width, (c) => {
    const number = size === 1 ? `p${i}_${c}` : `p${i}_${Math.floor(c / 4)}.${COMPONENTS[c % 4]}`;
    return `  product[row${i} + stored${c}] = ${number};`;
  });
}

/**
 * Writes the kernel.
 *
 * Dispatch: as many workgroups as the product has tiles of `rows` × (S · `width` + `extra`)
 * numbers, spread over x and y.
 *
 * @param options the tile, and how the operands lie
 * @returns WGSL, for the feature `subgroups`
 */
export function matmulSubgroup(options: MatmulSubgroupOptions): string {
  const { subgroupSize: S, rows, width, extra, steps, remainder, storedVectors, spare } = options;
  const size = groupSize(options);
  const zero = size === 1 ? "0.0" : "vec4f()";
  const left = leftLoads(options.left, options);
  const right = rightLoads(options.right, options);
  const beyond = extras(options, left);
  const rest = `  {\n    let k = whole;\n${accumulate(options, remainder)}\n  }`;
  const storedAt = (column: string) =>
    `min(${column}, parameters.columns - 1u) * parameters.productColumn`;
  return `${options.rowsFirst ? ROWS_FIRST : ""}
@compute @workgroup_size(${S})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let tile = ${
    options.rowsFirst ? "tileOfRowsFirst" : "tileOf"
  }(workgroup, workgroups, vec2u(${rows}u, ${S * width + extra}u));
${spare ? "  if (tile.batch >= parameters.batches) { return; }" : ""}
  let leftStart = tile.batch * parameters.leftBatch;
  let rightStart = tile.batch * parameters.rightBatch;
  let productStart = tile.batch * parameters.productBatch;
${columns(options)}
${left.setup}
${right.setup}
${unroll(rows, (i) => unroll(width / size, (v) => `  var p${i}_${v} = ${zero};`))}
${beyond.map(({ name }) => `  var ${name} = 0.0;`).join("\n")}
  let whole = parameters.inner${remainder === 0 ? "" : ` - ${remainder}u`};
${
    steps === 1
      ? `  for (var k = 0u; k < whole; k += ${STEP}u) {\n${accumulate(options, STEP)}\n  }`
      : `  for (var first = 0u; first < whole; first += ${steps * STEP}u) {
${right.turn ?? ""}
${
        unroll(
          steps,
          (i) => `    {\n    let k = first + ${i * STEP}u;\n${accumulate(options, STEP, i)}\n    }`,
        )
      }
  }`
  }
${remainder === 0 ? "" : rest}
${storedVectors ? "" : unroll(width, (c) => `  let stored${c} = ${storedAt(`column${c}`)};`)}
${unroll(rows, (i) => store(i, options))}
${unroll(extra, (e) => `  let extraStored${e} = ${storedAt(`tile.column + ${S * width + e}u`)};`)}
${
    beyond.map(({ name, column, row }) => `  product[${row} + extraStored${column}] = ${name};`)
      .join("\n")
  }
}
`;
}
