/**
 * Matrix product for GPUs: tiles in workgroup memory, and in registers a part of the tile for every invocation. Needs
 * matmul/operands.wgsl in front, and says there what it computes.
 *
 * One workgroup of `across` × `down` invocations computes a tile of (4 · `quadsDown` · `down`) × (4 · `quadsAcross` ·
 * `across`) numbers and walks K in steps of `step`. Each step it brings its rows of the left operand and its columns of
 * the right one into workgroup memory, as vec4f of four rows or four columns at one k. Invocation (x, y) owns
 * the quads of rows y, y + down, … and the quads of columns x, x + across, …: neighbors read neighboring vec4f, so
 * that no two of them want different words of one bank.
 *
 * Barriers: two a step. The first stands between writing and reading the tiles; the second keeps the next step
 * from overwriting what a slower invocation still reads.
 *
 * Rows, columns and k past the end are read at the last ones: no address is out of range. A k past the end is
 * zero in both operands, and such a row or column is not written.
 *
 * Source: Volkov and Demmel, "Benchmarking GPUs to tune dense linear algebra", SC 2008; Boehm, "How to optimize a CUDA
 * matmul kernel for cuBLAS-like performance", 2022.
 */
import { unroll } from "../unroll.ts";

/** What the kernel is made for. */
export interface MatmulTiledOptions {
  /** Invocations of a workgroup, one below the other. */
  readonly down: number;
  /** Invocations of a workgroup, side by side. */
  readonly across: number;
  /** Groups of four rows that an invocation owns. */
  readonly quadsDown: number;
  /** Groups of four columns that an invocation owns. */
  readonly quadsAcross: number;
  /** K of one step; with either of the tile's sides it makes a whole number of vec4f an invocation. */
  readonly step: number;
  /** Unused vec4f between the tile's rows in workgroup memory, against bank conflicts. */
  readonly padding: number;
  /** How the tiles are stored. Default: f32. With f16 the operands are rounded to it; sums are f32 all the same. */
  readonly storage?: "f32" | "f16";
}

const COMPONENTS = ["x", "y", "z", "w"];

/**
 * The workgroup memory that the kernel takes.
 *
 * @param options the tile
 * @returns bytes
 */
export function matmulTiledMemory(options: MatmulTiledOptions): number {
  const { down, across, quadsDown, quadsAcross, step, padding, storage } = options;
  return (storage === "f16" ? 8 : 16) * step *
    (down * quadsDown + across * quadsAcross + 2 * padding);
}

/** How one operand comes into workgroup memory. */
interface LoadOptions {
  readonly name: "left" | "right";
  /** Groups of four rows or columns in the tile. */
  readonly quads: number;
  readonly step: number;
  readonly pitch: number;
  readonly invocations: number;
}

// Neighboring invocations go along the direction that is contiguous in memory.
function load({ name, quads, step, pitch, invocations }: LoadOptions): string {
  const line = name === "left" ? "row" : "column";
  const stride = name === "left" ? "leftRow" : "rightColumn";
  return unroll(quads * step / invocations, (n) => {
    const index = `(index + ${n * invocations}u)`;
    return `
    {
      let alongInner = parameters.${name}Inner == 1u;
      let quad = select(${index} % ${quads}u, ${index} / ${step}u, alongInner);
      let k = select(${index} / ${quads}u, ${index} % ${step}u, alongInner);
      let lines = min(tile.${line} + 4u * quad + FOUR, vec4u(parameters.${line}s - 1u));
      let start = tile.batch * parameters.${name}Batch + min(first + k, parameters.inner - 1u) * parameters.${name}Inner;
      let place = start + lines * parameters.${stride};
      let numbers = vec4f(${unroll(4, (c) => `${name}[place.${COMPONENTS[c]}]`, ", ")});
      ${name}Tile[k * ${pitch}u + quad] =
        InTile(select(vec4f(0.0), numbers, first + k < parameters.inner));
    }`;
  }, "");
}

/**
 * Writes the kernel.
 *
 * Dispatch: as many workgroups as the product has tiles, spread over x and y.
 *
 * @param options the tile
 * @returns WGSL
 */
export function matmulTiled(options: MatmulTiledOptions): string {
  const { down, across, quadsDown, quadsAcross, step, padding } = options;
  const invocations = down * across;
  const leftQuads = down * quadsDown;
  const rightQuads = across * quadsAcross;
  const leftPitch = leftQuads + padding;
  const rightPitch = rightQuads + padding;
  const shared = { step, invocations };
  const leftLoad = load({
    ...shared,
    name: "left",
    quads: leftQuads,
    pitch: leftPitch,
  });
  const rightLoad = load({
    ...shared,
    name: "right",
    quads: rightQuads,
    pitch: rightPitch,
  });
  const eachNumber = (line: (i: number, q: number) => string) =>
    unroll(4 * quadsDown, (i) => unroll(quadsAcross, (q) => line(i, q)));
  return `
const FOUR: vec4u = vec4u(0u, 1u, 2u, 3u);

alias InTile = ${options.storage === "f16" ? "vec4h" : "vec4f"};

var<workgroup> leftTile: array<InTile, ${step * leftPitch}>; // [k][quad of rows]
var<workgroup> rightTile: array<InTile, ${step * rightPitch}>; // [k][quad of columns]

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
${eachNumber((i, q) => `  var p${i}_${q} = vec4f();`)}
  for (var first = 0u; first < parameters.inner; first += ${step}u) {
${leftLoad}
${rightLoad}
    workgroupBarrier();
    for (var k = 0u; k < ${step}u; k++) {
${
    unroll(quadsDown, (q) =>
      `      let l${q} = vec4f(leftTile[k * ${leftPitch}u + lane.y + ${q * down}u]);`)
  }
${
    unroll(quadsAcross, (q) =>
      `      let r${q} = vec4f(rightTile[k * ${rightPitch}u + lane.x + ${q * across}u]);`)
  }
${
    eachNumber((i, q) =>
      `      p${i}_${q} = fma(vec4f(l${Math.floor(i / 4)}.${
        COMPONENTS[i % 4]
      }), r${q}, p${i}_${q});`
    )
  }
    }
    workgroupBarrier();
  }
  let batch = tile.batch * parameters.rows;
${
    eachNumber((i, q) => {
      const row = `row${i}_${q}`;
      const column = `column${i}_${q}`;
      return `  let ${row} = tile.row + 4u * (lane.y + ${Math.floor(i / 4) * down}u) + ${i % 4}u;
  let ${column} = tile.column + 4u * (lane.x + ${q * across}u);
  if (${row} < parameters.rows) {
${
        unroll(4, (c) =>
          `    if (${column} + ${c}u < parameters.columns) { product[(batch + ${row}) * parameters.columns + ${column} + ${c}u] = p${i}_${q}.${
            COMPONENTS[c]
          }; }`)
      }
  }`;
    })
  }
}
`;
}
