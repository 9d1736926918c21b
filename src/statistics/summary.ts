/**
 * Summarizes a list of samples: its median with an interval, its outliers, and whether it has
 * several modes.
 *
 * "No data" is `undefined` throughout, never NaN. All results depend on the samples and a seed
 * alone, so equal files give equal reports.
 */
import { medianSorted, quantileSorted } from "simple-statistics";
import { bootstrapMedians } from "./bootstrap.ts";
import { isMultimodal } from "./modes.ts";

/** A confidence interval, both ends included. */
export interface Interval {
  /** The lower end. */
  readonly low: number;
  /** The upper end. */
  readonly high: number;
}

/** Options of {@linkcode medianInterval}. */
export interface IntervalOptions {
  /** The probability that the interval covers the truth, in (0, 1). Default 0.95. */
  readonly confidence?: number;
  /** The seed of the resampling. Default 1. */
  readonly seed?: number;
}

/** Result of {@linkcode summarize}. */
export interface Summary {
  /** How many samples there are. */
  readonly count: number;
  /** undefined means no data. */
  readonly median: number | undefined;
  /** The interval of the median, by default of 95 %; undefined for too few samples. */
  readonly interval: Interval | undefined;
  /** Half the interval's width as a share of the median; undefined without an interval. */
  readonly relativeHalfWidth: number | undefined;
  /** Samples beyond Tukey's fences. */
  readonly outliers: number;
  /** True if the samples gather around more than one value. */
  readonly multimodal: boolean;
}

/** Below this count, the interval comes from ranks: resampling would make it too narrow. */
export const FEW_SAMPLES = 20;

/** The samples in increasing order, as a new array. */
export function sorted(samples: readonly number[]): Float64Array<ArrayBuffer> {
  return Float64Array.from(samples).sort();
}

/**
 * The median of samples.
 *
 * @param samples finite numbers in any order
 * @returns the middle one, or the mean of the middle two; undefined if there are none
 */
export function median(samples: readonly number[]): number | undefined {
  return samples.length === 0 ? undefined : medianSorted(sorted(samples) as unknown as number[]);
}

/**
 * A confidence interval of the median that is valid for any distribution. Its ends are two of the
 * samples. The number of samples below the true median follows a binomial distribution. This
 * distribution determines how far from the middle the two ends must lie.
 *
 * Source: H. A. David and H. N. Nagaraja, Order Statistics (2003), section 7.1.
 *
 * @param samples independent samples in any order
 * @param confidence the least coverage, in (0, 1). Default 0.95
 * @returns undefined if there are too few samples for this confidence; 0.95 needs at least 6
 */
export function orderStatisticInterval(
  samples: readonly number[],
  confidence = 0.95,
): Interval | undefined {
  const ordered = sorted(samples);
  const n = ordered.length;
  let below = 0; // P(Binomial(n, 1/2) < rank); logarithms keep its terms from underflow
  let logTerm = -n * Math.LN2;
  let rank = 0;
  while (rank < n / 2) {
    const next = below + Math.exp(logTerm);
    if (2 * next > 1 - confidence) break;
    below = next;
    logTerm += Math.log((n - rank) / (rank + 1));
    rank++;
  }
  return rank === 0 ? undefined : { low: ordered[rank - 1]!, high: ordered[n - rank]! };
}

/**
 * A confidence interval of the median. It comes from order statistics for fewer than 20 samples,
 * else from a block bootstrap. Unlike a plain one, it is valid even if the machine drifts.
 *
 * @param samples in the order of measuring
 * @param options confidence and seed
 * @returns undefined for too few samples: at 95 %, fewer than 6
 * @throws {RangeError} if the confidence is not between 0 and 1
 *
 * @example
 * ```ts
 * import { median, medianInterval } from "./summary.ts";
 *
 * const samples = [101, 99, 100, 104, 98, 100, 102, 97];
 * console.log(median(samples), medianInterval(samples)); // 100, { low: 97, high: 104 }
 * ```
 */
export function medianInterval(
  samples: readonly number[],
  options: IntervalOptions = {},
): Interval | undefined {
  const { confidence = 0.95, seed = 1 } = options;
  checkConfidence(confidence);
  if (samples.length < FEW_SAMPLES) return orderStatisticInterval(samples, confidence);
  return percentiles(bootstrapMedians(samples, seed), confidence);
}

/**
 * The central interval of a list of resampled values.
 *
 * @param values at least one
 * @param confidence the share of values inside, in (0, 1)
 */
export function percentiles(values: ArrayLike<number>, confidence: number): Interval {
  const ordered = Float64Array.from(values).sort() as unknown as number[];
  return {
    low: quantileSorted(ordered, (1 - confidence) / 2),
    high: quantileSorted(ordered, (1 + confidence) / 2),
  };
}

/** Throws a RangeError unless a confidence is between 0 and 1. */
export function checkConfidence(confidence: number): void {
  if (!(confidence > 0 && confidence < 1)) {
    throw new RangeError(`confidence is ${confidence}, wanted a number between 0 and 1`);
  }
}

/**
 * Counts the samples beyond Tukey's fences: further than 1.5 interquartile ranges from the
 * quartiles. They are counted, not removed: interruptions are part of a machine's behavior.
 *
 * @param samples in any order
 * @returns 0 for fewer than 4 samples
 */
export function outlierCount(samples: readonly number[]): number {
  if (samples.length < 4) return 0;
  const ordered = sorted(samples) as unknown as number[];
  const low = quantileSorted(ordered, 0.25);
  const high = quantileSorted(ordered, 0.75);
  const reach = 1.5 * (high - low);
  return samples.filter((sample) => sample < low - reach || sample > high + reach).length;
}

/**
 * Computes all of a {@linkcode Summary}.
 *
 * @param samples positive numbers in the order of measuring
 * @throws {RangeError} if the confidence is not between 0 and 1
 */
export function summarize(samples: readonly number[], options: IntervalOptions = {}): Summary {
  const center = median(samples);
  const interval = medianInterval(samples, options);
  return {
    count: samples.length,
    median: center,
    interval,
    relativeHalfWidth: center === undefined || interval === undefined || center <= 0
      ? undefined
      : (interval.high - interval.low) / 2 / center,
    outliers: outlierCount(samples),
    multimodal: isMultimodal(samples),
  };
}
