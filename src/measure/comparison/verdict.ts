/**
 * Decides whether one measurement is faster than another, slower, the same, or too uncertain to
 * tell.
 *
 * "Faster" and "slower" need two things. First, the times differ by more than the threshold.
 * Second, the difference is significant by Welch's test over processes, after Holm's correction for
 * the whole table. For two runs on one machine, one after the other, the CPU times must meet both
 * conditions too. Without CPU times, the times divided by the reference kernel's must meet them. If
 * the machine changed between the runs, the row must also stand out from the other rows. In a joint
 * run (`--beside`), the more precise of time and CPU time must meet both conditions, and if the two
 * disagree, both times must.
 *
 * "Same" needs evidence too: the whole interval of the change must lie within the threshold. Every
 * other case is ambiguous, with a reason.
 *
 * `pair.ts` gathers the evidence. `../comparison.ts` corrects the p-values of a table.
 */
import { type Doubt, doubtOf } from "./doubt.ts";
import type { PairComparison } from "./pair.ts";

/** The verdict on a candidate against its baseline. */
export type Verdict = "faster" | "slower" | "same" | "ambiguous" | "no data";

/** Options of {@linkcode judge}. */
export interface JudgeOptions {
  /** Only a relative change above this counts as faster or slower. Positive; default 0.05. */
  readonly threshold?: number;
  /** The p-value after correction for the whole table. Default: the pair's own p-value. */
  readonly correctedPValue?: number | undefined;
  /** The greatest p-value that counts as a difference. Default 0.02. */
  readonly significance?: number;
}

/** Result of {@linkcode judge}. */
export interface Judgment {
  readonly verdict: Verdict;
  /** Why the verdict is ambiguous; undefined for every other verdict. */
  readonly doubt: Doubt | undefined;
}

/**
 * The greatest p-value, after correction for the whole table, that counts as a difference. So at
 * most 2 % of tables have a false verdict. With three processes and bursts of other work, Welch's
 * test can err twice as often (simulated in the tests). Then 4 % of tables have a false verdict,
 * which is still fewer than one in twenty.
 */
export const SIGNIFICANCE = 0.02;

/** The default of `threshold`: only changes above 5 % count as faster or slower. */
export const DEFAULT_THRESHOLD = 0.05;

/**
 * Decides the verdict on a candidate against its baseline.
 *
 * @param pair from `comparePair`
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
  const limit = Math.log1p(threshold); // As logarithms, ×2 and ÷2 are equally far from 0.
  const correctedPValue = options.correctedPValue ?? pValue;
  if (correctedPValue <= significance) {
    if (evidence.every(({ center }) => center > limit)) return certain("slower");
    if (evidence.every(({ center }) => center < -limit)) return certain("faster");
  }
  if (Math.log(interval.low) > -limit && Math.log(interval.high) < limit) return certain("same");
  // The row's significance level after Holm's correction.
  const level = significance * Math.min(1, pValue / correctedPValue) || significance;
  return { verdict: "ambiguous", doubt: doubtOf(pair, { limit, level, correctedPValue }) };
}
