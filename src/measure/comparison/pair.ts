/** What two measurements of the same work say about each other: a ratio, and the evidence for it. */
import {
  differenceOf,
  differencePValue,
  type EstimatedDifference,
  ratioInterval,
  type TimeEstimates,
} from "../estimate.ts";
import { studentQuantile } from "../../statistics/student.ts";
import type { Interval } from "../../statistics/summary.ts";

/** What two measurements of the same work say about each other. */
export interface PairComparison {
  /**
   * The candidate's time divided by the baseline's: below 1 is faster. The times are geometric means
   * of the processes' medians.
   */
  readonly ratio: number | undefined;
  /** The ratio's 95 % interval. */
  readonly interval: Interval | undefined;
  /** Of the least convincing of `evidence`, before any correction. */
  readonly pValue: number | undefined;
  /** How many processes took the baseline and the candidate. */
  readonly processes: readonly [baseline: number, candidate: number];
  /** How the CPU time changed; undefined where it was not measured in both. */
  readonly cpuRatio: number | undefined;
  /** How the time changed relative to the reference kernel's; undefined where it was not run. */
  readonly relativeRatio: number | undefined;
  /** The logarithms that must all show a change: of the time first. */
  readonly evidence: readonly Evidence[];
}

/** A difference that a verdict rests on. */
export interface Evidence extends EstimatedDifference {
  readonly of: "time" | "CPU time" | "relative time";
}

/** A comparison of what has no data. */
const NOTHING: PairComparison = {
  ratio: undefined,
  interval: undefined,
  pValue: undefined,
  processes: [0, 0],
  cpuRatio: undefined,
  relativeRatio: undefined,
  evidence: [],
};

/**
 * Compares two measurements of the same work.
 *
 * @param baseline what its file's processes say, from `estimateTimes`; undefined without samples
 * @param candidate likewise
 * @param options.sameMachine whether both are of one machine, where a slower reference kernel means
 *   a slower clock and not a slower candidate. Default false
 *
 * @example
 * ```ts
 * import { estimateTimes } from "../estimate.ts";
 * import { comparePair } from "./pair.ts";
 * import { judge } from "./verdict.ts";
 * import type { ResultFile } from "../result_file.ts";
 *
 * function verdict(before: ResultFile, after: ResultFile): string {
 *   const [a, b] = [before, after].map(({ measurements }) =>
 *     estimateTimes(measurements).get(measurements[0]!)
 *   );
 *   return judge(comparePair(a, b)).verdict; // such as "faster"
 * }
 * ```
 */
export function comparePair(
  baseline: TimeEstimates | undefined,
  candidate: TimeEstimates | undefined,
  { sameMachine = false }: { readonly sameMachine?: boolean } = {},
): PairComparison {
  if (baseline === undefined || candidate === undefined) return NOTHING;
  const between = (kind: keyof TimeEstimates): EstimatedDifference | undefined => {
    const [before, after] = [baseline[kind], candidate[kind]];
    if (before === undefined || after === undefined) return undefined;
    return differenceOf([{ baseline: before, candidate: after }]);
  };
  const time = between("time")!;
  const cpu = between("cpu");
  const relative = between("relative");
  const evidence: Evidence[] = [{ of: "time", ...time }];
  if (sameMachine && cpu !== undefined) evidence.push({ of: "CPU time", ...cpu });
  else if (sameMachine && relative !== undefined) {
    evidence.push({ of: "relative time", ...relative });
  }
  const agree = evidence.every(({ center }) => Math.sign(center) === Math.sign(time.center));
  const ratioOf = (difference: EstimatedDifference | undefined): number | undefined =>
    difference === undefined ? undefined : Math.exp(difference.center);
  return {
    ratio: Math.exp(time.center),
    interval: ratioInterval(time),
    // All must speak: the chance that all do so wrongly is no greater than that of any one.
    pValue: agree ? Math.max(...evidence.map(differencePValue)) : 1,
    processes: [baseline.time.processes, candidate.time.processes],
    cpuRatio: ratioOf(cpu),
    relativeRatio: ratioOf(relative),
    evidence,
  };
}

/**
 * The least change that would be significant.
 *
 * @param pair from {@linkcode comparePair}
 * @param level of significance, in (0, 1)
 * @returns a ratio above 1; undefined without data
 */
export function leastFindableRatio(pair: PairComparison, level: number): number | undefined {
  if (pair.evidence.length === 0) return undefined;
  return Math.exp(
    Math.max(...pair.evidence.map(({ error, df }) => studentQuantile(level / 2, df) * error)),
  );
}
