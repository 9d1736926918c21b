/** Compares two measurements of one run. */
import { differenceOf, type Estimate, ratioInterval } from "../estimate.ts";
import type { Interval } from "../../statistics/summary.ts";

/** The ratio of two measurements. */
export interface WithinRun {
  readonly ratio: number;
  /** The ratio's 95 % interval; undefined if the error of either measurement is unknown. */
  readonly interval: Interval | undefined;
}

/**
 * Compares two measurements that the same processes of one run took. A slow process slows both
 * measurements, so this part of their errors cancels in the ratio.
 *
 * @param baseline the first time, from `estimateTimes` of all measurements of the run
 * @param candidate the second time, from the same call
 * @returns the candidate's time divided by the baseline's
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

// Drops the first error, which comes from slow processes: they slow both measurements alike. The
// estimate from a single process keeps all its errors.
function ownErrors(estimate: Estimate): Estimate {
  const { errors, processes } = estimate;
  return processes < 2 ? estimate : { ...estimate, errors: errors.slice(1) };
}
