/**
 * Whether a comparison lets a change pass: what got slower or broke, what is missing, and what
 * cannot be told from the samples. What was not measured is no success.
 */
import type { Comparison } from "../comparison.ts";
import type { ComparisonCell, ComparisonRow } from "./rows.ts";
import type { MeasurementStatus } from "../result_file.ts";
import type { Machine } from "./machine.ts";
import { judge, SIGNIFICANCE } from "./verdict.ts";

/** A row of one machine, against the first machine's. */
export interface GateRow {
  readonly row: ComparisonRow;
  readonly machine: Machine;
}

/** A measurement that got worse. */
export interface Regression extends GateRow {
  /** The median time divided by the first file's; undefined if it broke altogether. */
  readonly ratio: number | undefined;
  /** What came of it. */
  readonly status: MeasurementStatus;
}

/** A measurement that is slower by more than the threshold and may be so by chance. */
export interface Undecided extends GateRow {
  readonly ratio: number;
  /** Why there is no verdict, such as `p (Holm) is 0.13`. */
  readonly reasons: readonly string[];
}

/** What the gate found. */
export interface Gate {
  readonly regressions: readonly Regression[];
  /** What went well in the first file and is not in another one. */
  readonly missing: readonly GateRow[];
  /** Files of runs that did not end. */
  readonly incomplete: readonly Machine[];
  /** Slower by more than the threshold, and no verdict. */
  readonly undecided: readonly Undecided[];
  /** Rows whose samples are so few that no change of any size could be found. */
  readonly blind: readonly GateRow[];
  /** How many measurements of the first file went well, once for each other file. */
  readonly expected: number;
}

/**
 * Holds every file against the first.
 *
 * @param comparison from `compareResultFiles`
 * @param threshold the relative change from which a slower time counts, above 0
 */
export function judgeGate(comparison: Comparison, threshold: number): Gate {
  const { machines, rows, uncompared } = comparison;
  const regressions: Regression[] = [];
  const missing: GateRow[] = [];
  const undecided: Undecided[] = [];
  const blind: GateRow[] = [];
  const tests = rows.flatMap(({ cells }) => cells).filter(({ pair }) => pair?.pValue !== undefined);
  let expected = 0;
  for (const row of [...rows, ...uncompared]) {
    const [first, ...others] = row.cells;
    if (!wentWell(first!)) continue;
    for (const [i, cell] of others.entries()) {
      const found = { row, machine: machines[i + 1]! };
      expected++;
      // A run that was interrupted keeps measurements that have no samples yet.
      if (cell.status === "missing" || (cell.status === "ok" && !wentWell(cell))) {
        missing.push(found);
      } else if (cell.status !== "ok") {
        regressions.push({ ...found, ratio: undefined, status: cell.status });
      } else if (cell.pair?.ratio !== undefined) {
        const { pair } = cell;
        const verdict = judge(pair, { ...pair, threshold });
        const { ratio } = cell.pair;
        if (verdict === "slower") regressions.push({ ...found, ratio: ratio!, status: "ok" });
        else if (verdict === "ambiguous" && ratio! > 1 + threshold) {
          undecided.push({ ...found, ratio: ratio!, reasons: reasonsOf(row, cell, tests.length) });
        }
        if (isBlind(first!, cell, tests.length)) blind.push(found);
      }
    }
  }
  const incomplete = machines.filter(({ complete }) => !complete);
  return { regressions, missing, incomplete, undecided, blind, expected };
}

function wentWell({ status, summary }: ComparisonCell): boolean {
  return status === "ok" && summary.count > 0;
}

/** The least p-value that the rank test can give: one order in all, on either side. */
function leastPValue(n: number, m: number): number {
  let orders = 1;
  for (let i = 1; i <= Math.min(n, m); i++) orders *= (Math.max(n, m) + i) / i;
  return Math.min(1, 2 / orders);
}

/** Holm's correction multiplies the smallest p-value by the number of tests. */
function isBlind(first: ComparisonCell, cell: ComparisonCell, tests: number): boolean {
  return cell.pair!.interval === undefined ||
    leastPValue(first.summary.count, cell.summary.count) * tests > SIGNIFICANCE;
}

function reasonsOf({ cells }: ComparisonRow, cell: ComparisonCell, tests: number): string[] {
  const [first] = cells;
  const { interval, correctedPValue, pValue, partRatios, wander, cpuRatio, sameMachine } = cell
    .pair!;
  const counts = `${first!.summary.count} and ${cell.summary.count} samples`;
  if (interval === undefined) return [`${counts} are too few for an interval`];
  const p = correctedPValue ?? pValue ?? 1;
  const reasons: string[] = [];
  if (isBlind(first!, cell, tests)) {
    reasons.push(`${counts} cannot be significant among ${tests} comparisons`);
  } else if (p > SIGNIFICANCE) reasons.push(`p (Holm) is ${p.toPrecision(2)}`);
  if (interval.low <= 1) reasons.push("the interval holds no change");
  if (partRatios.some((ratio) => ratio <= 1)) reasons.push("parts of the run disagree");
  if (sameMachine && cpuRatio !== undefined && cpuRatio < cell.pair!.ratio!) {
    reasons.push(`the CPU time changed to ${cpuRatio.toFixed(2)} times only`);
  }
  if (reasons.length === 0 || wander > 0.02) {
    reasons.push(`the runs wander by ${(100 * wander).toFixed(1)} %`);
  }
  return reasons;
}
