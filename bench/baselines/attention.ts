/**
 * Naive attention and attention-sink statistics: separate kernels, with the T × T matrix of scores
 * in memory.
 */
import type { Gpu } from "../../src/gpu/gpu.ts";
import {
  type AttentionBackwardOptions,
  type AttentionBackwardResult,
  type AttentionForwardOptions,
  type AttentionForwardResult,
  planAttentionBackward,
  planAttentionForward,
} from "../../src/ops/attention.ts";
import {
  type AttentionSinkStatisticsOptions,
  type AttentionSinkStatisticsResult,
  planAttentionSinkStatistics,
} from "../../src/ops/attention_sink_statistics.ts";
import type { Planned } from "../../src/ops/shared/run_once.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { kernels } from "./kernels.ts";
import { addVScaleBackward, addVScaleForward } from "./rows.ts";
import { replan, type Steps, u32 } from "./steps.ts";

type Workgroups = readonly [number, number, number];

interface Layout {
  readonly queryHeads: number; // B Hq
  readonly length: number; // T
  readonly headDim: number; // D
  readonly rows: number; // B Hq T
  readonly matrix: number; // B Hq T T
  readonly scale: number;
  /** [Hq, Hkv, T, D / 4] */
  readonly parameters: readonly number[];
  /** The dispatch size for one invocation per pair of a query and a key, [B, Hq, T, T]. */
  readonly pairs: Workgroups;
  /** The dispatch size for one invocation per vec4f of a tensor [B, Hq, T, D]. */
  readonly ofQueries: Workgroups;
  /** The dispatch size for one invocation per vec4f of a tensor [B, Hkv, T, D]. */
  readonly ofKeys: Workgroups;
}

function layout(options: {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly scale?: number;
}): Layout {
  const [B, Hq, T, D] = options.query.shape as [number, number, number, number];
  const Hkv = options.key.shape[1]!;
  const tiles = Math.ceil(T / 16);
  return {
    queryHeads: B * Hq,
    length: T,
    headDim: D,
    rows: B * Hq * T,
    matrix: B * Hq * T * T,
    scale: options.scale ?? 1 / Math.sqrt(D),
    parameters: [Hq, Hkv, T, D / 4],
    pairs: [tiles, tiles, B * Hq],
    ofQueries: [Math.ceil(D / 64), tiles, B * Hq],
    ofKeys: [Math.ceil(D / 64), tiles, B * Hkv],
  };
}

// Returns the buffer of the values that the attention weights multiply. With V-scale "full" it is a
// new buffer, into which the added dispatches write the scaled values.
function usedValue(
  steps: Steps,
  { value, vScale }: Pick<AttentionForwardOptions, "value" | "vScale">,
): GPUBuffer {
  if (vScale?.mode !== "full") return value.buffer;
  const result = steps.buffer(value.length);
  const constant = vScale.constant.buffer;
  addVScaleForward(steps, { value: value.buffer, constant, shape: value.shape, result });
  return result;
}

function addScores(
  steps: Steps,
  { query, key, layout, scores }: {
    readonly query: Tensor;
    readonly key: Tensor;
    readonly layout: Layout;
    readonly scores: GPUBuffer;
  },
): void {
  steps.add(kernels.attentionScores, {
    parameters: [...u32(layout.parameters), { f32: layout.scale }],
    buffers: [query.buffer, key.buffer, scores],
    workgroups: layout.pairs,
  });
}

/**
 * Attention forward in three kernels: scores, softmax, and the product with the values. With
 * V-scale "full", two more kernels scale the values first. With learned sinks, one more kernel
 * corrects the output and logSumExp at the end.
 */
export function planNaiveAttentionForward(
  gpu: Gpu,
  options: AttentionForwardOptions,
): Planned<AttentionForwardResult> {
  return replan<AttentionForwardResult>(
    gpu,
    planAttentionForward(gpu, options),
    (steps, { output, logSumExp }) => {
      const lengths = layout(options);
      const scores = steps.buffer(lengths.matrix);
      const value = usedValue(steps, options);
      addScores(steps, { ...options, layout: lengths, scores });
      steps.spread(kernels.attentionSoftmax, {
        count: lengths.rows,
        perWorkgroup: 1,
        parameters: [lengths.rows, lengths.length],
        buffers: [scores, logSumExp.buffer],
      });
      steps.add(kernels.attentionProduct, {
        parameters: [...u32(lengths.parameters), { f32: 1 }],
        buffers: [scores, value, output.buffer],
        workgroups: lengths.ofQueries,
      });
      if (options.sinkLogit === undefined) return;
      const { rows, length, headDim } = lengths;
      steps.spread(kernels.attentionSink, {
        count: rows,
        perWorkgroup: 64,
        parameters: [rows, options.sinkLogit.length, length, headDim],
        buffers: [options.sinkLogit.buffer, logSumExp.buffer, output.buffer],
      });
    },
  );
}

/**
 * Attention backward in seven kernels. They compute D_t = ⟨g_t, y_t⟩ (the output y and its gradient
 * g), the scores, the weights, the logit gradients, and the gradients of query, key and value. Two
 * T × T matrices per head stay in memory. V-scale adds four kernels at the end and, in mode "full",
 * two at the beginning. Learned sinks add one kernel.
 *
 * @throws {RangeError} with `logSumExpGradient`, which no naive kernel takes
 */
export function planNaiveAttentionBackward(
  gpu: Gpu,
  options: AttentionBackwardOptions,
): Planned<AttentionBackwardResult> {
  if (options.logSumExpGradient !== undefined) {
    throw new RangeError(
      "planNaiveAttentionBackward: it cannot take logSumExpGradient, leave it out",
    );
  }
  return replan<AttentionBackwardResult>(gpu, planAttentionBackward(gpu, options), (
    steps,
    { queryGradient, keyGradient, valueGradient, constantGradient, sinkLogitGradient },
  ) => {
    const { query, key, value, output, logSumExp, outputGradient, vScale, sinkLogit } = options;
    const lengths = layout(options);
    const { rows, headDim, length, parameters, scale } = lengths;
    const weights = steps.buffer(lengths.matrix);
    const logitGradient = steps.buffer(lengths.matrix);
    const rowDot = steps.buffer(rows);
    const used = usedValue(steps, options);
    steps.spread(kernels.rowDot, {
      count: rows,
      perWorkgroup: 64,
      parameters: [rows, headDim],
      buffers: [output.buffer, outputGradient.buffer, rowDot],
    });
    if (sinkLogit !== undefined && sinkLogitGradient !== undefined) {
      steps.add(kernels.attentionSinkGradient, {
        parameters: u32([query.shape[0]!, sinkLogit.length, length]),
        buffers: [sinkLogit.buffer, logSumExp.buffer, rowDot, sinkLogitGradient.buffer],
        workgroups: [sinkLogit.length],
      });
    }
    addScores(steps, { query, key, layout: lengths, scores: weights });
    steps.add(kernels.attentionWeights, {
      parameters: u32([length]),
      buffers: [logSumExp.buffer, weights],
      workgroups: lengths.pairs,
    });
    steps.add(kernels.attentionLogitGradient, {
      parameters: u32(parameters),
      buffers: [weights, outputGradient.buffer, used, rowDot, logitGradient],
      workgroups: lengths.pairs,
    });
    steps.add(kernels.attentionProduct, {
      parameters: [...u32(parameters), { f32: scale }],
      buffers: [logitGradient, key.buffer, queryGradient.buffer],
      workgroups: lengths.ofQueries,
    });
    steps.add(kernels.attentionTransposedProduct, {
      parameters: [...u32(parameters), { f32: scale }],
      buffers: [logitGradient, query.buffer, keyGradient.buffer],
      workgroups: lengths.ofKeys,
    });
    const usedGradient = vScale === undefined ? valueGradient.buffer : steps.buffer(value.length);
    steps.add(kernels.attentionTransposedProduct, {
      parameters: [...u32(parameters), { f32: 1 }],
      buffers: [weights, outputGradient.buffer, usedGradient],
      workgroups: lengths.ofKeys,
    });
    if (vScale === undefined || constantGradient === undefined) return;
    addVScaleBackward(steps, {
      value: value.buffer,
      constant: vScale.constant.buffer,
      shape: value.shape,
      scaledValueGradient: usedGradient,
      valueGradient: valueGradient.buffer,
      constantGradient: constantGradient.buffer,
    });
  });
}

/**
 * Attention-sink statistics in three kernels: the scores, the whole weights matrix, and the sums
 * over one of its columns.
 *
 * @throws {RangeError} with `sinkLogit`, which no naive kernel takes here
 */
export function planNaiveAttentionSinkStatistics(
  gpu: Gpu,
  options: AttentionSinkStatisticsOptions,
): Planned<AttentionSinkStatisticsResult> {
  if (options.sinkLogit !== undefined) {
    throw new RangeError(
      "planNaiveAttentionSinkStatistics: it cannot take sinkLogit, leave it out",
    );
  }
  return replan<AttentionSinkStatisticsResult>(
    gpu,
    planAttentionSinkStatistics(gpu, options),
    (steps, { mass, secondMoment, score }) => {
      const { logSumExp, position = 0, window = 64 } = options;
      const lengths = layout(options);
      const weights = steps.buffer(lengths.matrix);
      addScores(steps, { ...options, layout: lengths, scores: weights });
      steps.add(kernels.attentionWeights, {
        parameters: u32([lengths.length]),
        buffers: [logSumExp.buffer, weights],
        workgroups: lengths.pairs,
      });
      steps.add(kernels.attentionColumnStatistics, {
        parameters: u32([lengths.length, position, Math.min(position + window, lengths.length)]),
        buffers: [weights, mass.buffer, secondMoment.buffer, score.buffer],
        workgroups: [lengths.queryHeads],
      });
    },
  );
}
