/**
 * Attention backward, queryGradient, for GPUs. With z the logits, a_tj = exp(z_tj − logSumExp_t), g
 * the gradient of the output y, and D_t = ⟨g_t, y_t⟩, less the gradient of logSumExp_t if there is
 * one:
 *
 *     ∂L/∂z_tj = a_tj (factor_j ⟨g_t, v_j⟩ − D_t)      ∂L/∂q_t = scale Σ_{j≤t} ∂L/∂z_tj k_j
 *
 * where factor is 1, or r / (r + C) with V-scale "full". A workgroup computes one tile of query
 * rows of one head and walks the key tiles up to the diagonal.
 *
 * The kernel computes exp(x) as exp2(x log2(e)): it multiplies the scale and logSumExp by log2(e).
 *
 * One key tile, and its barriers (besides two per step of `products`):
 *
 *     logits, gradients of the weights      products.ts
 *     gradients of the logits → tile        a barrier before (operands lie in `tile`) and after
 *     sums += gradients × key               accumulate.ts
 *
 * Workgroup memory: memory.ts. Masked keys are never added (accumulate.ts).
 *
 * With f16, query, key and the logits' gradients are rounded, the last with a scale per row, so
 * rows of small gradients keep 11 bits too (scale.ts). outputGradient and value are not rounded,
 * because ⟨g_t, v_j⟩ − D_t cancels if a query attends to one key. If a key has 99 % of the weight
 * and numbers are normally distributed, rounding outputGradient and value would raise the error of
 * this key's keyGradient from 3e-4 to 1e-2 (backward_key_value.wgsl.ts rounds the same way).
 *
 * To try it: `deno task bench --kernels=attention --passes=backward --variants=tiled-64x64-4x4`.
 *
 * Source: Dao, arXiv 2307.08691, algorithm 2, split into two passes, so no sum needs atomics.
 */
import { accumulate } from "./accumulate.ts";
import { declarations } from "./memory.ts";
import { products } from "./products.ts";
import { publishLargest, scaleDeclarations, shareScaled, unitOf } from "./scale.ts";
import { keysUpToTheRow as sight } from "./sight.ts";
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

/** Options of the kernel. */
export interface AttentionBackwardQueryTiledOptions extends AttentionTiledOptions {
  /**
   * Whether the first query has a gradient, as with a learned sink or a gradient of logSumExp.
   * Otherwise it has none, because it sees only one key. Default: false.
   */
  readonly firstQuery?: boolean;
}

/**
 * Declares `logSumExp{a}`, times log2(e), and `rowDot{a}`, which is D_t, of this invocation's rows.
 * They are read again for every tile, so that no register holds them through the loops.
 */
function declareRowStatistics(options: AttentionBackwardQueryTiledOptions): string {
  const { side, vector } = tileOf(options);
  return eachBlock(options, (a) => `
  var logSumExp${a} = ${vector}();
  var rowDot${a} = ${vector}();
  ${
    unroll(side, (i) => {
      const e = component(i);
      return `
  {
    let statistics = rowStatistics[rowHead + min(position${a}.${e}, length - 1u)];
    logSumExp${a}.${e} = LOG2_E * statistics.x;
    rowDot${a}.${e} = statistics.y;
  }`;
    })
  }
  ${
    options.firstQuery ? "" : `// The first query sees one key, so its logit's gradient is zero.
  // For this query a weight of 0 removes the rounding error that ⟨g, v⟩ − D_t would leave.
  logSumExp${a} += select(${vector}(), ${vector}(NO_WEIGHT), position${a} == vec${side}u(0u));`
  }`);
}

/**
 * Writes the kernel. It needs not_a_number.wgsl in front.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4
 * outputGradient [B, Hq, T, D]; 5 rowStatistics [B, Hq, T] of (logSumExp, D_t); 6 valve [B, Hkv, T]
 * of (r = |v|², C), read with V-scale "full" only; 7 queryGradient [B, Hq, T, D]. Dispatch: (⌈T /
 * rows⌉, Hq, B).
 */
export function attentionBackwardQueryTiled(options: AttentionBackwardQueryTiledOptions): string {
  const { across, down } = options;
  const { rows, columns, vectors, chunks, storage } = tileOf(options);
  return `
const LOG2_E: f32 = 1.4426950408889634;
const NO_WEIGHT: f32 = 3.4e38; // as logSumExp it makes every weight zero

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  scale: f32,
  vScaleFull: u32, // 1: factors come from valve
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> outputGradient: array<vec4f>;
@group(0) @binding(5) var<storage, read> rowStatistics: array<vec2f>;
@group(0) @binding(6) var<storage, read> valve: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> queryGradient: array<vec4f>;
${declarations(options, { partial: storage === "f16" })}
${scaleDeclarations(options)}

@compute @workgroup_size(${across}, ${down})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let x = lane.x;
  let y = lane.y;
  let length = parameters.sequenceLength;
  let groupSize = parameters.queryHeads / parameters.keyValueHeads;
  let firstRow = (workgroups.x - 1u - workgroup.x) * ${rows}u; // the longest rows first
  let rowHead = (workgroup.z * parameters.queryHeads + workgroup.y) * length;
  let columnHead =
    (workgroup.z * parameters.keyValueHeads + workgroup.y / groupSize) * length;
  let scale = parameters.scale * LOG2_E;
  ${declarePositions(options)}
  ${eachChunk(options, (r, n) => `var running${r}_${n} = vec4f();`)}

  let lastRow = min(firstRow + ${rows - 1}u, length - 1u);
  for (var firstColumn = 0u; firstColumn <= lastRow; firstColumn += ${columns}u) {
    let isWhole = ${sight.whole(options)};
    ${
    products(options, {
      name: "score",
      rows: { buffer: "query", head: "rowHead", first: "firstRow" },
      columns: { buffer: "key", head: "columnHead", first: "firstColumn" },
    })
  }
    ${
    products(options, {
      name: "weightGradient",
      exact: true,
      rows: { buffer: "outputGradient", head: "rowHead", first: "firstRow" },
      columns: { buffer: "value", head: "columnHead", first: "firstColumn" },
    })
  }
    if (parameters.vScaleFull == 1u) {
      ${
    eachColumn(options, (b, c) => `
      {
        let v = valve[columnHead + firstColumn + ${column(options, b, c)}];
        let factor = v.x / (v.x + v.y);
        ${eachBlock(options, (a) => `weightGradient${a}_${b}_${c} *= factor;`)}
      }`)
  }
    }
    ${declareRowStatistics(options)}
    ${
    eachCell(options, (a, b, c) => `
    let logitGradient${a}_${b}_${c} =
      ${exponential2(options, `scale * score${a}_${b}_${c} - logSumExp${a}`)}
        * (weightGradient${a}_${b}_${c} - rowDot${a});`)
  }
    ${publishLargest(options, "logitGradient", sight)}
    workgroupBarrier();
    ${shareScaled(options, "logitGradient")}
    workgroupBarrier();
    ${
    accumulate(options, {
      name: "running",
      unit: unitOf(options, "logitGradient"),
      columns: { buffer: "key", head: "columnHead", first: "firstColumn" },
      sight,
    })
  }
  }

  ${
    eachRow(options, (r, a, e) => `
  if (position${a}.${e} < length) {
    let index = (rowHead + position${a}.${e}) * ${vectors}u + x;
    ${
      unroll(chunks, (n) => `
    if (${holds(options, n)}) {
      queryGradient[index + ${n * across}u] = parameters.scale * running${r}_${n};
    }`)
    }
  }`)
  }
}
`;
}
