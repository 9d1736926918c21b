/**
 * Whether one measurement is faster or slower than another one, or the same, or whether the samples
 * cannot tell.
 *
 * A difference must pass four gates: the medians differ by more than a threshold and what the runs
 * wander by themselves, every part of the run agrees on the direction, the interval of the ratio
 * excludes 1, and the rank test still speaks after Holm's correction for the whole table. Equality
 * must be shown as well: the whole interval has to lie within the threshold. Everything else is
 * ambiguous.
 */
import { bootstrapMedians } from "../../statistics/bootstrap.ts";
import { mannWhitney } from "../../statistics/significance.ts";
import {
  checkConfidence,
  FEW_SAMPLES,
  type Interval,
  type IntervalOptions,
  median,
  medianInterval,
  percentiles,
} from "../../statistics/summary.ts";

/** What can be said of a candidate against its baseline. */
export type Verdict = "faster" | "slower" | "same" | "ambiguous" | "no data";

/** The part of a measurement that a comparison needs. */
export interface SampledRun {
  /** Positive times in the order of measuring. */
  readonly samples: readonly number[];
  /** How many consecutive samples belong to each round. */
  readonly rounds?: readonly number[];
  /** Times of a fixed reference kernel during the same measurement. */
  readonly throttleSamples?: readonly number[];
  /** The process's CPU time for each sample, measured where the adapter computes on the CPU. */
  readonly cpuSamples?: readonly number[];
}

/** What two runs of the same measurement say about each other. */
export interface PairComparison {
  /** The candidate's median time divided by the baseline's: below 1 is faster. */
  readonly ratio: number | undefined;
  /** The ratio's 95 % interval. */
  readonly interval: Interval | undefined;
  /** The same ratio for each part of the runs, in order. */
  readonly partRatios: readonly number[];
  /** Of the Mann–Whitney U test, before any correction. */
  readonly pValue: number | undefined;
  /**
   * By how much the runs wander beyond their samples' scatter, as a relative change: what a run
   * cannot hold still by itself, it will not repeat either.
   */
  readonly wander: number;
  /** How the fixed reference kernel's time changed; undefined where it was not run in both. */
  readonly throttleRatio: number | undefined;
  /** How the CPU time changed; undefined where it was not measured in both. */
  readonly cpuRatio: number | undefined;
}

/** How {@linkcode judge} decides. */
export interface JudgeOptions {
  /** The relative change that matters, above 0. Default 0.05. */
  readonly threshold?: number;
  /** The p-value after correction for the whole table. Default the pair's own. */
  readonly correctedPValue?: number | undefined;
  /** The greatest p-value that still counts as a difference. Default 0.05. */
  readonly significance?: number;
  /**
   * True if both runs come from one machine, where a slower reference kernel means a slower clock
   * and not a slower candidate. Default false.
   */
  readonly sameMachine?: boolean;
}

/** The greatest p-value that counts as a difference, after correction. */
export const SIGNIFICANCE = 0.05;

/** The default of `threshold`: changes of up to 5 % are the same. */
export const DEFAULT_THRESHOLD = 0.05;

/** Into how many parts a run is cut that has no rounds of its own, or more rounds than this. */
const PARTS = 5;

/** The fewest samples of a part: a median of fewer flips its sign by chance. */
const LEAST_PART = 3;

/** Cuts samples into consecutive parts of nearly equal size, or of nearly equally many rounds. */
function parts(run: SampledRun, count: number): readonly (readonly number[])[] {
  const { samples, rounds = [] } = run;
  const ends = [0];
  for (const size of rounds) ends.push(ends.at(-1)! + size);
  const cuts = Array.from(
    { length: count + 1 },
    (_, i) =>
      rounds.length >= count
        ? ends[Math.round(i / count * rounds.length)]!
        : Math.round(i / count * samples.length),
  );
  return Array.from({ length: count }, (_, i) => samples.slice(cuts[i]!, cuts[i + 1]!));
}

/** Into how many parts both runs can be cut. */
function partCount(baseline: SampledRun, candidate: SampledRun): number {
  const fewest = Math.min(baseline.samples.length, candidate.samples.length);
  return Math.max(1, Math.min(PARTS, Math.floor(fewest / LEAST_PART)));
}

/**
 * The standard deviation of the parts' medians, in logarithms, beyond what the scatter within the
 * parts explains.
 */
function wanderOf(run: SampledRun, count: number): number {
  if (count < 2) return 0;
  const logs = parts({ ...run, samples: run.samples.map(Math.log) }, count);
  const centers = logs.flatMap((part) => median(part) ?? []);
  if (centers.length < 2) return 0;
  const mean = centers.reduce((sum, center) => sum + center, 0) / centers.length;
  const between = centers.reduce((sum, center) => sum + (center - mean) ** 2, 0) /
    (centers.length - 1);
  // The samples' own scatter from the quartiles, around each part's median; a median of n normal
  // values has a standard error of √(π/2) σ/√n.
  const rest = logs.flatMap((part, i) => part.map((value) => Math.abs(value - centers[i]!)));
  const sigma = (median(rest) ?? 0) / 0.6745;
  const within = (Math.PI / 2) * sigma ** 2 / (run.samples.length / centers.length);
  return Math.sqrt(Math.max(0, between - within));
}

/** The ratio of medians for each part of the two runs. */
function ratiosOfParts(baseline: SampledRun, candidate: SampledRun): number[] {
  const count = partCount(baseline, candidate);
  const before = parts(baseline, count);
  const after = parts(candidate, count);
  return before.flatMap((part, i) => {
    const [low, high] = [median(part), median(after[i]!)];
    return low === undefined || high === undefined ? [] : [high / low];
  });
}

/**
 * The ratio of two medians with its interval.
 *
 * @param numerator positive samples in the order of measuring
 * @param denominator likewise
 * @param options confidence and seed
 * @returns undefined where a list is empty; the interval is undefined where one has fewer than 6
 * samples. With fewer than 20 it is the quotient of the medians' own intervals, which is wider than
 * it need be; else it comes from a block bootstrap of both lists
 */
export function ratioOfMedians(
  numerator: readonly number[],
  denominator: readonly number[],
  options: IntervalOptions = {},
): { ratio: number; interval: Interval | undefined } | undefined {
  const { confidence = 0.95, seed = 1 } = options;
  checkConfidence(confidence);
  const above = median(numerator);
  const below = median(denominator);
  if (above === undefined || below === undefined) return undefined;
  const ratio = above / below;
  if (Math.min(numerator.length, denominator.length) < FEW_SAMPLES) {
    const top = medianInterval(numerator, { confidence, seed });
    const bottom = medianInterval(denominator, { confidence, seed });
    return {
      ratio,
      interval: top && bottom && { low: top.low / bottom.high, high: top.high / bottom.low },
    };
  }
  const tops = bootstrapMedians(numerator, 2 * seed);
  const bottoms = bootstrapMedians(denominator, 2 * seed + 1);
  // The lists may have different lengths, and each is in random order: pair them as they come.
  const count = Math.min(tops.length, bottoms.length);
  const ratios = Float64Array.from({ length: count }, (_, i) => tops[i]! / bottoms[i]!);
  return { ratio, interval: percentiles(ratios, confidence) };
}

/**
 * Compares two runs of the same measurement.
 *
 * @param baseline the run to compare with
 * @param candidate the run in question
 * @param options confidence and seed of the interval
 *
 * @example
 * ```ts
 * import { comparePair, judge } from "./verdict.ts";
 *
 * const before = Array.from({ length: 30 }, (_, i) => 1000 + i % 7);
 * const pair = comparePair({ samples: before }, { samples: before.map((ns) => 0.8 * ns) });
 * console.log(pair.ratio, judge(pair)); // 0.8, "faster"
 * ```
 */
export function comparePair(
  baseline: SampledRun,
  candidate: SampledRun,
  options: IntervalOptions = {},
): PairComparison {
  const medians = ratioOfMedians(candidate.samples, baseline.samples, options);
  const throttle = ratioOfMedians(candidate.throttleSamples ?? [], baseline.throttleSamples ?? []);
  const cpu = ratioOfMedians(candidate.cpuSamples ?? [], baseline.cpuSamples ?? []);
  const count = partCount(baseline, candidate);
  return {
    ratio: medians?.ratio,
    interval: medians?.interval,
    partRatios: ratiosOfParts(baseline, candidate),
    pValue: mannWhitney(candidate.samples, baseline.samples)?.pValue,
    wander: Math.expm1(Math.hypot(wanderOf(baseline, count), wanderOf(candidate, count))),
    throttleRatio: throttle?.ratio,
    cpuRatio: cpu?.ratio,
  };
}

/**
 * Decides what a comparison means.
 *
 * @param pair from {@linkcode comparePair}
 * @param options the threshold, the corrected p-value, and whether it is one machine
 * @returns faster or slower is said of the candidate
 * @throws {RangeError} if the threshold is not a positive number
 */
export function judge(pair: PairComparison, options: JudgeOptions = {}): Verdict {
  const { threshold = DEFAULT_THRESHOLD, significance = SIGNIFICANCE, sameMachine = false } =
    options;
  if (!(threshold > 0 && threshold < Infinity)) {
    throw new RangeError(`judge: threshold is ${threshold}, wanted a positive number`);
  }
  const { ratio, interval, partRatios, wander, throttleRatio } = pair;
  if (ratio === undefined) return "no data";
  if (interval === undefined) return "ambiguous";
  const limit = 1 + threshold; // The same distance both ways: twice as fast is half as slow.
  // Of one machine, CPU time says most where it is known: other work stretches the time by the
  // clock on the wall, and hardly this one. Elsewhere the reference kernel tells how the clock
  // changed; for another kernel than the reference it may have changed as much again.
  const cpuRatio = sameMachine ? pair.cpuRatio : undefined;
  const clockRatio = sameMachine && cpuRatio === undefined ? throttleRatio ?? 1 : 1;
  const unrest = Math.max(clockRatio, 1 / clockRatio);
  const clearLimit = limit * (1 + wander) * unrest;
  const p = options.correctedPValue ?? pair.pValue ?? 1;
  // What is left of the change by either. It can weaken a verdict, never make one: the reference
  // kernel is another kernel, and CPU time hides what waits.
  const steady = [ratio / clockRatio, cpuRatio ?? ratio];
  const clear = p <= significance;
  if (
    clear && Math.min(ratio, ...steady) > clearLimit && interval.low > 1 &&
    partRatios.every((r) => r > 1)
  ) return "slower";
  if (
    clear && Math.max(ratio, ...steady) < 1 / clearLimit && interval.high < 1 &&
    partRatios.every((r) => r < 1)
  ) return "faster";
  const sameLimit = limit / (1 + wander);
  return interval.low > 1 / sameLimit && interval.high < sameLimit ? "same" : "ambiguous";
}
