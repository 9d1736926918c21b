/**
 * Lists what speaks against accepting a change of the code: measurements that got slower, failed or
 * are missing, and measurements whose samples allow no verdict.
 */
import type { Comparison } from "../comparison.ts";
import type { ComparisonCell, ComparisonRow } from "./rows.ts";
import type { MeasurementStatus } from "../result_file.ts";
import type { Machine } from "./machine.ts";
import { leastFindableRatio, type PairComparison } from "./pair.ts";
import { judge, SIGNIFICANCE } from "./verdict.ts";

/** A row of one machine, compared with the same row of the first machine. */
export interface GateRow {
  readonly row: ComparisonRow;
  readonly machine: Machine;
}

/** A measurement that got worse. */
export interface Regression extends GateRow {
  /** The time divided by the time in the first file; undefined if the measurement failed. */
  readonly ratio: number | undefined;
  /** The status of the measurement that got worse. */
  readonly status: MeasurementStatus;
}

/** A measurement that seems slower by more than the threshold, but has no verdict. */
export interface Undecided extends GateRow {
  readonly ratio: number;
  /** Why there is no verdict, such as `the change may be chance: p (Holm) is 0.13`. */
  readonly reason: string;
}

/** The gate's result. */
export interface Gate {
  readonly regressions: readonly Regression[];
  /** Measurements that went well in the first file but are missing in another one. */
  readonly missing: readonly GateRow[];
  /** The files of incomplete runs. */
  readonly incomplete: readonly Machine[];
  readonly undecided: readonly Undecided[];
  /** Rows whose times are so uncertain that not even a doubled time would be significant. */
  readonly blind: readonly GateRow[];
  /** The number of measurements that went well in the first file, counted once per other file. */
  readonly expected: number;
}

/**
 * Compares every file with the first.
 *
 * @param comparison from `compareResultFiles`
 * @param threshold only a relative change above this counts as slower; positive
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
      // An interrupted run may have measurements without samples: they count as missing.
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

/** Whether not even a doubled time would be significant in a table with `tests` comparisons. */
function isBlind(pair: PairComparison, tests: number): boolean {
  return !(leastFindableRatio(pair, SIGNIFICANCE / tests)! < 2);
}
