/**
 * Compares result files: pairs measurements of the same work, ranks them, and judges each against
 * the measurement in the first file.
 *
 * It does not touch the file system, so the command and a browser page share it.
 */
import { isSameMachine, type Machine, machinesOf, type NamedResult } from "./comparison/machine.ts";
import type { ComparisonCell, ComparisonRow } from "./comparison/rows.ts";
import { comparisonWarnings } from "./comparison/warnings.ts";
import type { Measurement } from "./result_file.ts";
import { rooflinePosition, rooflineShare } from "./ceilings/roofline.ts";
import { budgetFor, MOST_PROCESSES } from "./rounds.ts";
import { summarize } from "../statistics/summary.ts";
import { holm } from "../statistics/significance.ts";
import { machineChange } from "./comparison/machine_change.ts";
import { estimatePairs, isJointRun, type PairedEstimates } from "./comparison/joint_run.ts";
import { type Column, columnOf, keyText, usable } from "./comparison/columns.ts";
import { comparePair, type PairComparison } from "./comparison/pair.ts";
import { type MachineTotal, totalOf } from "./comparison/totals.ts";
import { DEFAULT_THRESHOLD, judge } from "./comparison/verdict.ts";

/** A comparison of several result files. */
export interface Comparison {
  readonly machines: readonly Machine[];
  /** Rows that went well in several files, or that went well in the first and failed in another. */
  readonly rows: readonly ComparisonRow[];
  /** All other rows, which went well in at most one file. They have no verdicts. */
  readonly uncompared: readonly ComparisonRow[];
  /** The totals, in the order of the machines. */
  readonly totals: readonly MachineTotal[];
  /** The number of rows that went well on all machines. */
  readonly completeRows: number;
  /** Only a relative change above this counts as faster or slower. */
  readonly threshold: number;
  /** Caveats, one sentence each; not escaped. */
  readonly warnings: readonly string[];
}

/** Options of {@linkcode compareResultFiles}. */
export interface ComparisonOptions {
  /** Only a relative change above this counts as faster or slower. Positive; default 0.05. */
  readonly threshold?: number;
}

/** Thrown if no row can be compared: see {@linkcode Comparison.rows}. */
export class NothingComparableError extends Error {
  override readonly name = "NothingComparableError";
}

function work(measurement: Measurement): number {
  return measurement.flops + measurement.bytes;
}

/** Sorts 64 before 256. */
const natural = new Intl.Collator("en", { numeric: true });

const passOrder = ["forward", "backward"];

/** Sorts by operator, then pass (forward first), then number format, then work (least first). */
function compareRows(a: Measurement, b: Measurement): number {
  const byName = (x: string, y: string) => x < y ? -1 : x > y ? 1 : 0;
  return byName(a.kernel, b.kernel) ||
    passOrder.indexOf(a.pass) - passOrder.indexOf(b.pass) || byName(a.pass, b.pass) ||
    byName(a.dtype, b.dtype) || work(a) - work(b) || natural.compare(keyText(a), keyText(b));
}

/**
 * Compares result files.
 *
 * @param results at least two; the first one is the baseline of all verdicts
 * @throws {TypeError} for fewer than two files
 * @throws {RangeError} if the threshold is not a positive number
 * @throws {NothingComparableError} if {@linkcode Comparison.rows} would be empty
 *
 * @example
 * ```ts
 * import { compareResultFiles } from "./comparison.ts";
 * import type { NamedResult } from "./comparison/machine.ts";
 *
 * function report(before: NamedResult, after: NamedResult): void {
 *   const { rows } = compareResultFiles([before, after]);
 *   for (const { kernel, pass, cells } of rows) console.log(kernel, pass, cells[1]!.pair?.verdict);
 * }
 * ```
 */
export function compareResultFiles(
  results: readonly NamedResult[],
  options: ComparisonOptions = {},
): Comparison {
  const { threshold = DEFAULT_THRESHOLD } = options;
  if (results.length < 2) {
    throw new TypeError(`compareResultFiles: ${results.length} files given, wanted at least 2`);
  }
  if (!(threshold > 0 && threshold < Infinity)) {
    throw new RangeError(`compareResultFiles: threshold is ${threshold}, wanted a positive number`);
  }
  const found = results.map(columnOf);
  const columns = found.map(({ measurements }) => measurements);
  const shared = sharedKeys(columns);
  if (shared.length === 0) throw new NothingComparableError(nothingComparable(results, columns));
  const machines = machinesOf(results);
  const unjudged = shared.map((key) => rowOf(key, found, results));
  const paired = pairedWithFirst(unjudged, results);
  const rows = judgeAll(unjudged, { columns: found, results, threshold, paired });
  const uncompared = otherKeys(columns, shared).map((key) => rowOf(key, found, results));
  const complete = rows.filter(({ cells }) => cells.every(({ rank }) => rank !== undefined));
  return {
    machines,
    rows,
    uncompared,
    totals: machines.map((_, i) =>
      totalOf(rows, {
        ...{ complete, index: i, paired: paired[i] },
        estimates: found.map(({ estimates }) => estimates),
      })
    ),
    completeRows: complete.length,
    threshold,
    warnings: comparisonWarnings({ results, machines, rows, columns, threshold }),
  };
}

/** The keys of {@linkcode Comparison.rows}, in the table's order. */
function sharedKeys(columns: readonly ReadonlyMap<string, Measurement>[]): string[] {
  const first = new Map<string, Measurement>();
  const counts = new Map<string, number>();
  for (const column of columns) {
    for (const [key, measurement] of column) {
      if (!first.has(key)) first.set(key, measurement);
      if (usable(measurement)) counts.set(key, (counts.get(key) ?? 0) + 1);
      else counts.set(key, counts.get(key) ?? 0);
    }
  }
  const broke = (key: string) =>
    usable(columns[0]!.get(key)) && columns.slice(1).some((column) => {
      const measurement = column.get(key);
      return measurement !== undefined && !usable(measurement);
    });
  return [...counts].filter(([key, count]) => count >= 2 || broke(key)).map(([key]) => key)
    .sort((a, b) => compareRows(first.get(a)!, first.get(b)!));
}

/** The keys of {@linkcode Comparison.uncompared}, in the table's order. */
function otherKeys(
  columns: readonly ReadonlyMap<string, Measurement>[],
  shared: readonly string[],
): string[] {
  const compared = new Set(shared);
  const first = new Map<string, Measurement>();
  for (const [key, measurement] of columns.flatMap((column) => [...column])) {
    if (!compared.has(key) && !first.has(key)) first.set(key, measurement);
  }
  return [...first.keys()].sort((a, b) => compareRows(first.get(a)!, first.get(b)!));
}

function nothingComparable(
  results: readonly NamedResult[],
  columns: readonly ReadonlyMap<string, Measurement>[],
): string {
  const counts = columns.map((column, i) => {
    const good = [...column.values()].filter(usable).length;
    return `${results[i]!.name} has ${good}`;
  });
  return "no comparable measurements: two files must have samples of the same kernel, pass, shape, " +
    `dtype and cache state (${counts.join(", ")})`;
}

function rowOf(
  key: string,
  columns: readonly Column[],
  results: readonly NamedResult[],
): ComparisonRow {
  const found = columns.map(({ measurements }) => measurements.get(key));
  const cellSummaries = found.map((one, i) =>
    usable(one) ? columns[i]!.summaries.get(one)! : summarize([])
  );
  const medians = cellSummaries.map(({ median }) => median);
  const known = medians.filter((value) => value !== undefined);
  const best = Math.min(...known);
  const cells = found.map((measurement, i): ComparisonCell => {
    const time = medians[i];
    const summary = cellSummaries[i]!;
    const roofline = measurement === undefined
      ? {
        intensity: undefined,
        bound: undefined,
        leastTime: undefined,
        leastTimeInterval: undefined,
      }
      : rooflinePosition(measurement, results[i]!.file.ceilings);
    const share = rooflineShare(roofline, summary);
    const rate = (amount: number | undefined) =>
      time === undefined || amount === undefined ? undefined : amount / time * 1e9;
    return {
      status: measurement === undefined ? "missing" : measurement.status ?? "ok",
      measurement,
      summary,
      roofline,
      rooflineShare: share?.share,
      rooflineInterval: share?.interval,
      flopsPerSecond: rate(measurement?.flops),
      bytesPerSecond: rate(measurement?.bytes),
      rank: time === undefined ? undefined : 1 + known.filter((other) => other < time).length,
      relativeToBest: time === undefined ? undefined : time / best,
      pair: undefined,
    };
  });
  const { kernel, pass, shape, dtype, cache = "hot" } = found.find((one) => one !== undefined)!;
  return { kernel, pass, shape, dtype, cache, cells };
}

/**
 * Returns, for each file, how its measurements changed from the first file's. Returns undefined for
 * the first file, and for a file that does not come from the same run with `--beside` as the first.
 */
function pairedWithFirst(
  rows: readonly ComparisonRow[],
  results: readonly NamedResult[],
): readonly (ReadonlyMap<Measurement, PairedEstimates> | undefined)[] {
  return results.map(({ file }, i) => {
    if (i === 0 || !isJointRun(results[0]!.file, file)) return undefined;
    return estimatePairs(rows.flatMap(({ cells }) => {
      const [baseline, candidate] = [cells[0]!.measurement, cells[i]!.measurement];
      return usable(baseline) && usable(candidate) ? [{ baseline, candidate }] : [];
    }));
  });
}

/** Compares every cell with the first of its row, and corrects p-values over the whole table. */
function judgeAll(
  rows: readonly ComparisonRow[],
  { columns, results, threshold, paired }: {
    readonly columns: readonly Column[];
    readonly results: readonly NamedResult[];
    readonly threshold: number;
    readonly paired: ReturnType<typeof pairedWithFirst>;
  },
): ComparisonRow[] {
  const same = results.map(({ file }) => isSameMachine(results[0]!.file, file));
  const estimateOf = (column: number, measurement: Measurement | undefined) =>
    usable(measurement) ? columns[column]!.estimates.get(measurement) : undefined;
  const estimates = rows.map(({ cells }) =>
    cells.map(({ measurement }, i) => estimateOf(i, measurement))
  );
  const changes = results.map((_, i) =>
    i > 0 && same[i]! && paired[i] === undefined
      ? machineChange(estimates.flatMap((row) => {
        const [baseline, candidate] = [row[0], row[i]];
        return baseline === undefined || candidate === undefined ? [] : [{ baseline, candidate }];
      }))
      : undefined
  );
  const pairs = rows.map(({ cells }, r) =>
    cells.map(({ measurement }, i) => {
      if (i === 0 || measurement === undefined || cells[0]!.measurement === undefined) return;
      return comparePair(estimates[r]![0], estimates[r]![i], {
        sameMachine: same[i]!,
        machineChange: changes[i],
        paired: paired[i]?.get(measurement),
      });
    })
  );
  const corrected = holm(pairs.flat().map((pair) => pair?.pValue));
  return rows.map((row, r) => ({
    ...row,
    cells: row.cells.map((cell, c) => {
      const pair = pairs[r]![c];
      if (pair === undefined) return cell;
      const correctedPValue = corrected[r * results.length + c];
      const judgment = judge(pair, { threshold, correctedPValue });
      const times = judgment.doubt?.timesProcesses;
      const secondsToSettle = times === undefined
        ? undefined
        : moreSeconds(pair, times, [results[0]!, results[c]!]);
      const judged = { ...pair, ...judgment, correctedPValue, sameMachine: same[c]! };
      return { ...cell, pair: { ...judged, secondsToSettle } };
    }),
  }));
}

/**
 * The seconds to add to each run's budget so that it has `times` times as many processes, rounded
 * up to tens; undefined if a run cannot have so many.
 */
function moreSeconds(
  { processes, inTurns }: PairComparison,
  times: number,
  results: readonly NamedResult[],
): number | undefined {
  const wanted = Math.ceil(times * Math.min(...processes));
  if (wanted > MOST_PROCESSES) return undefined;
  const seconds = results.map(({ file: { measurements, settings: { budgetSeconds = 0 } } }) =>
    Math.max(times * budgetSeconds, (inTurns ? 2 : 1) * budgetFor(wanted, measurements.length)) -
    budgetSeconds
  );
  return 10 * Math.ceil(Math.max(...seconds) / 10);
}
