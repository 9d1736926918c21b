/**
 * Matrix product for GPUs: tiles in workgroup memory, and each invocation's part of a tile in
 * registers. Needs matmul/operands.wgsl in front, which defines the product.
 *
 * One workgroup of `across` × `down` invocations computes a tile of (4 · `quadsDown` · `down`) × (4
 * · `quadsAcross` · `across`) numbers and walks K in steps of `step`. In each step it copies its
 * rows of the left operand and its columns of the right one to workgroup memory. A vec4f there
 * holds a *quad*, four neighboring rows or columns, at one k. Invocation (x, y) computes the
 * numbers in the rows of quads y, y + `down`, … and the columns of quads x, x + `across`, …. So
 * neighboring invocations read neighboring vec4f, which causes no bank conflicts. If the k of a
 * step are unrolled, their indices are constants, which compilers put into the instructions and
 * need not clamp.
 *
 * Barriers: two per step. The first separates writing and reading the tiles; the second keeps the
 * next step from overwriting numbers that a slower invocation still reads.
 *
 * Instead of a row, column or k past the end, the last one is read, so no address is out of range.
 * At a k past the end, both operands' numbers are set to zero or are not multiplied. A row or
 * column past the end is not written.
 *
 * An operand that consists of whole vec4f is read four numbers at a time, and a product of that
 * kind is stored four numbers at a time. The alias Left, Right or Stored is then vec4f, and the
 * operand's strides count vec4f.
 *
 * Source: Volkov and Demmel, "Benchmarking GPUs to tune dense linear algebra", SC 2008; Boehm, "How
 * to optimize a CUDA matmul kernel for cuBLAS-like performance", 2022.
 */
import { unroll } from "../unroll.ts";
import { COMPONENTS, type MatmulLoad } from "./subgroup_tile.ts";
import { tiledLoads } from "./tiled_loads.ts";

/** The tile that a workgroup computes. */
export interface MatmulTile {
  /** Invocations per workgroup, along the rows. */
  readonly down: number;
  /** Invocations per workgroup, along the columns. */
  readonly across: number;
  /** Groups of four rows per invocation. */
  readonly quadsDown: number;
  /** Groups of four columns per invocation. */
  readonly quadsAcross: number;
  /**
   * The number of k per step, 8 or 16. In a step the invocations must be able to share the copying
   * of each operand's vec4f evenly.
   */
  readonly step: number;
  /** How many unused vec4f follow each k's vec4f in workgroup memory, against bank conflicts. */
  readonly padding: number;
  /**
   * How the tiles are stored. Default: f32. With f16 the operands are rounded; sums are always f32.
   */
  readonly storage?: "f32" | "f16";
}

/** Options of the kernel. */
export interface MatmulTiledOptions extends MatmulTile {
  readonly left: MatmulLoad;
  readonly right: MatmulLoad;
  /** Whether the product is stored four columns at a time. N must then be a multiple of four. */
  readonly storesVectors: boolean;
  /** Whether K is a multiple of the step. */
  readonly wholeSteps: boolean;
  /**
   * How many of a step's values of k are unrolled together: 1, 4 or all. More are faster but need
   * more registers.
   */
  readonly together: number;
}

/** The bytes of the kernel's workgroup memory. */
export function matmulTiledMemory(
  { down, across, quadsDown, quadsAcross, step, padding, storage }: MatmulTile,
): number {
  return (storage === "f16" ? 8 : 16) * step *
    (down * quadsDown + across * quadsAcross + 2 * padding);
}

// Stores quad q of row i of an invocation: four columns of the product.
function store({ down, across, storesVectors }: MatmulTiledOptions, i: number, q: number): string {
  const row = `row${i}_${q}`;
  const column = `column${i}_${q}`;
  const place = `(batch + ${row}) * parameters.columns + ${column}`;
  return `  let ${row} = tile.row + 4u * (lane.y + ${Math.floor(i / 4) * down}u) + ${i % 4}u;
  let ${column} = tile.column + 4u * (lane.x + ${q * across}u);
${
    storesVectors
      ? `  if (${row} < parameters.rows && ${column} < parameters.columns) {
    product[(${place}) / 4u] = p${i}_${q};
  }`
      : `  if (${row} < parameters.rows) {
${
        unroll(4, (c) =>
          `    if (${column} + ${c}u < parameters.columns) { product[${place} + ${c}u] = p${i}_${q}.${
            COMPONENTS[c]
          }; }`)
      }
  }`
  }`;
}

// Writes the products of all k of a step: unrolled, or in a loop. The loop's number of iterations
// depends on a parameter, so compilers cannot unroll it.
function steps(
  { step, together }: MatmulTiledOptions,
  products: (group: string, k: string) => string,
): string {
  if (together === step) return unroll(step, (k) => products(String(k >> 2), String(k % 4)));
  return `    for (var k = 0u; k < min(${step}u, parameters.inner - first); k += ${together}u) {
${unroll(together, (i) => products("k / 4u", together === 1 ? "k % 4u" : String(i)))}
    }`;
}

/**
 * Writes the kernel.
 *
 * Dispatch: as many workgroups as the product has tiles, spread over x and y.
 *
 * @param options the tile, and the layouts of the operands and the product
 */
export function matmulTiled(options: MatmulTiledOptions): string {
  const { down, across, quadsDown, quadsAcross, step, padding, wholeSteps, together } = options;
  const invocations = down * across;
  const leftQuads = down * quadsDown;
  const rightQuads = across * quadsAcross;
  const shared = {
    step,
    invocations,
    wholeSteps,
    readsFirst: together === step,
    multipliesAll: together > 1,
  };
  const left = tiledLoads({
    ...shared,
    name: "left",
    load: options.left,
    quads: leftQuads,
    firstReader: 0,
  });
  // If there are enough invocations, some read the left operand and others the right one.
  const right = tiledLoads({
    ...shared,
    name: "right",
    load: options.right,
    quads: rightQuads,
    firstReader: left.readers + rightQuads * step / 4 <= invocations ? left.readers : 0,
  });
  const eachNumber = (line: (i: number, q: number) => string) =>
    unroll(4 * quadsDown, (i) => unroll(quadsAcross, (q) => line(i, q)));
  const tileType = (quads: number) =>
    `array<array<array<InTile, ${quads + padding}>, 4>, ${step / 4}>`;
  const products = (group: string, k: string) =>
    `    {
${
      unroll(
        quadsDown,
        (q) => `      let l${q} = vec4f(leftTile[${group}][${k}][lane.y + ${q * down}u]);`,
      )
    }
${
      unroll(
        quadsAcross,
        (q) => `      let r${q} = vec4f(rightTile[${group}][${k}][lane.x + ${q * across}u]);`,
      )
    }
${
      eachNumber((i, q) =>
        `      p${i}_${q} = fma(vec4f(l${Math.floor(i / 4)}.${
          COMPONENTS[i % 4]
        }), r${q}, p${i}_${q});`
      )
    }
    }`;
  const staged = shared.readsFirst
    ? `${left.read}\n${right.read}\n${left.write}\n${right.write}`
    : `${left.read}\n${left.write}\n${right.read}\n${right.write}`;
  return `
const FOUR: vec4u = vec4u(0u, 1u, 2u, 3u);

alias InTile = ${options.storage === "f16" ? "vec4h" : "vec4f"};

// The indices are k / 4, k % 4 and the number of the quad, with k and quads counted in the tile.
var<workgroup> leftTile: ${tileType(leftQuads)};
var<workgroup> rightTile: ${tileType(rightQuads)};

@compute @workgroup_size(${across}, ${down})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let tile = tileOf(workgroup, workgroups, vec2u(${4 * leftQuads}u, ${4 * rightQuads}u));
  if (tile.batch >= parameters.batches) {
    return;
  }
${left.setup}
${right.setup}
${eachNumber((i, q) => `  var p${i}_${q} = vec4f();`)}
  for (var first = 0u; first < parameters.inner; first += ${step}u) {
${staged}
    workgroupBarrier();
${steps(options, products)}
    workgroupBarrier();
  }
  let batch = tile.batch * parameters.rows;
${eachNumber((i, q) => store(options, i, q))}
}
`;
}
