/**
 * Finds the candidates of a race that need no more samples: they certainly lose.
 *
 * Knows nothing of GPUs or clocks.
 */
import { median, orderStatisticInterval } from "../../statistics/summary.ts";

/**
 * Before there are enough samples for intervals, from this many on, and by this factor, a candidate
 * has lost.
 */
const FEW = 3;
const CLEARLY = 1.5;

/**
 * The candidates that are beaten: the whole interval of the median lies above the best candidate's.
 * With fewer samples than an interval takes (six), from three on: every sample lies above one and a
 * half times the best candidate's slowest.
 *
 * @param samples of each candidate, taken in turns with the others; times, the less the better
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
