/**
 * Whether one measurement is faster or slower than another one, or the same, or whether the
 * processes that took them cannot tell.
 *
 * Faster or slower takes three things: the times differ by more than the threshold; the difference
 * is significant by Welch's test over processes, after Holm's correction for the whole table; and
 * between two runs of one machine, the same holds for the CPU time where it is known, else for the
 * time relative to the reference kernel's. Equality must be shown as well: the whole interval has
 * to lie within the threshold. Everything else is ambiguous, for a reason that is given.
 *
 * `pair.ts` gathers the evidence; `comparison.ts` corrects the p-values of a table.
 */
import { type Doubt, doubtOf } from "./doubt.ts";
import type { PairComparison } from "./pair.ts";

/** What can be said of a candidate against its baseline. */
export type Verdict = "faster" | "slower" | "same" | "ambiguous" | "no data";

/** How {@linkcode judge} decides. */
export interface JudgeOptions {
  /** The relative change that matters, above 0. Default 0.05. */
  readonly threshold?: number;
  /** The p-value after correction for the whole table. Default the pair's own. */
  readonly correctedPValue?: number | undefined;
  /** The greatest p-value that still counts as a difference. Default 0.02. */
  readonly significance?: number;
}

/** Result of {@linkcode judge}. */
export interface Judgment {
  readonly verdict: Verdict;
  /** Why the verdict is ambiguous; undefined for every other verdict. */
  readonly doubt: Doubt | undefined;
}

/**
 * The greatest p-value that counts as a difference, after correction: the chance of a false verdict
 * anywhere in a table. With three processes and bursts of other work Welch's approximation lets
 * through up to twice its level (simulated in the tests), so that one table in twenty is the most.
 */
export const SIGNIFICANCE = 0.02;

/** The default of `threshold`: changes of up to 5 % are the same. */
export const DEFAULT_THRESHOLD = 0.05;

/**
 * Decides what a comparison means.
 *
 * @param pair from `comparePair`
 * @param options the threshold and the corrected p-value
 * @returns faster or slower is said of the candidate
 * @throws {RangeError} if the threshold is not a positive number
 */
export function judge(pair: PairComparison, options: JudgeOptions = {}): Judgment {
  const { threshold = DEFAULT_THRESHOLD, significance = SIGNIFICANCE } = options;
  if (!(threshold > 0 && threshold < Infinity)) {
    throw new RangeError(`judge: threshold is ${threshold}, wanted a positive number`);
  }
  const { interval, pValue, evidence } = pair;
  const certain = (verdict: Verdict): Judgment => ({ verdict, doubt: undefined });
  if (interval === undefined || pValue === undefined) return certain("no data");
  const limit = Math.log1p(threshold); // The same distance both ways: twice as fast is half as slow.
  const correctedPValue = options.correctedPValue ?? pValue;
  if (correctedPValue <= significance) {
    if (evidence.every(({ center }) => center > limit)) return certain("slower");
    if (evidence.every(({ center }) => center < -limit)) return certain("faster");
  }
  if (Math.log(interval.low) > -limit && Math.log(interval.high) < limit) return certain("same");
  // What Holm's correction took from this row's level.
  const level = significance * Math.min(1, pValue / correctedPValue) || significance;
  return { verdict: "ambiguous", doubt: doubtOf(pair, { limit, level, correctedPValue }) };
}
