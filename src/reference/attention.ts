/**
 * Causal attention in float64. For every query head, with the key and value head that it shares:
 *
 *     z_tj = scale ⟨q_t, k_j⟩ for j ≤ t    a_t = softmax(z_t)    y_t = Σ_{j≤t} a_tj v_j
 *     logSumExp_t = log Σ_{j≤t} exp z_tj
 *
 * and backward, with g = ∂L/∂y and D_t = ⟨g_t, y_t⟩:
 *
 *     ∂L/∂v_j = Σ_t a_tj g_t    ∂L/∂z_tj = a_tj (⟨g_t, v_j⟩ − D_t)
 *     ∂L/∂q_t = scale Σ_j ∂L/∂z_tj k_j    ∂L/∂k_j = scale Σ_t ∂L/∂z_tj q_t
 *
 * A learned sink is one more logit s per query head, without a value. Its share of the weight is
 * b_t = exp(s − logSumExp_t):
 *
 *     a_tj = exp z_tj / (exp s + Σ_{i≤t} exp z_ti)    logSumExp_t = log(exp s + Σ_{j≤t} exp z_tj)
 *
 * If the loss also depends on logSumExp, with ℓ = ∂L/∂logSumExp:
 *
 *     ∂L/∂z_tj = a_tj (⟨g_t, v_j⟩ − D_t + ℓ_t)    ∂L/∂s = Σ_t b_t (ℓ_t − D_t)
 *
 * Each group of Hq/Hkv query heads shares a key and a value head. With V-scale in mode "full", v̂ =
 * φ(‖v‖²) v replaces v everywhere, and ∂L/∂v = J_φ(v) ∂L/∂v̂. In mode "backward-only" v itself is
 * used, and only its gradient passes J_φ(v).
 *
 * Sources: Dao, arXiv 2307.08691, for the backward pass from logSumExp and D_t; arXiv 2603.17771
 * for V-scale; OpenAI, arXiv 2508.10925 (gpt-oss), for learned sinks.
 */
import { checkAttentionShapes } from "./attention/shape.ts";
import { dot, type ReferenceTensor, zeros } from "./tensor.ts";
import { vScaleBackward, vScaleForward } from "./v_scale.ts";
import { checkData, checkNumber, checkPositive } from "./validation.ts";

/** V-scale of the values inside an attention operator. */
export interface ReferenceVScale {
  /** C of each value head, positive: [Hkv] */
  readonly constant: ReferenceTensor;
  /** Whether V-scale acts on both passes, or only on the values' gradient. */
  readonly mode: "full" | "backward-only";
}

/** Arguments of {@linkcode attentionWeights}. */
export interface AttentionWeightsOptions {
  /** [B, Hq, T, D] */
  readonly query: ReferenceTensor;
  /** [B, Hkv, T, D], Hq a multiple of Hkv */
  readonly key: ReferenceTensor;
  /** The factor of the logits. Default 1/√D. */
  readonly scale?: number | undefined;
  /**
   * The learned sink logit s of each query head: [Hq]. −Infinity means no sink; +Infinity or NaN
   * makes the head NaN. Default: none.
   */
  readonly sinkLogit?: ReferenceTensor | undefined;
}

/** Arguments of {@linkcode attentionForward}. */
export interface AttentionForwardOptions extends AttentionWeightsOptions {
  /** [B, Hkv, T, D] */
  readonly value: ReferenceTensor;
  /** V-scale of the values. Default: none. */
  readonly vScale?: ReferenceVScale | undefined;
}

/** Arguments of {@linkcode attentionBackward}. */
export interface AttentionBackwardOptions extends AttentionForwardOptions {
  /** The forward's output: [B, Hq, T, D] */
  readonly output: ReferenceTensor;
  /** The forward's logSumExp: [B, Hq, T] */
  readonly logSumExp: ReferenceTensor;
  /** ∂L/∂y: [B, Hq, T, D] */
  readonly outputGradient: ReferenceTensor;
  /** The loss's gradient with respect to logSumExp: [B, Hq, T]. Default: zeros. */
  readonly logSumExpGradient?: ReferenceTensor | undefined;
}

/** The gradients that {@linkcode attentionBackward} returns. */
export interface AttentionGradients {
  /** [B, Hq, T, D] */
  queryGradient: ReferenceTensor;
  /** [B, Hkv, T, D], summed over the query heads that share a key head */
  keyGradient: ReferenceTensor;
  /** [B, Hkv, T, D], summed over the query heads that share a value head */
  valueGradient: ReferenceTensor;
  /** [Hkv], summed over batch and positions; only with V-scale */
  constantGradient?: ReferenceTensor;
  /** [Hq], summed over batch and positions; only with learned sinks */
  sinkLogitGradient?: ReferenceTensor;
}

function checkVScaleData(operator: string, vScale: ReferenceVScale | undefined): void {
  if (vScale === undefined) return;
  checkData(operator, { "vScale.constant": vScale.constant });
  checkPositive(vScale.constant.data, { operator, name: "vScale.constant" });
}

/**
 * The causal attention matrix of every query head.
 *
 * @param options query [B, Hq, T, D], key [B, Hkv, T, D], scale (default 1/√D), sinkLogit [Hq].
 * @returns The weights [B, Hq, T, T]: row t holds a_tj for j ≤ t, and zeros beyond the diagonal. A
 *   row sums to 1, or with a learned sink to 1 minus the sink's share.
 * @throws {TypeError} If a shape does not fit.
 * @throws {RangeError} If the scale is not finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const query = reference.tensor([1, 1], [1, 1, 2, 1]);
 * const key = reference.tensor([0, Math.log(3)], [1, 1, 2, 1]);
 * console.log(reference.attentionWeights({ query, key }).data); // [1, 0, 0.25, 0.75]
 * ```
 */
export function attentionWeights(options: AttentionWeightsOptions): ReferenceTensor {
  const operator = "attentionWeights";
  const { query, key, sinkLogit } = options;
  const shape = checkAttentionShapes(operator, { query, key, sinkLogit });
  const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
  const groupSize = queryHeads / keyValueHeads;
  checkData(operator, { query, key, sinkLogit });
  const { scale = 1 / Math.sqrt(headDim) } = options;
  checkNumber(scale, { operator, name: "scale" });
  const weights = zeros([batches, queryHeads, sequenceLength, sequenceLength]);
  for (let b = 0; b < batches; b++) {
    for (let h = 0; h < queryHeads; h++) {
      const keyStart = (b * keyValueHeads + Math.floor(h / groupSize)) * sequenceLength * headDim;
      for (let t = 0; t < sequenceLength; t++) {
        const row = (b * queryHeads + h) * sequenceLength + t;
        softmaxRow({
          query: query.data,
          key: key.data,
          queryOffset: row * headDim,
          keyOffset: keyStart,
          count: t + 1,
          headDim,
          scale,
          sink: sinkLogit?.data[h],
          weights: weights.data.subarray(row * sequenceLength, row * sequenceLength + t + 1),
        });
      }
    }
  }
  return weights;
}

/** Writes a_t0 … a_tt of one row into `weights`; returns the row's logSumExp. */
function softmaxRow(options: {
  readonly query: Float64Array;
  readonly key: Float64Array;
  readonly queryOffset: number;
  readonly keyOffset: number;
  readonly count: number;
  readonly headDim: number;
  readonly scale: number;
  /** The logit of the head's sink. Default: none. */
  readonly sink?: number | undefined;
  readonly weights: Float64Array;
}): number {
  const { query, key, queryOffset, keyOffset, count, headDim, scale, sink, weights } = options;
  let largest = sink ?? -Infinity;
  for (let j = 0; j < count; j++) {
    const at = { offsetA: queryOffset, offsetB: keyOffset + j * headDim, length: headDim };
    const logit = scale * dot(query, key, at);
    weights[j] = logit;
    largest = Math.max(largest, logit);
  }
  let sum = sink === undefined ? 0 : Math.exp(sink - largest);
  for (let j = 0; j < count; j++) {
    const shifted = Math.exp(weights[j]! - largest);
    weights[j] = shifted;
    sum += shifted;
  }
  for (let j = 0; j < count; j++) weights[j]! /= sum;
  return largest + Math.log(sum);
}

/**
 * y_t = Σ_{j≤t} a_tj v_j for every query head and position.
 *
 * @param options query [B, Hq, T, D], key and value [B, Hkv, T, D], scale (default 1/√D), vScale,
 * sinkLogit [Hq].
 * @returns output [B, Hq, T, D]; logSumExp [B, Hq, T], the natural logarithm of Σ_j exp z_tj, or
 *   with a learned sink of exp s + Σ_j exp z_tj.
 * @throws {TypeError} If a shape does not fit.
 * @throws {RangeError} If the scale is not finite, the V-scale mode is unknown, or a V-scale
 *   constant is not positive and finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const query = reference.tensor([1, 1], [1, 1, 2, 1]);
 * const key = reference.tensor([0, Math.log(3)], [1, 1, 2, 1]);
 * const value = reference.tensor([4, 8], [1, 1, 2, 1]);
 * console.log(reference.attentionForward({ query, key, value }).output.data); // [4, 7]
 * ```
 */
export function attentionForward(
  options: AttentionForwardOptions,
): { output: ReferenceTensor; logSumExp: ReferenceTensor } {
  const operator = "attentionForward";
  const { query, key, value, vScale, sinkLogit } = options;
  const shape = checkAttentionShapes(operator, { query, key, value, vScale, sinkLogit });
  const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
  const groupSize = queryHeads / keyValueHeads;
  checkData(operator, { query, key, value, sinkLogit });
  checkVScaleData(operator, vScale);
  const { scale = 1 / Math.sqrt(headDim) } = options;
  checkNumber(scale, { operator, name: "scale" });
  const used = vScale?.mode === "full"
    ? vScaleForward({ value, constant: vScale.constant }).scaledValue
    : value;
  const output = zeros(query.shape);
  const logSumExp = zeros([batches, queryHeads, sequenceLength]);
  const weights = new Float64Array(sequenceLength);
  for (let b = 0; b < batches; b++) {
    for (let h = 0; h < queryHeads; h++) {
      const keyStart = (b * keyValueHeads + Math.floor(h / groupSize)) * sequenceLength * headDim;
      for (let t = 0; t < sequenceLength; t++) {
        const row = (b * queryHeads + h) * sequenceLength + t;
        logSumExp.data[row] = softmaxRow({
          query: query.data,
          key: key.data,
          queryOffset: row * headDim,
          keyOffset: keyStart,
          count: t + 1,
          headDim,
          scale,
          sink: sinkLogit?.data[h],
          weights,
        });
        for (let j = 0; j <= t; j++) {
          const a = weights[j]!;
          for (let i = 0; i < headDim; i++) {
            output.data[row * headDim + i]! += a * used.data[keyStart + j * headDim + i]!;
          }
        }
      }
    }
  }
  return { output, logSumExp };
}

/**
 * The gradients of attention with respect to query, key and value, and to V-scale's constants and
 * the learned sinks if given.
 *
 * @param options The forward's arguments and results, outputGradient [B, Hq, T, D], and
 * logSumExpGradient [B, Hq, T] (default: zeros).
 * @returns queryGradient [B, Hq, T, D], keyGradient and valueGradient [B, Hkv, T, D]; with V-scale
 * also constantGradient [Hkv], with learned sinks sinkLogitGradient [Hq].
 * @throws {TypeError} If a shape does not fit.
 * @throws {RangeError} If the scale is not finite, the V-scale mode is unknown, or a V-scale
 *   constant is not positive and finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const query = reference.tensor([1, 1], [1, 1, 2, 1]);
 * const key = reference.tensor([0, Math.log(3)], [1, 1, 2, 1]);
 * const value = reference.tensor([4, 8], [1, 1, 2, 1]);
 * const forward = reference.attentionForward({ query, key, value });
 * const outputGradient = reference.tensor([0, 1], [1, 1, 2, 1]);
 * const gradients = reference.attentionBackward({ query, key, value, ...forward, outputGradient });
 * console.log(gradients.valueGradient.data); // [0.25, 0.75]
 * ```
 */
export function attentionBackward(options: AttentionBackwardOptions): AttentionGradients {
  const operator = "attentionBackward";
  const { query, key, value, output, logSumExp, outputGradient, vScale } = options;
  const { sinkLogit, logSumExpGradient } = options;
  const required = { query, key, value, output, logSumExp, outputGradient };
  const tensors = { ...required, sinkLogit, logSumExpGradient };
  const shape = checkAttentionShapes(operator, { ...tensors, vScale });
  const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
  const groupSize = queryHeads / keyValueHeads;
  checkData(operator, tensors);
  checkVScaleData(operator, vScale);
  const { scale = 1 / Math.sqrt(headDim) } = options;
  checkNumber(scale, { operator, name: "scale" });
  const used = vScale?.mode === "full"
    ? vScaleForward({ value, constant: vScale.constant }).scaledValue
    : value;
  const q = query.data, k = key.data, v = used.data, g = outputGradient.data;
  const queryGradient = zeros(query.shape);
  const keyGradient = zeros(key.shape);
  const usedGradient = zeros(value.shape);
  const sinkLogitGradient = zeros([queryHeads]);
  for (let b = 0; b < batches; b++) {
    for (let h = 0; h < queryHeads; h++) {
      const keyStart = (b * keyValueHeads + Math.floor(h / groupSize)) * sequenceLength * headDim;
      for (let t = 0; t < sequenceLength; t++) {
        const row = (b * queryHeads + h) * sequenceLength + t;
        const qt = row * headDim;
        // D_t − ℓ_t, which is subtracted in every ∂L/∂z_tj of the row.
        const rowDot = dot(g, output.data, { offsetA: qt, offsetB: qt, length: headDim }) -
          (logSumExpGradient?.data[row] ?? 0);
        for (let j = 0; j <= t; j++) {
          const kj = keyStart + j * headDim;
          const at = { offsetA: qt, offsetB: kj, length: headDim };
          const a = Math.exp(scale * dot(q, k, at) - logSumExp.data[row]!);
          const logitGradient = a * (dot(g, v, at) - rowDot);
          for (let i = 0; i < headDim; i++) {
            queryGradient.data[qt + i]! += scale * logitGradient * k[kj + i]!;
            keyGradient.data[kj + i]! += scale * logitGradient * q[qt + i]!;
            usedGradient.data[kj + i]! += a * g[qt + i]!;
          }
        }
        if (sinkLogit !== undefined) {
          const b = Math.exp(sinkLogit.data[h]! - logSumExp.data[row]!);
          sinkLogitGradient.data[h]! -= b * rowDot;
        }
      }
    }
  }
  const throughValve = vScale === undefined ? { valueGradient: usedGradient } : vScaleBackward({
    value,
    constant: vScale.constant,
    scaledValueGradient: usedGradient,
  });
  const ofSink = sinkLogit === undefined ? {} : { sinkLogitGradient };
  return { queryGradient, keyGradient, ...throughValve, ...ofSink };
}
