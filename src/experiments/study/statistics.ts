/**
 * The study's statistics for few seeds. To compare two arms, their values are paired by seed. With
 * five pairs, for example, no two-sided p-value can be below 1/16.
 */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { type Interval, median, medianInterval, sorted } from "../../statistics/summary.ts";
import { sum } from "../../statistics/mean.ts";

/** A median over seeds, with its confidence interval. */
export interface SeedSummary {
  /** The number of seeds. */
  readonly count: number;
  /** undefined means no data. */
  readonly median: number | undefined;
  /** undefined for fewer than 2 seeds. */
  readonly interval: Interval | undefined;
  /**
   * The probability that the interval covers the true median: 0.95, or less with fewer than 6
   * seeds.
   */
  readonly confidence: number | undefined;
}

/**
 * Finds the median over seeds and its confidence interval. With 6 or more seeds the confidence is
 * 95 %. With n seeds, 2 to 5, that cannot be reached. Then the interval goes from the least to the
 * greatest value, with a confidence of `1 − 2^(1−n)`: 93.75 % for 5 seeds.
 *
 * @param values one per seed, finite
 *
 * @example
 * ```ts
 * import { summarizeSeeds } from "./statistics.ts";
 *
 * console.log(summarizeSeeds([3, 1, 2, 5, 4])); // median 3, interval 1 to 5, confidence 0.9375
 * ```
 */
export function summarizeSeeds(values: readonly number[]): SeedSummary {
  const count = values.length;
  const center = median(values);
  const interval = count < 2 ? undefined : medianInterval(values);
  if (count < 2 || interval !== undefined) {
    return { count, median: center, interval, confidence: interval && 0.95 };
  }
  const ordered = sorted(values);
  return {
    count,
    median: center,
    interval: { low: ordered[0]!, high: ordered[count - 1]! },
    confidence: 1 - 2 ** (1 - count),
  };
}

/** Result of {@linkcode signFlipTest}. */
export interface SignFlipTest {
  /** The number of differences. */
  readonly count: number;
  /** The number of differences above 0. */
  readonly positive: number;
  /** The probability that, with random signs, the sum is at least the observed one. */
  readonly greater: number;
  /** The probability that, with random signs, the sum is at most the observed one. */
  readonly less: number;
  /** The probability that, with random signs, the sum is no closer to 0 than the observed one. */
  readonly twoSided: number;
  /**
   * The least possible `greater` or `less`: 2^−n for n differences; 1/100,001 if signs are drawn.
   */
  readonly least: number;
  /** `exact` tries all choices of signs; `drawn` tries 100,000 random ones. */
  readonly method: "exact" | "drawn";
}

/** Up to this many differences, all choices of signs are tried: at most 2^20, about a million. */
const MOST_EXACT = 20;
const DRAWS = 100_000;

/**
 * The sign-flip permutation test of paired differences. If the arms do not differ, each difference
 * is as likely as its negative. The statistic is the sum of the differences.
 *
 * Source: R. A. Fisher, The Design of Experiments (1935), section 21.
 *
 * @param differences one per pair, finite
 * @returns undefined without differences
 *
 * @example
 * ```ts
 * import { signFlipTest } from "./statistics.ts";
 *
 * console.log(signFlipTest([0.3, 0.1, 0.2, 0.4, 0.2])?.greater); // 1/32
 * ```
 */
export function signFlipTest(differences: readonly number[]): SignFlipTest | undefined {
  const count = differences.length;
  if (count === 0) return undefined;
  const observed = sum(differences);
  // Sums that are equal in exact arithmetic may differ by rounding, so sums within `slack` of each
  // other count as equal.
  const slack = 1e-12 * sum(differences.map(Math.abs));
  const exact = count <= MOST_EXACT;
  const total = exact ? 2 ** count : DRAWS;
  let greater = 0;
  let less = 0;
  let beyond = 0;
  const take = (sum: number): void => {
    if (sum >= observed - slack) greater++;
    if (sum <= observed + slack) less++;
    if (Math.abs(sum) >= Math.abs(observed) - slack) beyond++;
  };
  if (exact) {
    for (let signs = 0; signs < total; signs++) {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        sum += (signs >> i) & 1 ? -differences[i]! : differences[i]!;
      }
      take(sum);
    }
  } else {
    const generator = xoroshiro128plus(count);
    for (let draw = 0; draw < total; draw++) {
      let sum = 0;
      for (const each of differences) sum += generator.next() < 0 ? -each : each;
      take(sum);
    }
  }
  // If signs are drawn, the observed signs count as one more draw, so no share is 0 (Phipson and
  // Smyth 2010).
  const share = (hits: number): number => exact ? hits / total : (hits + 1) / (total + 1);
  return {
    count,
    positive: differences.filter((each) => each > 0).length,
    greater: share(greater),
    less: share(less),
    twoSided: share(beyond),
    least: exact ? 2 ** -count : 1 / (DRAWS + 1),
    method: exact ? "exact" : "drawn",
  };
}

/** The value of a figure after a number of training steps. */
export interface StepValue {
  readonly step: number;
  readonly value: number;
}

/**
 * Finds the first measured step at which a figure is at least `level`, without interpolating.
 *
 * @param series the figure's values, in the order of the steps
 * @returns undefined if no value is that high
 */
export function firstReached(series: readonly StepValue[], level: number): number | undefined {
  return series.find(({ value }) => value >= level)?.step;
}
