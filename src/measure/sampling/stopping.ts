/**
 * When to stop sampling: the median is known well enough, or the noise no longer changes, or the
 * time is up.
 *
 * Knows nothing of GPUs or clocks.
 */
import type { StopReason } from "../result_file.ts";
import { median, orderStatisticInterval } from "../../statistics/summary.ts";

/** What ends the sampling of one measurement, whichever comes first. */
export interface StoppingRule {
  /**
   * Relative half-width of the median's 95 % interval at which the median counts as precise, such
   * as 0.01.
   */
  readonly targetHalfWidth: number;
  /** Fewer samples than these end only with the budget. */
  readonly minimumSamples: number;
  /** No more samples than these. */
  readonly maximumSamples: number;
  /** Nanoseconds of sampling; tripled until there are the six samples that an interval needs. */
  readonly budget: number;
}

/** Fewer samples have no interval of 95 %. */
const INTERVAL_SAMPLES = 6;
/** Sample counts between which the noise is compared, and from which on. */
const STABLE_WINDOW = 8;
const STABLE_FROM = 20;
/**
 * The noise counts as stable while its greatest and least value in the window differ by less than
 * this part.
 */
const STABLE_CHANGE = 0.1;

/**
 * The relative half-width of the median's interval between order statistics: it assumes nothing of
 * the noise, and costs a sort.
 *
 * @param samples positive numbers
 * @returns half the interval's width divided by the median; undefined where there is no interval
 */
export function relativeHalfWidth(samples: readonly number[]): number | undefined {
  const center = median(samples);
  const interval = orderStatisticInterval(samples);
  if (center === undefined || interval === undefined) return undefined;
  return (interval.high - interval.low) / 2 / center;
}

// Half the interquartile range divided by the median: outliers do not move it.
function noise(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const quantile = (q: number): number => sorted[Math.round(q * (sorted.length - 1))]!;
  return (quantile(0.75) - quantile(0.25)) / 2 / quantile(0.5);
}

/**
 * True once more samples no longer change the estimate of the noise: over the last eight sample
 * counts its greatest and least value differ by less than a tenth. Taken alone, a target width
 * would let a noisy machine sample until the budget ends without learning anything.
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
  const patience = samples.length >= INTERVAL_SAMPLES ? rule.budget : 3 * rule.budget;
  return samples.length > 0 && elapsed >= patience ? "budget" : undefined;
}
