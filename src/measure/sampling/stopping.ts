/**
 * When to stop sampling: the median is precise enough, the noise no longer changes, or the time or
 * the number of samples is used up. `../bench_run.ts` has the bench's limits, and
 * `../timing/repeats.ts` says how often a plan runs per sample.
 */
import type { StopReason } from "../result_file.ts";
import { median, orderStatisticInterval } from "../../statistics/summary.ts";

/** The limits that end the sampling of a measurement; the first one reached counts. */
export interface StoppingRule {
  /** The median is precise if its interval's relative half-width is at most this. */
  readonly targetHalfWidth: number;
  /** Neither a precise median nor stable noise ends the sampling before this many samples. */
  readonly minimumSamples: number;
  /** The most samples. */
  readonly maximumSamples: number;
  /** The time for sampling, in ns. It triples while there are too few samples for an interval. */
  readonly budget: number;
}

/** Fewer samples than this give no 95 % interval. */
const INTERVAL_SAMPLES = 6;
/** The noise is stable if this many estimates in a row agree. Each sample gives a new estimate. */
const STABLE_WINDOW = 8;
/** An estimate of the noise needs at least this many samples. */
const STABLE_FROM = 20;
/** Estimates of the noise agree if they differ by at most this share of the greatest. */
const STABLE_CHANGE = 0.1;

/**
 * The relative half-width of the median's 95 % interval. The interval's ends are two of the samples
 * (order statistics), so the interval assumes nothing about the noise's distribution.
 *
 * @returns half the interval's width divided by the median; undefined if there is no interval
 */
export function relativeHalfWidth(samples: readonly number[]): number | undefined {
  const center = median(samples);
  const interval = orderStatisticInterval(samples);
  if (center === undefined || interval === undefined) return undefined;
  return (interval.high - interval.low) / 2 / center;
}

// The noise: half the interquartile range divided by the median. Outliers hardly change it.
function noise(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const quantile = (q: number): number => sorted[Math.round(q * (sorted.length - 1))]!;
  return (quantile(0.75) - quantile(0.25)) / 2 / quantile(0.5);
}

/**
 * True if further samples hardly change the estimate of the noise: the estimates after each of the
 * last eight samples differ by at most a tenth. If only a target width ended the sampling, a noisy
 * machine would sample until the budget ends without learning more.
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
 * @param samples the samples so far, in the order of measuring
 * @param options.rule the stopping rule
 * @param options.elapsed nanoseconds of sampling so far
 * @returns the reason to stop, or undefined to continue
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
  const patience = samples.length >= INTERVAL_SAMPLES ? rule.budget : 3 * rule.budget;
  return samples.length > 0 && elapsed >= patience ? "budget" : undefined;
}
