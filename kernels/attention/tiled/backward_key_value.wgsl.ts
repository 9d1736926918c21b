/**
 * Attention backward, keyGradient and valueGradient, for GPUs. With z the logits, a_ts = exp(z_ts −
 * logSumExp_t), g the gradient of the output y, and D_t = ⟨g_t, y_t⟩, less the gradient of
 * logSumExp_t if there is one:
 *
 *     u_s = Σ_{t≥s} a_ts g_t                           valueGradient: u_s through φ's Jacobian
 *     ∂L/∂z_ts = a_ts (factor_s ⟨g_t, v_s⟩ − D_t)      keyGradient:   scale Σ_{t≥s} ∂L/∂z_ts q_t
 *
 * where φ is V-scale, or φ(v) = v without it. The factor is r / (r + C) with V-scale "full", else
 * 1. A workgroup computes one tile of keys of one key and value head. For every query head that
 * shares this head it walks the query tiles from the diagonal to the end.
 *
 * The kernel computes exp(x) as exp2(x log2(e)): it multiplies the scale and logSumExp by log2(e).
 *
 * One query tile, and its barriers (besides two per step of `products`):
 *
 *     logits, gradients of the weights      products.ts
 *     weights → tile                        a barrier before (operands lie in `tile`) and after
 *     u += weights × outputGradient         accumulate.ts
 *     gradients of the logits → tile        a barrier before and after
 *     sums += gradients × query             accumulate.ts
 *
 * One more barrier at the end, for V-scale. Workgroup memory: memory.ts. Masked queries are never
 * added (accumulate.ts).
 *
 * Two separate kernels can compute the two gradients. Each then keeps half as many sums in
 * registers, but both compute the logits.
 *
 * With f16, query, key, the weights and the logits' gradients are rounded, the last two with a
 * scale per row: see attention/tiled/backward_query.wgsl.ts.
 *
 * To try it: `deno task bench --kernels=attention --passes=backward --variants=tiled-64x64-4x4`.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2; V-scale: Chen, Lin, Yao, arXiv 2603.17771.
 */
import { accumulate } from "./accumulate.ts";
import { combined, declarations, publish } from "./memory.ts";
import { products } from "./products.ts";
import { publishLargest, scaleDeclarations, shareScaled, unitOf } from "./scale.ts";
import { queriesFromTheRow as sight } from "./sight.ts";
import {
  type AttentionTiledOptions,
  column,
  component,
  declarePositions,
  eachBlock,
  eachCell,
  eachChunk,
  eachColumn,
  eachRow,
  exponential2,
  holds,
  tileOf,
} from "./tile.ts";
import { unroll } from "../../unroll.ts";

/** The gradients that a kernel computes. */
export type KeyValueGradients = "both" | "key" | "value";

/**
 * Declares V-scale's r and C for this invocation's rows, as `squaredNorm{a}` and `constant{a}`.
 * Without V-scale they are 1 and 0.
 */
function declareValve(options: AttentionTiledOptions): string {
  const { side, vector } = tileOf(options);
  return `
  ${
    eachBlock(options, (a) => `
  var squaredNorm${a} = ${vector}(1.0);
  var constant${a} = ${vector}();`)
  }
  if (parameters.vScale != 0u) {
    ${
    eachBlock(options, (a) =>
      unroll(side, (i) => {
        const e = component(i);
        return `
    {
      let v = valve[rowHead + min(position${a}.${e}, length - 1u)];
      squaredNorm${a}.${e} = v.x;
      constant${a}.${e} = v.y;
    }`;
      }))
  }
  }`;
}

/**
 * Multiplies ⟨g, v⟩ of this invocation's rows by V-scale's factors. The factors are computed
 * again for every tile, so that no register holds them through the loops.
 */
function multiplyByFactors(options: AttentionTiledOptions): string {
  const { side } = tileOf(options);
  return `
      if (parameters.vScale == 1u) {
        ${
    eachBlock(options, (a) =>
      unroll(side, (i) => {
        const e = component(i);
        return `
        {
          let v = valve[rowHead + min(position${a}.${e}, length - 1u)];
          let factor = v.x / (v.x + v.y);
          ${eachColumn(options, (b, c) => `weightGradient${a}_${b}_${c}.${e} *= factor;`)}
        }`;
      }))
  }
      }`;
}

/**
 * For each of this invocation's rows, writes `before` once and `line` for every vec4f n, under the
 * condition that the row is not past the end of the sequence.
 */
function write(
  options: AttentionTiledOptions,
  { before = () => "", line }: {
    readonly before?: (a: number, e: string) => string;
    readonly line: (r: number, n: number, a: number, e: string) => string;
  },
): string {
  const { vectors, chunks } = tileOf(options);
  return eachRow(options, (r, a, e) => `
  if (position${a}.${e} < length) {
    let row = rowHead + position${a}.${e};
    let index = row * ${vectors}u + x;
    ${before(a, e)}
    ${
    unroll(chunks, (n) => `
    if (${holds(options, n)}) {
      ${line(r, n, a, e)}
    }`)
  }
  }`);
}

// Writes valueGradient from u, the sum over the queries. V-scale needs ⟨v, u⟩ of every row, to
// which each invocation of the row adds a share.
function writeValueGradient(options: AttentionTiledOptions): string {
  const { across } = options;
  const { vector, vectors, chunks } = tileOf(options);
  return `
  ${declareValve(options)}
  ${eachBlock(options, (a) => `var share${a} = ${vector}();`)}
  if (parameters.vScale != 0u) {
    ${
    eachRow(options, (r, a, e) => `
    {
      let index = (rowHead + min(position${a}.${e}, length - 1u)) * ${vectors}u + x;
      ${
      unroll(chunks, (n) => `
      if (${holds(options, n)}) {
        share${a}.${e} += dot(value[index + ${n * across}u], valueSum${r}_${n});
      }`)
    }
    }`)
  }
  }
  ${publish(options, (a) => `share${a}`)}
  workgroupBarrier();
  ${
    combined(options, "product", {
      start: () => `${vector}()`,
      combine: (sum, next) => `${sum} + ${next}`,
    })
  }
  ${
    eachBlock(options, (a) => `
  let norm${a} = squaredNorm${a} + constant${a};
  let through${a} = squaredNorm${a} / norm${a};
  let along${a} = 2.0 * (constant${a} / norm${a}) / norm${a} * product${a};`)
  }
  ${
    write(options, {
      before: (a, e) => `
    if (parameters.vScale != 0u && x == 0u) {
      valve[row] = vec2f(-through${a}.${e} / norm${a}.${e} * product${a}.${e}, 0.0);
    }`,
      line: (r, n, a, e) => `
      var gradient = valueSum${r}_${n};
      if (parameters.vScale != 0u) {
        gradient = through${a}.${e} * gradient + along${a}.${e} * value[index + ${n * across}u];
      }
      valueGradient[index + ${n * across}u] = gradient;`,
    })
  }`;
}

/**
 * Writes the kernel. It needs not_a_number.wgsl in front.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4
 * outputGradient [B, Hq, T, D]; 5 rowStatistics [B, Hq, T] of (logSumExp, D_t); 6 valve [B, Hkv,
 * T]: in (r = |v|², C), out (term of dC, 0), but not written if the kernel computes no
 * valueGradient; 7 keyGradient and 8 valueGradient [B, Hkv, T, D], or 7 the only gradient that the
 * kernel computes. Dispatch: (⌈T / rows⌉, Hkv, B).
 *
 * @param gradients the gradients to compute. Default: both
 */
export function attentionBackwardKeyValueTiled(
  options: AttentionTiledOptions,
  gradients: KeyValueGradients = "both",
): string {
  const { across, down } = options;
  const { rows, columns, ownRows, chunks, storage } = tileOf(options);
  const ofKey = gradients !== "value", ofValue = gradients !== "key";
  const outputs = [...ofKey ? ["keyGradient"] : [], ...ofValue ? ["valueGradient"] : []];
  // A kernel for both gradients adds to one at a time. Meanwhile it keeps the other gradient's sums
  // and weights in registers.
  const beside = ofKey && ofValue ? 4 * ownRows * chunks + ownRows * columns / across : 0;
  const shared = (name: string, weights: string, buffer: string) => `
      ${publishLargest(options, weights, sight)}
      workgroupBarrier();
      ${shareScaled(options, weights)}
      workgroupBarrier();
      ${
    accumulate(options, {
      name,
      unit: unitOf(options, weights),
      columns: { buffer, head: "columnHead", first: "firstColumn" },
      sight,
      beside,
    })
  }`;
  return `
const LOG2_E: f32 = 1.4426950408889634;

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  scale: f32,
  vScale: u32, // 0: none, 1: full, 2: backward-only
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> outputGradient: array<vec4f>;
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>;
@group(0) @binding(6) var<storage, ${ofValue ? "read_write" : "read"}> valve: array<vec2f>;
${
    outputs.map((name, i) =>
      `@group(0) @binding(${7 + i}) var<storage, read_write> ${name}: array<vec4f>;`
    ).join("\n")
  }
${declarations(options, { partial: ofValue || storage === "f16" })}
${scaleDeclarations(options)}

@compute @workgroup_size(${across}, ${down})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let x = lane.x;
  let y = lane.y;
  let length = parameters.sequenceLength;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let firstRow = workgroup.x * ${rows}u; // the first keys have the most queries
  let rowHead = (workgroup.z * parameters.keyValueHeads + workgroup.y) * length;
  let scale = parameters.scale * LOG2_E;
  ${declarePositions(options)}
  ${ofKey ? eachChunk(options, (r, n) => `var keySum${r}_${n} = vec4f();`) : ""}
  ${ofValue ? eachChunk(options, (r, n) => `var valueSum${r}_${n} = vec4f();`) : ""}

  for (var member = 0u; member < groupSize; member++) {
    let columnHead =
      (workgroup.z * parameters.queryHeads + workgroup.y * groupSize + member) * length;
    let firstTile = firstRow / ${columns}u;
    for (var firstColumn = ${columns}u * firstTile; firstColumn < length; firstColumn += ${columns}u) {
      let isWhole = ${sight.whole(options)};
      ${
    products(options, {
      name: "score",
      rows: { buffer: "key", head: "rowHead", first: "firstRow" },
      columns: { buffer: "query", head: "columnHead", first: "firstColumn" },
    })
  }
      ${
    ofKey
      ? products(options, {
        name: "weightGradient",
        exact: true,
        rows: { buffer: "value", head: "rowHead", first: "firstRow" },
        columns: { buffer: "outputGradient", head: "columnHead", first: "firstColumn" },
      })
      : ""
  }
      ${ofKey ? multiplyByFactors(options) : ""}
      ${
    eachColumn(options, (b, c) =>
      `let statistics${b}_${c} =
        rowStatistics[columnHead + firstColumn + ${column(options, b, c)}];`)
  }
      ${
    eachCell(options, (a, b, c) => `
      let weight${a}_${b}_${c} =
        ${exponential2(options, `scale * score${a}_${b}_${c} - LOG2_E * statistics${b}_${c}.x`)};`)
  }
      ${
    ofKey
      ? eachCell(options, (a, b, c) => `
      let logitGradient${a}_${b}_${c} = weight${a}_${b}_${c}
        * (weightGradient${a}_${b}_${c} - statistics${b}_${c}.y);`)
      : ""
  }
      ${ofValue ? shared("valueSum", "weight", "outputGradient") : ""}
      ${ofKey ? shared("keySum", "logitGradient", "query") : ""}
    }
  }

  ${
    ofKey
      ? write(options, {
        line: (r, n) => `keyGradient[index + ${n * across}u] = parameters.scale * keySum${r}_${n};`,
      })
      : ""
  }
  ${ofValue ? writeValueGradient(options) : ""}
}
`;
}
