/**
 * Fused causal attention, forward, for GPUs:
 *
 *     z_tj = scale ⟨q_t, k_j⟩ for j ≤ t
 *     y_t  = Σ_j exp(z_tj) φ(v_j) / Σ_j exp(z_tj)
 *     L_t  = log Σ_j exp(z_tj)
 *
 * where φ(v) = v, or V-scale's φ. With a learned sink, the sum of exp(z_tj) has one more term,
 * exp(s), without a value. A workgroup computes one tile of query rows of one head. It walks the
 * key tiles up to the diagonal and keeps a running maximum m and sums relative to it: when m grows,
 * the sums are multiplied by exp(m_old − m).
 *
 * The kernel computes exp(x) as exp2(x log2(e)). The parameter `scale` contains the factor log2(e),
 * so the code's logits and maxima do too. L_t is stored as a natural logarithm.
 *
 * One key tile, and its barriers (besides two per step of `products`):
 *
 *     logits                              products.ts
 *     largest of each row → partial       barrier: the operands in `tile` are no longer needed
 *     weights exp(z − m) → tile           barrier
 *     sums += weights × value             accumulate.ts
 *
 * One barrier at the end, for the sums of the weights. Workgroup memory: memory.ts. Masked values
 * are never added (accumulate.ts).
 *
 * With f16, query, key and the weights are rounded. The weights, which are at most 1, are
 * multiplied by 2^14 before they are shared, so weights above 2^-28 keep 11 bits.
 *
 * To try it: `deno task bench --kernels=attention --passes=forward --variants=tiled-64x64-4x4`.
 *
 * Source: Milakov and Gimelshein, arXiv 1805.02867 (online softmax); Dao, arXiv 2307.08691
 * (FlashAttention-2).
 */
import { accumulate } from "./accumulate.ts";
import { combined, declarations, publish, share } from "./memory.ts";
import { products } from "./products.ts";
import { keysUpToTheRow as sight } from "./sight.ts";
import {
  type AttentionTiledOptions,
  column,
  declarePositions,
  eachBlock,
  eachCell,
  eachChunk,
  eachColumn,
  eachRow,
  holds,
  passNotANumber,
  tileOf,
} from "./tile.ts";
import { unroll } from "../../unroll.ts";

/** Options of the forward kernel. */
export interface AttentionForwardTiledOptions extends AttentionTiledOptions {
  /** Whether query heads have a learned sink. Default: false. */
  readonly sink?: boolean;
}

/**
 * Declares the state of a row's softmax before the first key: `maximum{a}`, the largest logit, and
 * `sum{a}`, the sum of the exponentials relative to it.
 */
function declareSoftmax(options: AttentionForwardTiledOptions): string {
  const { vector } = tileOf(options);
  if (options.sink) {
    return `
  let sinkMaximum = firstMaximum2(workgroup.y);
  let sinkSum = select(0.0, firstSum(workgroup.y), x == 0u);
  ${
      eachBlock(options, (a) => `
  var maximum${a} = ${vector}(sinkMaximum);
  var sum${a} = ${vector}(sinkSum); // over this invocation's keys and, for x = 0, the sink`)
    }`;
  }
  return eachBlock(options, (a) => `
  var maximum${a} = ${vector}(LOWEST);
  var sum${a} = ${vector}(); // over this invocation's keys`);
}

/**
 * Scales the logits, replaces those of masked keys by MASKED, and computes the new maximum
 * `newMaximum{a}`.
 */
function raiseMaximum(options: AttentionTiledOptions): string {
  const { vector } = tileOf(options);
  return `
    ${eachCell(options, (a, b, c) => `score${a}_${b}_${c} *= parameters.scale;`)}
    if (!isWhole) {
      ${
    eachCell(options, (a, b, c) => `
      score${a}_${b}_${c} = select(${vector}(MASKED), score${a}_${b}_${c},
        ${sight.seen(options, a, `firstColumn + ${column(options, b, c)}`)});`)
  }
    }
    ${eachBlock(options, (a) => `var tileMaximum${a} = score${a}_0_0;`)}
    ${
    eachCell(options, (a, b, c) => `tileMaximum${a} = max(tileMaximum${a}, score${a}_${b}_${c});`)
  }
    ${publish(options, (a) => `tileMaximum${a}`)}
    workgroupBarrier();
    ${
    combined(options, "newMaximum", {
      start: (a) => `maximum${a}`,
      combine: (sum, next) => `max(${sum}, ${next})`,
    })
  }`;
}

/**
 * Scales the sum of the earlier weights to the new maximum, turns the logits into weights, and adds
 * these to the sum.
 */
function weigh(options: AttentionTiledOptions): string {
  const { vector } = tileOf(options);
  return `
    ${
    eachCell(
      options,
      (a, b, c) => `let exponent${a}_${b}_${c} = score${a}_${b}_${c} - newMaximum${a};`,
    )
  }
    ${
    eachBlock(options, (a) => `
    let correction${a} = exp2(maximum${a} - newMaximum${a});
    maximum${a} = newMaximum${a};
    // No exponent is positive, so their sum is NaN only if an exponent is NaN. Then the sum of the
    // weights becomes NaN, too.
    var exponents${a} = ${vector}();
    ${eachColumn(options, (b, c) => `exponents${a} += exponent${a}_${b}_${c};`)}
    sum${a} = ${passNotANumber(options, `sum${a} * correction${a}`, `exponents${a}`)};`)
  }
    ${
    eachCell(
      options,
      (a, b, c) => `var weight${a}_${b}_${c} = exp2(exponent${a}_${b}_${c});`,
    )
  }
    ${eachCell(options, (a, b, c) => `sum${a} += weight${a}_${b}_${c};`)}
    if (parameters.vScaleFull == 1u) {
      ${
    eachColumn(options, (b, c) => `
      {
        let v = valve[columnHead + firstColumn + ${column(options, b, c)}];
        let factor = v.x / (v.x + v.y);
        ${eachBlock(options, (a) => `weight${a}_${b}_${c} *= factor;`)}
      }`)
  }
    }`;
}

/**
 * Writes the kernel; needs not_a_number.wgsl in front, and for a sink attention/sink/forward.wgsl.
 *
 * Bindings: 0 uniform parameters; 1 query [B, Hq, T, D]; 2 key and 3 value [B, Hkv, T, D]; 4 valve
 * [B, Hkv, T] of (r = |v|², C), read with V-scale "full" only; 5 output [B, Hq, T, D]; 6 logSumExp
 * [B, Hq, T]; and, with a sink, 7 sinkLogit [Hq]. Dispatch: (⌈T / rows⌉, Hq, B).
 */
export function attentionForwardTiled(options: AttentionForwardTiledOptions): string {
  const { across, down, sink = false } = options;
  const { rows, columns, vectors, vector, chunks, storage } = tileOf(options);
  const unit = storage === "f16" ? "16384.0 * " : "";
  return `
const LOWEST: f32 = -3.4e38; // finite, because compilers may assume no infinities
const MASKED: f32 = -3.402e38; // so far below LOWEST that its weight is 0 for any maximum
const LN_2: f32 = 0.6931471805599453;

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  sequenceLength: u32, // T
  scale: f32, // multiplied by log2(e)
  vScaleFull: u32, // 1: factors come from valve
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> valve: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> logSumExp: array<f32>;
${declarations(options, { partial: true })}

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
  ${declarePositions(options)}
  ${declareSoftmax(options)}
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
    ${raiseMaximum(options)}
    ${weigh(options)}
    ${share(options, "weight", () => unit)}
    workgroupBarrier();
    ${eachChunk(options, (r, n, a, e) => `running${r}_${n} *= correction${a}.${e};`)}
    ${
    accumulate(options, {
      name: "running",
      columns: { buffer: "value", head: "columnHead", first: "firstColumn" },
      sight,
    })
  }
  }

  ${publish(options, (a) => `sum${a}`)}
  workgroupBarrier();
  ${
    sink
      ? "let head = rowHead / length % parameters.queryHeads; // no register holds it through the loops"
      : ""
  }
  ${
    combined(options, "total", {
      start: () => `${vector}()`,
      combine: (sum, next) => `${sum} + ${next}`,
    })
  }
  ${
    eachRow(options, (r, a, e) => `
  if (position${a}.${e} < length) {
    let index = rowHead + position${a}.${e};
    ${
      unroll(chunks, (n) => `
    if (${holds(options, n)}) {
      output[index * ${vectors}u + x + ${n * across}u] = running${r}_${n} / (${unit}total${a}.${e});
    }`)
    }
    if (x == 0u) {
      let logarithm = passNotANumber(log2(vec4f(total${a}.${e})), vec4f(total${a}.${e})).x;
      logSumExp[index] = ${
      sink
        ? `sinkLogSumExp(maximum${a}.${e}, logarithm, head)`
        : `(maximum${a}.${e} + logarithm) * LN_2`
    };
    }
  }`)
  }
}
`;
}
