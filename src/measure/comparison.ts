/**
 * Compares result files: pairs measurements of the same work, ranks them, and judges each against
 * the first file.
 *
 * Nothing here touches the file system: the command and a browser page share it.
 */
import { isSameMachine, type Machine, machinesOf, type NamedResult } from "./comparison/machine.ts";
import type { ComparisonCell, ComparisonRow } from "./comparison/rows.ts";
import { comparisonWarnings } from "./comparison/warnings.ts";
import type { Measurement } from "./result_file.ts";
import { rooflinePosition } from "./ceilings/roofline.ts";
import { summarize, type Summary } from "../statistics/summary.ts";
import { holm } from "../statistics/significance.ts";
import { comparePair, DEFAULT_THRESHOLD, judge, type Verdict } from "./comparison/verdict.ts";

/** One machine over all rows. */
export interface MachineTotal {
  /** Geometric mean of the time relative to the best, over the rows that all machines have. */
  readonly geometricMean: number | undefined;
  /** Mean rank over the same rows. */
  readonly meanRank: number | undefined;
  /** Geometric mean of the share of the roofline, over this machine's own rows. */
  readonly rooflineShare: number | undefined;
  /** Geometric mean of the time relative to the first machine's, over the rows that both have. */
  readonly ratioToFirst: number | undefined;
  /** How many rows have each verdict. */
  readonly verdicts: Readonly<Record<Verdict, number>>;
}

/** Several result files side by side. */
export interface Comparison {
  readonly machines: readonly Machine[];
  /** Those that at least two machines have. */
  readonly rows: readonly ComparisonRow[];
  /** What one machine alone measured well, or none: without verdicts, in no table. */
  readonly uncompared: readonly ComparisonRow[];
  /** In the order of the machines. */
  readonly totals: readonly MachineTotal[];
  /** How many rows all machines have. */
  readonly completeRows: number;
  /** The relative change that matters. */
  readonly threshold: number;
  /** What to keep in mind, one sentence each; not escaped. */
  readonly warnings: readonly string[];
}

/** How {@linkcode compareResultFiles} compares. */
export interface ComparisonOptions {
  /** The relative change that matters, above 0. Default 0.05. */
  readonly threshold?: number;
}

/** No two of the files have a measurement in common that went well in both. */
export class NothingComparableError extends Error {
  override readonly name = "NothingComparableError";
}

/** A text that is equal for measurements that may be compared. */
function keyText(measurement: Measurement): string {
  const { kernel, pass, shape, dtype, cache = "hot" } = measurement;
  const dimensions = Object.entries(shape).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([kernel, pass, dimensions, dtype, cache]);
}

/**
 * Groups a file's measurements and takes one of each group: the chosen variant, else the fastest.
 */
function representatives(measurements: readonly Measurement[]): Map<string, Measurement> {
  const groups = new Map<string, Measurement[]>();
  for (const measurement of measurements) {
    const key = keyText(measurement);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [measurement]);
    else group.push(measurement);
  }
  const found = new Map<string, Measurement>();
  for (const [key, group] of groups) {
    const score = (candidate: Measurement) =>
      candidate.chosen === true
        ? -1
        : usable(candidate)
        ? summarizeOnce(candidate).median!
        : Infinity;
    found.set(
      key,
      group.length === 1 ? group[0]! : group.reduce((a, b) => score(b) < score(a) ? b : a),
    );
  }
  return found;
}

function usable(measurement: Measurement | undefined): measurement is Measurement {
  return measurement !== undefined && (measurement.status ?? "ok") === "ok" &&
    measurement.samples.length > 0;
}

const summaries = new WeakMap<Measurement, Summary>();

/** Resampling is the expensive part; a measurement never changes. */
function summarizeOnce(measurement: Measurement): Summary {
  let summary = summaries.get(measurement);
  if (summary === undefined) summaries.set(measurement, summary = summarize(measurement.samples));
  return summary;
}

function work(measurement: Measurement): number {
  return measurement.flops + measurement.bytes;
}

/** 64 before 256. */
const natural = new Intl.Collator("en", { numeric: true });

const passOrder = ["forward", "backward"];

/** By kernel, forward before backward, then from little work to much. */
function compareRows(a: Measurement, b: Measurement): number {
  const byName = (x: string, y: string) => x < y ? -1 : x > y ? 1 : 0;
  return byName(a.kernel, b.kernel) ||
    passOrder.indexOf(a.pass) - passOrder.indexOf(b.pass) || byName(a.pass, b.pass) ||
    byName(a.dtype, b.dtype) || work(a) - work(b) || natural.compare(keyText(a), keyText(b));
}

/**
 * Places result files side by side.
 *
 * @param results at least two; the first one is the baseline of all verdicts
 * @param options the threshold
 * @throws {TypeError} for fewer than two files
 * @throws {RangeError} if the threshold is not a positive number
 * @throws {NothingComparableError} if no measurement went well in two of them
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
  const columns = results.map(({ file }) => representatives(file.measurements));
  const shared = sharedKeys(columns);
  if (shared.length === 0) throw new NothingComparableError(nothingComparable(results, columns));
  const machines = machinesOf(results);
  const rows = judgeAll(shared.map((key) => rowOf(key, columns, results)), results, threshold);
  const uncompared = otherKeys(columns, shared).map((key) => rowOf(key, columns, results));
  const complete = rows.filter(({ cells }) => cells.every(({ rank }) => rank !== undefined));
  return {
    machines,
    rows,
    uncompared,
    totals: machines.map((_, i) => totalOf(rows, complete, i)),
    completeRows: complete.length,
    threshold,
    warnings: comparisonWarnings({ results, machines, rows, columns, threshold }),
  };
}

/** Keys that went well in at least two files, in the order of the table. */
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
  // A kernel that broke since the first file is part of the comparison as well.
  const broke = (key: string) =>
    usable(columns[0]!.get(key)) && columns.slice(1).some((column) => {
      const measurement = column.get(key);
      return measurement !== undefined && !usable(measurement);
    });
  return [...counts].filter(([key, count]) => count >= 2 || broke(key)).map(([key]) => key)
    .sort((a, b) => compareRows(first.get(a)!, first.get(b)!));
}

/** The keys that are left, in the order of the table. */
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
  return "no comparable measurements: kernel, pass, shape, dtype and cache state must be the same " +
    `in two files and the measurement have samples (${counts.join(", ")})`;
}

function rowOf(
  key: string,
  columns: readonly ReadonlyMap<string, Measurement>[],
  results: readonly NamedResult[],
): ComparisonRow {
  const found = columns.map((column) => column.get(key));
  const medians = found.map((one) => usable(one) ? summarizeOnce(one).median! : undefined);
  const known = medians.filter((value) => value !== undefined);
  const best = Math.min(...known);
  const cells = found.map((measurement, i): ComparisonCell => {
    const time = medians[i];
    const roofline = measurement === undefined
      ? { intensity: undefined, bound: undefined, leastTime: undefined }
      : rooflinePosition(measurement, results[i]!.file.ceilings);
    const rate = (amount: number | undefined) =>
      time === undefined || amount === undefined ? undefined : amount / time * 1e9;
    return {
      status: measurement === undefined ? "missing" : measurement.status ?? "ok",
      measurement,
      summary: usable(measurement) ? summarizeOnce(measurement) : summarize([]),
      roofline,
      rooflineShare: time === undefined || roofline.leastTime === undefined
        ? undefined
        : roofline.leastTime / time,
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

/** Compares every cell with the first of its row, and corrects over the whole table. */
function judgeAll(
  rows: readonly ComparisonRow[],
  results: readonly NamedResult[],
  threshold: number,
): ComparisonRow[] {
  const same = results.map(({ file }) => isSameMachine(results[0]!.file, file));
  const pairs = rows.map(({ cells }) =>
    cells.map((cell, i) => {
      const first = cells[0]!.measurement;
      if (i === 0 || cell.measurement === undefined || first === undefined) return undefined;
      return comparePair(
        usable(first) ? first : { samples: [] },
        usable(cell.measurement) ? cell.measurement : { samples: [] },
      );
    })
  );
  const corrected = holm(pairs.flat().map((pair) => pair?.pValue));
  return rows.map((row, r) => ({
    ...row,
    cells: row.cells.map((cell, c) => {
      const pair = pairs[r]![c];
      if (pair === undefined) return cell;
      const correctedPValue = corrected[r * results.length + c];
      const sameMachine = same[c]!;
      const verdict = judge(pair, { threshold, correctedPValue, sameMachine });
      return { ...cell, pair: { ...pair, correctedPValue, sameMachine, verdict } };
    }),
  }));
}

/** undefined for an empty list. */
function geometricMean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

function defined(values: readonly (number | undefined)[]): number[] {
  return values.filter((value) => value !== undefined);
}

function totalOf(
  rows: readonly ComparisonRow[],
  complete: readonly ComparisonRow[],
  index: number,
): MachineTotal {
  const ranks = complete.map(({ cells }) => cells[index]!.rank!);
  const verdicts = { faster: 0, slower: 0, same: 0, ambiguous: 0, "no data": 0 };
  for (const { cells } of rows) {
    const verdict = cells[index]!.pair?.verdict;
    if (verdict !== undefined) verdicts[verdict]++;
  }
  return {
    geometricMean: geometricMean(complete.map(({ cells }) => cells[index]!.relativeToBest!)),
    meanRank: ranks.length === 0
      ? undefined
      : ranks.reduce((sum, rank) => sum + rank, 0) / ranks.length,
    // A kernel without any work has a share of 0, which has no logarithm.
    rooflineShare: geometricMean(
      defined(rows.map(({ cells }) => cells[index]!.rooflineShare)).filter((share) => share > 0),
    ),
    ratioToFirst: index === 0
      ? undefined
      : geometricMean(defined(rows.map(({ cells }) => cells[index]!.pair?.ratio))),
    verdicts,
  };
}
