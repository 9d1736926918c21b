/**
 * Estimates the change between the two files of a joint run (`--beside`). Its two processes measure
 * the same jobs in turns, so each visit of a job has a partner: the other process's visit in the
 * same sweep, a few milliseconds away. The ratio of their times hardly depends on the machine's
 * state. A round's value is the median of its ratios' logarithms. In most pairs the machine's state
 * is the same for both visits; the few other pairs hardly move the median. The change is estimated
 * from the rounds' values like a time from a file's values (`../estimate.ts`), but with trimmed
 * means.
 *
 * Source: K. K. Yuen, The two-sample trimmed t for unequal population variances (1974).
 */
import { type Estimate, estimateRows } from "../estimate.ts";
import type { Measurement, ResultFile } from "../result_file.ts";
import { processesOf } from "../rounds.ts";
import { median } from "../../statistics/summary.ts";
import { mean } from "../../statistics/mean.ts";

/** How a measurement changed between the two files of a joint run (`--beside`). */
export interface PairedEstimates {
  /** The logarithm of the candidate's time divided by the baseline's. */
  readonly time: Estimate;
  /** The same for the CPU times; undefined if either file lacks them. */
  readonly cpu: Estimate | undefined;
}

/** Two measurements of the same work. */
export interface MeasuredPair {
  readonly baseline: Measurement;
  readonly candidate: Measurement;
}

/** Whether two files belong to one joint run, so their samples were taken in turns. */
export function isJointRun(a: ResultFile, b: ResultFile): boolean {
  const { jointRun } = a.settings;
  return jointRun !== undefined && jointRun === b.settings.jointRun;
}

/**
 * Estimates the changes of all measurements between the two files of a joint run.
 *
 * @returns each candidate's change; a candidate that was measured in turns in fewer than two rounds
 *   has none
 */
export function estimatePairs(
  pairs: readonly MeasuredPair[],
): ReadonlyMap<Measurement, PairedEstimates> {
  const time = estimateList(pairs, ({ samples }) => samples);
  const cpu = estimateList(pairs, ({ cpuSamples }) => cpuSamples);
  return new Map(
    [...time].map(([key, found]) => [key, { time: found, cpu: cpu.get(key) }]),
  );
}

/**
 * The mean over a row's rounds leaves out this share of the rounds at each end: the ones with the
 * least values, and as many with the greatest. Every round has new processes. On a machine that
 * flips between two speeds, a process may keep one speed for its whole life while its partner keeps
 * the other. Then all ratios of that round are far off.
 */
const TRIMMED = 0.2;

type List = (measurement: Measurement) => readonly number[] | undefined;

function estimateList(
  pairs: readonly MeasuredPair[],
  list: List,
): ReadonlyMap<Measurement, Estimate> {
  const table = new Map<Measurement, ReadonlyMap<number, number>>();
  for (const { baseline, candidate } of pairs) {
    const [before, after] = [visitsOf(baseline, list), visitsOf(candidate, list)];
    const values = new Map<number, number>();
    for (const [round, visits] of after) {
      const differences = [...visits].flatMap(([sweep, value]) => {
        const partner = before.get(round)?.get(sweep);
        return partner === undefined ? [] : [value - partner];
      });
      const center = median(differences);
      if (center !== undefined) values.set(round, center);
    }
    // One round does not show how rounds differ.
    if (values.size > 1) table.set(candidate, values);
  }
  const winsorized = new Map([...table].map(([key, values]) => [key, winsorize(values)]));
  return new Map([...estimateRows(winsorized)].map(([key, estimate]) => {
    return [key, trimmed(estimate, table.get(key)!)];
  }));
}

/** How many values to leave out at each end. */
function trimCount(values: ReadonlyMap<number, number>): number {
  return Math.floor(TRIMMED * values.size);
}

// Replaces the values that the mean leaves out by the nearest kept ones.
function winsorize(values: ReadonlyMap<number, number>): ReadonlyMap<number, number> {
  const ordered = [...values.values()].sort((a, b) => a - b);
  const count = trimCount(values);
  const [low, high] = [ordered[count]!, ordered[ordered.length - 1 - count]!];
  return new Map(
    [...values].map(([round, value]) => [round, Math.min(high, Math.max(low, value))]),
  );
}

// Turns an estimate from the winsorized values into one of the trimmed mean: the center becomes the
// mean of the kept values, and the errors are scaled.
function trimmed(estimate: Estimate, values: ReadonlyMap<number, number>): Estimate {
  const ordered = [...values.values()].sort((a, b) => a - b);
  const cut = trimCount(values);
  const kept = ordered.slice(cut, ordered.length - cut);
  const [n, h] = [ordered.length, kept.length];
  return {
    ...estimate,
    center: mean(kept),
    errors: estimate.errors.map(({ variance, df }) => ({
      variance: variance * (n * (n - 1)) / (h * (h - 1)),
      df: df * (h - 1) / (n - 1),
    })),
  };
}

/** For each round and sweep: the logarithm of the mean of the samples that were taken in it. */
function visitsOf(
  measurement: Measurement,
  listOf: List,
): ReadonlyMap<number, ReadonlyMap<number, number>> {
  const { rounds: counts = [], sweeps = [] } = measurement;
  const list = listOf(measurement);
  const found = new Map<number, ReadonlyMap<number, number>>();
  if (list === undefined) return found;
  let visit = 0;
  let first = 0;
  let end = 0;
  for (const { round, samples } of processesOf(measurement)) {
    end += samples;
    const visits = new Map<number, number>();
    for (; visit < counts.length && first < end; visit++) {
      const taken = list.slice(first, first + counts[visit]!);
      first += counts[visit]!;
      const sweep = sweeps[visit];
      if (sweep === undefined || taken.length === 0) continue;
      visits.set(sweep, Math.log(mean(taken)));
    }
    found.set(round, visits);
  }
  return found;
}
