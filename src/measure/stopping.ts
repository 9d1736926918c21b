/**
 * When to stop sampling: the median is known well enough, or the noise no longer changes, or the time is up.
 *
 * Knows nothing of GPUs or clocks.
 */
import type { StopReason } from "./result_file.ts";

/** What ends the sampling of one measurement, whichever comes first. */
export interface StoppingRule {
  /** Relative half-width of the median's 95 % interval at which the median counts as precise, such as 0.01. */
  readonly targetHalfWidth: number;
  /** Fewer samples than these end only with the budget. */
  readonly minimumSamples: number;
  /** No more samples than these. */
  readonly maximumSamples: number;
  /** Nanoseconds of sampling. */
  readonly budget: number;
}

/** The median of a sample and an interval that holds the true median with the confidence asked for. */
export interface MedianInterval {
  readonly median: number;
  /** Absent below six samples, where no interval of 95 % exists. */
  readonly interval?: readonly [low: number, high: number];
}

/** Sample counts between which the noise is compared, and from which on. */
const STABLE_WINDOW = 8;
const STABLE_FROM = 20;
/** The noise counts as stable while its greatest and least value in the window differ by less than this part. */
const STABLE_CHANGE = 0.1;

/**
 * The median, with the distribution-free interval between two order statistics: the k-th smallest and the
 * k-th largest value, k being the greatest for which a fair coin thrown n times shows fewer than k heads with
 * probability of at most 2.5 %. Needs no assumption about the noise; source: Conover, Practical
 * Nonparametric Statistics, section 3.2.
 *
 * @param samples at least one finite number, in any order
 * @returns the median, and the 95 % interval where there are at least six samples
 * @throws {RangeError} if there is no sample
 */
export function medianInterval(samples: readonly number[]): MedianInterval {
  if (samples.length === 0) throw new RangeError("medianInterval: there is no sample");
  const sorted = samples.toSorted((a, b) => a - b);
  const n = sorted.length;
  const median = (sorted[(n - 1) >> 1]! + sorted[n >> 1]!) / 2;
  const rank = intervalRank(n);
  return rank === 0 ? { median } : { median, interval: [sorted[rank - 1]!, sorted[n - rank]!] };
}

// The greatest k with P(Binomial(n, 1/2) < k) <= 0.025, 0 if there is none. Sums of logarithms: 2^-n underflows.
function intervalRank(n: number): number {
  let logTerm = -n * Math.LN2;
  let below = 0;
  let rank = 0;
  for (; rank < n / 2; rank++) {
    below += Math.exp(logTerm);
    if (below > 0.025) break;
    logTerm += Math.log((n - rank) / (rank + 1));
  }
  return rank;
}

/**
 * The relative half-width of the median's interval.
 *
 * @param samples positive numbers
 * @returns half the interval's width divided by the median; undefined where there is no interval
 */
export function relativeHalfWidth(samples: readonly number[]): number | undefined {
  if (samples.length === 0) return undefined;
  const { median, interval } = medianInterval(samples);
  return interval === undefined ? undefined : (interval[1] - interval[0]) / 2 / median;
}

// Half the interquartile range divided by the median: outliers do not move it.
function noise(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const quantile = (q: number): number => sorted[Math.round(q * (sorted.length - 1))]!;
  return (quantile(0.75) - quantile(0.25)) / 2 / quantile(0.5);
}

/**
 * True once more samples no longer change the estimate of the noise: over the last eight sample counts
 * its greatest and least value differ by less than a tenth. Taken alone, a target width would let a noisy
 * machine sample until the budget ends without learning anything.
 *
 * @param samples in the order of measuring
 */
export function isNoiseStable(samples: readonly number[]): boolean {
  if (samples.length < STABLE_FROM + STABLE_WINDOW - 1) return false;
  const values = Array.from(
    { length: STABLE_WINDOW },
    (_, i) => noise(samples.slice(0, samples.length - i)),
  );
  const greatest = Math.max(...values);
  return greatest - Math.min(...values) <= STABLE_CHANGE * greatest;
}

/**
 * Tells whether, and why, the sampling of a measurement ends.
 *
 * @param samples so far, in the order of measuring
 * @param options.rule when to stop
 * @param options.elapsed nanoseconds of sampling so far
 * @returns the reason to stop, or undefined to go on
 */
export function stopReason(
  samples: readonly number[],
  { rule, elapsed }: { readonly rule: StoppingRule; readonly elapsed: number },
): StopReason | undefined {
  if (samples.length >= rule.maximumSamples) return "samples";
  if (samples.length >= rule.minimumSamples) {
    const width = relativeHalfWidth(samples);
    if (width !== undefined && width <= rule.targetHalfWidth) return "precise";
    if (isNoiseStable(samples)) return "stable";
  }
  return samples.length > 0 && elapsed >= rule.budget ? "budget" : undefined;
}
