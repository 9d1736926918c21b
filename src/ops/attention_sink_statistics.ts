/** Sink strength: how much attention one key position receives. */
import sinkShareSource from "../../kernels/attention/sink/share.wgsl" with { type: "text" };
import sinkStatisticsSource from "../../kernels/attention/sink_statistics.wgsl" with {
  type: "text",
};
import type { Gpu } from "../gpu/gpu.ts";
import { Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { checkAttention } from "./attention/shape.ts";
import { notANumber, workgroupSum } from "./shared/parts.ts";
import { type Planned, runOnce } from "./shared/run_once.ts";
import { checkCall, checkFinite, checkInteger, emptyTensors } from "./shared/validation.ts";

/** Arguments of {@linkcode attentionSinkStatistics}. */
export interface AttentionSinkStatisticsOptions {
  /** `[B, Hq, T, D]` */
  readonly query: Tensor;
  /** `[B, Hkv, T, D]` */
  readonly key: Tensor;
  /**
   * `[B, Hq, T]` from {@linkcode attentionForward}. If it includes a learned sink, the statistics
   * are of the weights that the sink leaves to the keys.
   */
  readonly logSumExp: Tensor;
  /** s, the key position to measure. Default: 0. */
  readonly position?: number;
  /**
   * T_ε, the number of queries, from `position` on, that the score averages over. If the sequence
   * has fewer from there on, the score averages over these. Default: 64.
   */
  readonly window?: number;
  /** The forward's scale. Default: 1/√D. */
  readonly scale?: number;
  /** `[Hq]`, as given to the forward; with it the result has `sinkShare`. Default: none. */
  readonly sinkLogit?: Tensor;
}

/** Results of {@linkcode attentionSinkStatistics}. */
export interface AttentionSinkStatisticsResult {
  /** `M_s = Σ_{t≥s} a_ts`, where `a_ts` is the weight that query t gives key s: `[B, Hq]` */
  readonly mass: Tensor;
  /** `S_s = Σ_{t≥s} a_ts²`: `[B, Hq]` */
  readonly secondMoment: Tensor;
  /** `α_s`, the mean of `a_ts` over `t = s … min(s + window, T) − 1`: `[B, Hq]` */
  readonly score: Tensor;
  /**
   * The learned sink's share of the weight: the mean over all T queries of `b_t = exp(sinkLogit −
   * logSumExp_t)`. `[B, Hq]`, only with `sinkLogit`.
   */
  readonly sinkShare?: Tensor;
}

/**
 * Prepares {@linkcode attentionSinkStatistics} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors and the position
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong values, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { attentionForward, openGpu, planAttentionSinkStatistics } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const rows = gpu.tensor(Float32Array.from({ length: 32 }, (_, i) => Math.sin(i)), [1, 1, 8, 4]);
 * const { logSumExp } = attentionForward(gpu, { query: rows, key: rows, value: rows });
 * const { plan, score } = planAttentionSinkStatistics(gpu, { query: rows, key: rows, logSumExp });
 * gpu.run(plan);
 * console.log(await score.read());
 * ```
 */
export function planAttentionSinkStatistics(
  gpu: Gpu,
  options: AttentionSinkStatisticsOptions,
): Planned<AttentionSinkStatisticsResult> {
  const operator = "attentionSinkStatistics";
  checkCall(operator, gpu, options);
  const { query, key, logSumExp, sinkLogit, position = 0, window = 64 } = options;
  const shape = checkAttention(gpu, operator, { query, key, logSumExp, sinkLogit });
  const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
  const { scale = 1 / Math.sqrt(headDim) } = options;
  checkFinite(scale, { operator, name: "scale" });
  checkInteger(position, { operator, name: "position", minimum: 0, maximum: sequenceLength - 1 });
  checkInteger(window, { operator, name: "window", minimum: 1 });
  const heads = [batches, queryHeads];
  const outputs = emptyTensors(gpu, operator, { mass: heads, secondMoment: heads, score: heads });
  const sinkShare = sinkLogit === undefined ? undefined : gpu.empty(heads);
  const windowEnd = Math.min(position + window, sequenceLength);
  const rows = batches * queryHeads * (sequenceLength - position);
  const all = batches * queryHeads * sequenceLength;
  const ofSink = sinkLogit === undefined
    ? { flops: 0, bytes: 0 }
    : { flops: 3 * all, bytes: 4 * (all - rows + queryHeads + batches * queryHeads) };
  const plan = new Plan(gpu, {
    operator,
    tensors: { query, key, logSumExp, sinkLogit, ...outputs, sinkShare },
    // Per query from the position on: a product of D multiply-adds, and six more operations for the
    // exponential and the sums. The sink's share takes a difference, an exponential and a sum for
    // every query, also for those before the position.
    cost: {
      flops: rows * (2 * headDim + 6) + ofSink.flops,
      bytes: 4 * (rows * (headDim + 1) + batches * (keyValueHeads * headDim + 3 * queryHeads)) +
        ofSink.bytes,
    },
    dispatches: [
      {
        kernel: {
          parts: [workgroupSum, notANumber, {
            file: "attention/sink_statistics.wgsl",
            source: sinkStatisticsSource,
          }],
        },
        parameters: [
          { u32: queryHeads },
          { u32: keyValueHeads },
          { u32: sequenceLength },
          { u32: headDim / 4 },
          { u32: position },
          { u32: windowEnd },
          { f32: scale },
        ],
        buffers: [query, key, logSumExp, outputs.mass, outputs.secondMoment, outputs.score],
        workgroups: [queryHeads, batches],
      },
      ...sinkLogit === undefined || sinkShare === undefined ? [] : [{
        kernel: {
          parts: [workgroupSum, notANumber, {
            file: "attention/sink/share.wgsl",
            source: sinkShareSource,
          }],
        },
        parameters: [{ u32: queryHeads }, { u32: sequenceLength }],
        buffers: [logSumExp, sinkLogit, sinkShare],
        workgroups: [queryHeads, batches] as const,
      }],
    ],
  });
  return { plan, ...outputs, ...sinkShare === undefined ? {} : { sinkShare } };
}

/**
 * Measures how strong an attention sink a key position is, per query head, without the attention
 * matrix: `M_s = Σ_{t≥s} a_ts`, `S_s = Σ_{t≥s} a_ts²`, and the sink score `α_s`, the mean of `a_ts`
 * over a window of queries from s on. With learned sinks it also measures `sinkShare`, the share of
 * the attention weight that they receive.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771; Gu et al., arXiv 2410.10781 (the score).
 *
 * @param gpu the GPU that holds the tensors
 * @param options `query` [B, Hq, T, D], `key` [B, Hkv, T, D], `logSumExp` [B, Hq, T], `position`
 *   (default 0), `window` (default 64), `scale` (default 1/√D), `sinkLogit` [Hq]
 * @returns `mass`, `secondMoment` and `score`, with `sinkLogit` also `sinkShare`, each [B, Hq];
 *   enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong values, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { attentionForward, attentionSinkStatistics, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const zeros = gpu.tensor(new Float32Array(4 * 4), [1, 1, 4, 4]); // every row attends evenly
 * const { logSumExp } = attentionForward(gpu, { query: zeros, key: zeros, value: zeros });
 * const { mass } = attentionSinkStatistics(gpu, { query: zeros, key: zeros, logSumExp });
 * console.log(await mass.read()); // 1 + 1/2 + 1/3 + 1/4
 * ```
 */
export function attentionSinkStatistics(
  gpu: Gpu,
  options: AttentionSinkStatisticsOptions,
): AttentionSinkStatisticsResult {
  return runOnce(gpu, planAttentionSinkStatistics(gpu, options));
}
