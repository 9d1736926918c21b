/** What two measurements of one run say about each other. */
import { differenceOf, type Estimate, ratioInterval } from "../estimate.ts";
import type { Interval } from "../../statistics/summary.ts";

/** How many times one measurement is another. */
export interface WithinRun {
  readonly ratio: number;
  /** The ratio's 95 % interval; undefined if there are too few rounds for one. */
  readonly interval: Interval | undefined;
}

/**
 * Compares two measurements of one run, which the same processes took: what a process slows down,
 * it slows down for both, so that only the rest of their errors counts.
 *
 * @param baseline from `estimateTimes` of the run's measurements
 * @param candidate likewise
 * @returns the candidate over the baseline
 *
 * @example
 * ```ts
 * import { estimateTimes } from "../estimate.ts";
 * import type { Measurement } from "../result_file.ts";
 * import { compareWithinRun } from "./within_run.ts";
 *
 * function ratio(measurements: readonly Measurement[]): number {
 *   const times = estimateTimes(measurements);
 *   const [plain, other] = measurements.map((each) => times.get(each)!.time);
 *   return compareWithinRun(plain!, other!).ratio;
 * }
 * ```
 */
export function compareWithinRun(baseline: Estimate, candidate: Estimate): WithinRun {
  const pair = { baseline: ownErrors(baseline), candidate: ownErrors(candidate) };
  const difference = differenceOf([pair])!;
  const known = pair.baseline.errors.length > 0 && pair.candidate.errors.length > 0;
  return {
    ratio: Math.exp(difference.center),
    interval: known ? ratioInterval(difference) : undefined,
  };
}

// The first source of several processes' errors is common to all measurements of a round.
function ownErrors(estimate: Estimate): Estimate {
  const { errors, processes } = estimate;
  return processes < 2 ? estimate : { ...estimate, errors: errors.slice(1) };
}
