/** What two measurements of the same work say about each other: a ratio, and the evidence for it. */
import {
  differenceOf,
  differencePValue,
  type Estimate,
  type EstimatedDifference,
  ratioInterval,
  type TimeEstimates,
} from "../estimate.ts";
import type { PairedEstimates } from "./joint_run.ts";
import { besideOtherRows, type MachineChange } from "./machine_change.ts";
import { studentQuantile } from "../../statistics/student.ts";
import type { Interval } from "../../statistics/summary.ts";

/** What two measurements of the same work say about each other. */
export interface PairComparison {
  /**
   * The candidate's time divided by the baseline's: below 1 is faster. The times are geometric means
   * of the processes' medians. In a joint run it is the geometric mean of the rounds' quotients, of
   * the CPU time where that is known better.
   */
  readonly ratio: number | undefined;
  /** The ratio's 95 % interval. */
  readonly interval: Interval | undefined;
  /** The p-value of the least convincing part of `evidence`, before any correction. */
  readonly pValue: number | undefined;
  /** How many processes took the baseline and the candidate. */
  readonly processes: readonly [baseline: number, candidate: number];
  /** How the CPU time changed; undefined where it was not measured in both. */
  readonly cpuRatio: number | undefined;
  /** How the time changed relative to the reference kernel's; undefined where it was not run. */
  readonly relativeRatio: number | undefined;
  /** What the machine did between two runs on it; undefined if it did not change. */
  readonly machineChange: MachineChange | undefined;
  /** Whether the two were measured in turns, so that the ratio compares neighboring visits. */
  readonly inTurns: boolean;
  /** The logarithms that must all show a change: the one that `ratio` is of first. */
  readonly evidence: readonly Evidence[];
}

/** What an {@linkcode Evidence} is of. */
export type EvidenceName = "time" | "CPU time" | "relative time" | "beside other rows";

/** A difference that a verdict rests on. */
export interface Evidence extends EstimatedDifference {
  readonly of: EvidenceName;
}

/** A comparison of what has no data. */
const NOTHING: PairComparison = {
  ratio: undefined,
  interval: undefined,
  pValue: undefined,
  processes: [0, 0],
  cpuRatio: undefined,
  relativeRatio: undefined,
  machineChange: undefined,
  inTurns: false,
  evidence: [],
};

/**
 * Compares two measurements of the same work.
 *
 * @param baseline what its file's processes say, from `estimateTimes`; undefined without samples
 * @param candidate likewise
 * @param options.sameMachine whether both are of one machine, where a slower reference kernel means
 *   a slower clock and not a slower candidate. Default false
 * @param options.machineChange what that machine did between both runs, from `machineChange`
 * @param options.paired how visits side by side changed, from `estimatePairs`: both met the same
 *   machine, so that its clock and load explain nothing
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
  { sameMachine = false, machineChange, paired }: {
    readonly sameMachine?: boolean;
    readonly machineChange?: MachineChange | undefined;
    readonly paired?: PairedEstimates | undefined;
  } = {},
): PairComparison {
  if (baseline === undefined || candidate === undefined) return NOTHING;
  if (paired !== undefined) return comparePaired(paired);
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
  if (machineChange !== undefined) {
    evidence.push({ of: "beside other rows", ...besideOtherRows(time, machineChange) });
  }
  return {
    ...judged(evidence),
    processes: [baseline.time.processes, candidate.time.processes],
    cpuRatio: ratioOf(cpu),
    relativeRatio: ratioOf(relative),
    machineChange,
    inTurns: false,
  };
}

// What the evidence says: its first item is shown, and all of it is judged.
function judged(
  evidence: readonly Evidence[],
): Pick<PairComparison, "ratio" | "interval" | "pValue" | "evidence"> {
  const shown = evidence[0]!;
  const agree = evidence.every(({ center }) => Math.sign(center) === Math.sign(shown.center));
  return {
    ratio: Math.exp(shown.center),
    interval: ratioInterval(shown),
    // All evidence must agree. The chance that all of it is wrong is no greater than that of any
    // one piece.
    pValue: agree ? Math.max(...evidence.map(differencePValue)) : 1,
    evidence,
  };
}

function ratioOf(difference: EstimatedDifference | undefined): number | undefined {
  return difference === undefined ? undefined : Math.exp(difference.center);
}

// Other programs leave the CPU time alone, so that of an adapter that computes on the CPU can be
// known to a percent where the time is not known to a half. The better known one is judged. Where
// the two contradict each other, as without parallel work, both must show the change.
function comparePaired({ time, cpu }: PairedEstimates): PairComparison {
  const changes: Evidence[] = [{ of: "time", ...changeOf(time) }];
  if (cpu !== undefined) changes.push({ of: "CPU time", ...changeOf(cpu) });
  const [best, other] = changes.toSorted((a, b) => a.error - b.error);
  return {
    ...judged(other === undefined || holds(other, best!) ? [best!] : changes),
    processes: [time.processes, time.processes],
    cpuRatio: cpu && Math.exp(cpu.center),
    relativeRatio: undefined,
    machineChange: undefined,
    inTurns: true,
  };
}

// Whether the interval of a change holds another one.
function holds(change: EstimatedDifference, { center }: EstimatedDifference): boolean {
  const { low, high } = ratioInterval(change);
  return Math.log(low) <= center && center <= Math.log(high);
}

// A change that was estimated directly, as a difference from 0.
function changeOf(change: Estimate): EstimatedDifference {
  const nothing = { center: 0, errors: [], processes: change.processes };
  return differenceOf([{ baseline: nothing, candidate: change }])!;
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
