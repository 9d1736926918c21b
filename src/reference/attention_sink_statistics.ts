/**
 * How much attention one position s draws, in float64. Per query head, with the weights a_ts
 * recomputed from logSumExp:
 *
 *     M_s = Σ_{t≥s} a_ts    S_s = Σ_{t≥s} a_ts²
 *     α_s = mean of a_ts over t = s … min(s + window, T) − 1
 *
 * Sources: arXiv 2603.17771 for M_s and S_s; Gu et al., arXiv 2410.10781, for the sink score α_s.
 */
import { checkAttentionShapes } from "./attention/shape.ts";
import { dot, type ReferenceTensor, zeros } from "./tensor.ts";
import { checkData, checkInteger, checkNumber } from "./validation.ts";

/** Arguments of {@linkcode attentionSinkStatistics}. */
export interface AttentionSinkStatisticsOptions {
  /** [B, Hq, T, D] */
  readonly query: ReferenceTensor;
  /** [B, Hkv, T, D], Hq a multiple of Hkv */
  readonly key: ReferenceTensor;
  /**
   * The forward's logSumExp: [B, Hq, T]. If it includes a learned sink, the statistics are of the
   * weights that the sink leaves to the keys.
   */
  readonly logSumExp: ReferenceTensor;
  /** s: the position to measure, from 0 to T − 1. Default 0. */
  readonly position?: number | undefined;
  /** The score averages this many rows from row s on, or those left. At least 1. Default 64. */
  readonly window?: number | undefined;
  /** The factor of the logits. Default 1/√D. */
  readonly scale?: number | undefined;
  /** The forward's learned sinks, [Hq]; with them the result has `sinkShare`. Default: none. */
  readonly sinkLogit?: ReferenceTensor | undefined;
}

/** The statistics of one position's attention column, each [B, Hq]. */
export interface AttentionSinkStatistics {
  /** The column mass M_s = Σ_{t≥s} a_ts */
  mass: ReferenceTensor;
  /** The column's second moment S_s = Σ_{t≥s} a_ts² */
  secondMoment: ReferenceTensor;
  /** The sink score α_s: the mean of a_ts over the window's rows */
  score: ReferenceTensor;
  /**
   * The mean over all T rows of exp(sinkLogit − logSumExp_t), the learned sink's share of the
   * weight; with learned sinks only
   */
  sinkShare?: ReferenceTensor;
}

/**
 * Column mass, second moment and sink score of one position for every query head.
 *
 * @param options query [B, Hq, T, D], key [B, Hkv, T, D], logSumExp [B, Hq, T]; position (default
 * 0), window (default 64), scale (default 1/√D) and sinkLogit [Hq].
 * @returns mass, secondMoment and score, and sinkShare with sinkLogit, each [B, Hq].
 * @throws {TypeError} If a shape does not fit.
 * @throws {RangeError} If position or window is not an integer in its range, or the scale is not
 *   finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const query = reference.tensor([1, 1], [1, 1, 2, 1]);
 * const key = reference.tensor([0, Math.log(3)], [1, 1, 2, 1]);
 * const { logSumExp } = reference.attentionForward({ query, key, value: key });
 * const statistics = reference.attentionSinkStatistics({ query, key, logSumExp });
 * console.log(statistics.mass.data[0]); // 1 + 0.25
 * ```
 */
export function attentionSinkStatistics(
  options: AttentionSinkStatisticsOptions,
): AttentionSinkStatistics {
  const operator = "attentionSinkStatistics";
  const { query, key, logSumExp, sinkLogit, position = 0, window = 64 } = options;
  const shape = checkAttentionShapes(operator, { query, key, logSumExp, sinkLogit });
  const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
  checkData(operator, { query, key, logSumExp, sinkLogit });
  checkInteger(position, { operator, name: "position", minimum: 0, maximum: sequenceLength - 1 });
  checkInteger(window, { operator, name: "window", minimum: 1 });
  const { scale = 1 / Math.sqrt(headDim) } = options;
  checkNumber(scale, { operator, name: "scale" });
  const groupSize = queryHeads / keyValueHeads;
  const end = Math.min(position + window, sequenceLength);
  const mass = zeros([batches, queryHeads]);
  const secondMoment = zeros([batches, queryHeads]);
  const score = zeros([batches, queryHeads]);
  const sinkShare = zeros([batches, queryHeads]);
  for (let head = 0; head < batches * queryHeads; head++) {
    const b = Math.floor(head / queryHeads);
    const keyHead = b * keyValueHeads + Math.floor((head % queryHeads) / groupSize);
    const keyOffset = (keyHead * sequenceLength + position) * headDim;
    for (let t = position; t < sequenceLength; t++) {
      const row = head * sequenceLength + t;
      const at = { offsetA: row * headDim, offsetB: keyOffset, length: headDim };
      const a = Math.exp(scale * dot(query.data, key.data, at) - logSumExp.data[row]!);
      mass.data[head]! += a;
      secondMoment.data[head]! += a * a;
      if (t < end) score.data[head]! += a / (end - position);
    }
    if (sinkLogit === undefined) continue;
    for (let t = 0; t < sequenceLength; t++) {
      const b = Math.exp(
        sinkLogit.data[head % queryHeads]! - logSumExp.data[head * sequenceLength + t]!,
      );
      sinkShare.data[head]! += b / sequenceLength;
    }
  }
  return { mass, secondMoment, score, ...sinkLogit === undefined ? {} : { sinkShare } };
}
