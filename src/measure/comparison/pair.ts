/** Compares two measurements of the same work: a ratio, and the evidence for it. */
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

export interface PairComparison {
  /**
   * The candidate's time divided by the baseline's: below 1 is faster. Each time is the geometric
   * mean of its processes' medians.
   *
   * In a joint run (`--beside`) this is the trimmed geometric mean of the rounds' ratios of times.
   * The same mean of CPU times replaces it if the CPU times' mean has the smaller error and lies in
   * the interval of the times' mean.
   */
  readonly ratio: number | undefined;
  /** The ratio's 95 % interval. */
  readonly interval: Interval | undefined;
  /** The greatest p-value of all `evidence`, uncorrected; 1 if the directions of change differ. */
  readonly pValue: number | undefined;
  /** The numbers of processes that measured the baseline and the candidate. */
  readonly processes: readonly [baseline: number, candidate: number];
  /** The ratio of CPU times; undefined if one of the two measurements has none. */
  readonly cpuRatio: number | undefined;
  /**
   * The ratio of relative times, each divided by the reference kernel's time in the same process.
   * Undefined if a process lacks the reference kernel's times, or if `inTurns` is true.
   */
  readonly relativeRatio: number | undefined;
  /** How the machine changed between two runs on it; undefined if it did not, or if unknown. */
  readonly machineChange: MachineChange | undefined;
  /** Whether both measurements were taken in turns, so `ratio` compares neighboring samples. */
  readonly inTurns: boolean;
  /** The logarithms of ratios that must all show a change; the logarithm of `ratio` comes first. */
  readonly evidence: readonly Evidence[];
}

/** The quantity of an {@linkcode Evidence}. */
export type EvidenceName = "time" | "CPU time" | "relative time" | "beside other rows";

/** A difference that a verdict rests on. */
export interface Evidence extends EstimatedDifference {
  readonly of: EvidenceName;
}

/** The comparison if there is no data. */
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
 * @param baseline the first measurement's estimates (`estimateTimes`); undefined without samples
 * @param candidate the second measurement's estimates; undefined without samples
 * @param options.sameMachine whether both come from one machine. Then the CPU time must show a
 *   change too; without CPU times, the time divided by the reference kernel's must. Default false
 * @param options.machineChange how the machine changed between both runs, from `machineChange`
 * @param options.paired the change from `estimatePairs` in a joint run. Both measurements met the
 *   same state of the machine, so its clock and load cannot explain the change
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

// The ratio and its interval come from the first piece of evidence, the p-value from all of them.
function judged(
  evidence: readonly Evidence[],
): Pick<PairComparison, "ratio" | "interval" | "pValue" | "evidence"> {
  const shown = evidence[0]!;
  const agree = evidence.every(({ center }) => Math.sign(center) === Math.sign(shown.center));
  return {
    ratio: Math.exp(shown.center),
    interval: ratioInterval(shown),
    // A verdict needs all pieces of evidence, so the least convincing one decides.
    pValue: agree ? Math.max(...evidence.map(differencePValue)) : 1,
    evidence,
  };
}

function ratioOf(difference: EstimatedDifference | undefined): number | undefined {
  return difference === undefined ? undefined : Math.exp(difference.center);
}

// Judges by the time or the CPU time, whichever has the smaller error. Other programs hardly affect
// the CPU time: its error can be 1 % where the time's error is 50 %. But the change with the
// smaller error must lie in the other change's interval. If it does not, for example because work
// is no longer parallel, time and CPU time must both show a change in the same direction.
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

// Whether the interval of one change contains another change.
function holds(change: EstimatedDifference, { center }: EstimatedDifference): boolean {
  const { low, high } = ratioInterval(change);
  return Math.log(low) <= center && center <= Math.log(high);
}

// Writes an estimated change as a difference from 0, which means no change.
function changeOf(change: Estimate): EstimatedDifference {
  const nothing = { center: 0, errors: [], processes: change.processes };
  return differenceOf([{ baseline: nothing, candidate: change }])!;
}

/**
 * The least ratio that would be significant.
 *
 * @param pair from {@linkcode comparePair}
 * @param level the significance level, in (0, 1)
 * @returns a ratio above 1; undefined without data
 */
export function leastFindableRatio(pair: PairComparison, level: number): number | undefined {
  if (pair.evidence.length === 0) return undefined;
  return Math.exp(
    Math.max(...pair.evidence.map(({ error, df }) => studentQuantile(level / 2, df) * error)),
  );
}
