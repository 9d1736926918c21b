/**
 * Whether a comparison lets a change pass: what got slower or broke, what is missing, and what
 * cannot be told from the samples. What was not measured is no success.
 */
import type { Comparison } from "../comparison.ts";
import type { ComparisonCell, ComparisonRow } from "./rows.ts";
import type { MeasurementStatus } from "../result_file.ts";
import type { Machine } from "./machine.ts";
import { leastFindableRatio, type PairComparison } from "./pair.ts";
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
  /** Why there is no verdict, such as `the change may be chance: p (Holm) is 0.13`. */
  readonly reason: string;
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
  /** Rows whose times are so uncertain that not even a time twice as long could be found. */
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
        const { verdict, doubt } = judge(pair, { ...pair, threshold });
        const { ratio } = cell.pair;
        if (verdict === "slower") regressions.push({ ...found, ratio: ratio!, status: "ok" });
        else if (verdict === "ambiguous" && ratio! > 1 + threshold) {
          undecided.push({ ...found, ratio: ratio!, reason: doubt!.text });
        }
        if (isBlind(pair, tests.length)) blind.push(found);
      }
    }
  }
  const incomplete = machines.filter(({ complete }) => !complete);
  return { regressions, missing, incomplete, undecided, blind, expected };
}

function wentWell({ status, summary }: ComparisonCell): boolean {
  return status === "ok" && summary.count > 0;
}

/** Whether not even a time twice as long would be significant among this many comparisons. */
function isBlind(pair: PairComparison, tests: number): boolean {
  return !(leastFindableRatio(pair, SIGNIFICANCE / tests)! < 2);
}
