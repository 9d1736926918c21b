/**
 * The study's statistics: few seeds, paired by seed. Everything is exact or says how far it can
 * reach: with five pairs no two-sided test gets below 1/16.
 */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { type Interval, median, medianInterval, sorted } from "../../statistics/summary.ts";
import { sum } from "../../statistics/mean.ts";

/** A median over seeds, with an interval and the confidence that the interval really has. */
export interface SeedSummary {
  /** How many seeds. */
  readonly count: number;
  /** undefined means no data. */
  readonly median: number | undefined;
  /** undefined below 2 seeds. */
  readonly interval: Interval | undefined;
  /**
   * How likely the interval covers the true median: 0.95, or less where the seeds are too few for
   * it.
   */
  readonly confidence: number | undefined;
}

/**
 * The median over seeds.
 *
 * From 6 seeds on the interval has 95 %. Fewer cannot give that: their whole range is taken, whose
 * confidence is `1 − 2^(1−n)`, 93.75 % for 5 seeds.
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
  /** How many differences. */
  readonly count: number;
  /** How many of them are above 0. */
  readonly positive: number;
  /** The probability of a sum at least as large, if every difference's sign were a coin's. */
  readonly greater: number;
  /** The probability of a sum at least as small. */
  readonly less: number;
  /** The probability of a sum at least as far from 0. */
  readonly twoSided: number;
  /** The smallest one-sided probability that this many differences can reach, 2^−n. */
  readonly least: number;
  /** exact: from all choices of signs. drawn: from a seeded sample of them. */
  readonly method: "exact" | "drawn";
}

/** With up to this many differences, all choices of signs are tried: about a million. */
const MOST_EXACT = 20;
const DRAWS = 100_000;

/**
 * The sign-flip permutation test of paired differences: were one arm like the other, each
 * difference would be as likely with the other sign. The statistic is the sum.
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
  // Equal sums may differ by rounding when their signs are flipped one after the other.
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
  // Drawn choices count the observed one as well (Phipson and Smyth 2010), so that none is 0.
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

/** A figure at a step of training. */
export interface StepValue {
  readonly step: number;
  readonly value: number;
}

/**
 * The first measured step at which a figure reaches a level. Nothing between measurements is
 * guessed.
 *
 * @param series in the order of the steps
 * @param level what is to be reached
 * @returns undefined if it never was
 */
export function firstReached(series: readonly StepValue[], level: number): number | undefined {
  return series.find(({ value }) => value >= level)?.step;
}
