/** Finds the candidates of a race that certainly lose and need no more samples. */
import { median, orderStatisticInterval } from "../../statistics/summary.ts";

/** A candidate with fewer samples than this is never beaten. */
const FEW = 3;
const CLEARLY = 1.5;

/**
 * Finds the beaten candidates. A candidate is beaten if the interval of its median lies entirely
 * above the best candidate's interval, or if each of its samples exceeds one and a half times the
 * best candidate's slowest sample. The second rule works from three samples on, which are too few
 * for an interval.
 *
 * @param samples each candidate's times; the candidates were sampled in turn
 * @returns the indices of the beaten candidates; never all of them
 *
 * @example
 * ```ts
 * import { beatenCandidates } from "./race.ts";
 *
 * console.log([...beatenCandidates([[10, 11, 12], [30, 29, 33], [13, 10, 12]])]); // [1]
 * ```
 */
export function beatenCandidates(samples: readonly (readonly number[])[]): ReadonlySet<number> {
  const medians = samples.map((each) => each.length < FEW ? undefined : median(each));
  let best = -1;
  for (const [i, center] of medians.entries()) {
    if (center !== undefined && (best < 0 || center < medians[best]!)) best = i;
  }
  const leader = samples[best];
  if (leader === undefined) return new Set();
  const interval = orderStatisticInterval(leader);
  const slowest = Math.max(...leader);
  return new Set(
    samples.flatMap((each, i) => {
      if (i === best || each.length < FEW) return [];
      const own = orderStatisticInterval(each);
      const beaten = Math.min(...each) > CLEARLY * slowest ||
        (own !== undefined && interval !== undefined && own.low > interval.high);
      return beaten ? [i] : [];
    }),
  );
}
