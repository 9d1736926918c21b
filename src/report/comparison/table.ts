/** A comparison as tables, for the terminal, for Markdown and for the page. */
import type { Comparison } from "../../measure/comparison.ts";
import type { MachineTotal } from "../../measure/comparison/totals.ts";
import type { BoundingCeiling } from "../../measure/ceilings/roofline.ts";
import { ceilingPrecision } from "../ceiling.ts";
import type { Machine } from "../../measure/comparison/machine.ts";
import type { ComparisonCell, ComparisonRow, JudgedPair } from "../../measure/comparison/rows.ts";
import type { Measurement } from "../../measure/result_file.ts";
import type { Verdict } from "../../measure/comparison/verdict.ts";
import {
  formatChange,
  formatDuration,
  formatFactor,
  formatPrecision,
  formatProbability,
  formatRate,
  formatShape,
  formatShare,
  NO_DATA,
} from "../format.ts";
import {
  type Cell,
  type Column,
  numberColumns,
  type Table,
  textColumns,
  type Tone,
} from "../table.ts";

const tones: Readonly<Record<Verdict, Tone>> = {
  faster: "good",
  slower: "bad",
  same: "faint",
  ambiguous: "unsure",
  "no data": "unsure",
};

/** Verdicts as cells, with a sign so that no color is needed to tell them apart. */
const verdictTexts: Readonly<Record<Verdict, string>> = {
  faster: "▲ faster",
  slower: "▼ slower",
  same: "= same",
  ambiguous: "? ambiguous",
  "no data": NO_DATA,
};

/**
 * A verdict as a cell; an ambiguous one with what made it so, in a word or two.
 *
 * @param pair undefined where there is nothing to compare with
 */
export function verdictCell(pair: JudgedPair | undefined): Cell {
  if (pair === undefined) return "";
  const { verdict, doubt } = pair;
  const text = verdictTexts[verdict] + (doubt === undefined ? "" : `: ${doubt.kind}`);
  return { text, tone: tones[verdict] };
}

/** Why a verdict is ambiguous, and what would settle it. */
function doubtText({ doubt, secondsToSettle }: JudgedPair): string[] {
  if (doubt === undefined) return [];
  const remedy = secondsToSettle !== undefined
    ? `; about ${secondsToSettle} more seconds of --budget in both runs would settle it`
    : doubt.kind === "chance" || doubt.kind === "wide interval"
    ? "; no --budget would settle it, perhaps a quieter machine"
    : "";
  return [doubt.text + remedy];
}

/** Columns and cells that say which measurement a row is. */
function keyColumns(
  comparison: Comparison,
): { columns: Column[]; cells(row: ComparisonRow): Cell[] } {
  // A column in which all rows agree says nothing.
  const withType = new Set(comparison.rows.map(({ dtype }) => dtype)).size > 1;
  const withCache = comparison.rows.some(({ cache }) => cache === "cold");
  return {
    columns: [
      ...textColumns("kernel", "shape"),
      ...withType ? textColumns("dtype") : [],
      ...withCache ? textColumns("cache") : [],
    ],
    cells: (row) => [
      `${row.kernel} ${row.pass}`,
      formatShape(row.shape),
      ...withType ? [row.dtype] : [],
      ...withCache ? [row.cache] : [],
    ],
  };
}

/** Why a cell has no time, or its time with its precision. */
function timeCell(cell: ComparisonCell): Cell {
  if (cell.status === "missing") return { text: NO_DATA, tone: "faint" };
  if (cell.status !== "ok") return { text: cell.status, tone: "bad" };
  const precision = formatPrecision(cell.summary.relativeHalfWidth);
  return `${formatDuration(cell.summary.median)}${precision === "" ? "" : ` ${precision}`}`;
}

/** What is suspicious about a cell's samples, in a few words each. */
function suspicions({ summary, measurement, pair, rooflineShare = 0 }: ComparisonCell): string[] {
  return [
    ...rooflineShare > 1 ? ["faster than its roofline"] : [],
    ...measurement?.reason === undefined ? [] : [measurement.reason],
    ...summary.count > 0 && summary.interval === undefined ? ["too few samples"] : [],
    ...pair === undefined ? [] : doubtText(pair),
    ...summary.multimodal ? ["several modes"] : [],
    ...summary.outliers > summary.count / 10
      ? [`${summary.outliers} of ${summary.count} samples are outliers`]
      : [],
    ...measurement?.warnings ?? [],
  ];
}

/** What the reader should know about the measurements of one row. */
export interface Remark {
  /** Counts from 1 over the table; undefined for a row without remarks. */
  readonly number: number | undefined;
  /** Which measurement, and what about which machine; not escaped. */
  readonly text: string;
}

/**
 * Remarks on rows: failures, noise, what the bench warned about.
 *
 * @param comparison of at least two files
 * @returns one for each row, in order
 */
export function rowRemarks(comparison: Comparison): Remark[] {
  let count = 0;
  return comparison.rows.map((row) => {
    const parts = row.cells.flatMap((cell, i) => {
      const found = suspicions(cell);
      return found.length === 0 ? [] : [`${comparison.machines[i]!.name}: ${found.join(", ")}`];
    });
    return parts.length === 0
      ? { number: undefined, text: "" }
      : { number: ++count, text: `${keyText(row)}: ${parts.join("; ")}` };
  });
}

/**
 * A share of the roofline with half its interval in points of percent.
 *
 * @param value.rooflineShare such as 0.208
 * @returns for example `20.8 % ±1.3`
 */
export function shareText(
  { rooflineShare, rooflineInterval }: Pick<
    ComparisonCell,
    "rooflineShare" | "rooflineInterval"
  >,
): string {
  if (rooflineShare === undefined || rooflineInterval === undefined) {
    return formatShare(rooflineShare);
  }
  const half = 100 * (rooflineInterval.high - rooflineInterval.low) / 2;
  return `${formatShare(rooflineShare)} ±${half < 10 ? half.toPrecision(2) : half.toFixed(0)}`;
}

function keyText(row: ComparisonRow): string {
  return `${row.kernel} ${row.pass} ${formatShape(row.shape)} ${row.dtype} ${row.cache}`;
}

function remarkCell({ number }: Remark): string {
  return number === undefined ? "" : `[${number}]`;
}

/**
 * Two machines: one line for each measurement, with the verdict on the second one.
 *
 * @param comparison of exactly two files
 */
export function pairTable(comparison: Comparison): Table {
  const remarks = rowRemarks(comparison);
  const [before, after] = comparison.machines;
  const key = keyColumns(comparison);
  return {
    caption: "Time for one run with half its 95 % interval",
    columns: [
      ...key.columns,
      ...numberColumns(before!.name, after!.name, "change", "95 % interval", "p (Holm)"),
      { title: "verdict" },
      { title: "of roofline", align: "right" },
      { title: "remarks" },
    ],
    rows: comparison.rows.map((row, r) => {
      const [a, b] = row.cells;
      const pair = b!.pair;
      return [
        ...key.cells(row),
        timeCell(a!),
        timeCell(b!),
        formatChange(pair?.ratio),
        pair?.interval === undefined
          ? NO_DATA
          : `${formatChange(pair.interval.low)} … ${formatChange(pair.interval.high)}`,
        formatProbability(pair?.correctedPValue),
        verdictCell(pair),
        `${shareText(a!)} → ${shareText(b!)}`,
        remarkCell(remarks[r]!),
      ];
    }),
  };
}

/**
 * Any number of machines: one line for each measurement, one column for each machine with the time,
 * its multiple of the row's best, and the share of the machine's own roofline.
 *
 * @param comparison of at least two files
 */
export function matrixTable(comparison: Comparison): Table {
  const key = keyColumns(comparison);
  const remarks = rowRemarks(comparison);
  return {
    caption: "Median time, multiple of the row's best, share of the machine's own roofline",
    columns: [
      ...key.columns,
      ...numberColumns(...comparison.machines.map(({ name }) => name)),
      { title: "remarks" },
    ],
    rows: comparison.rows.map((row, r) => [
      ...key.cells(row),
      ...row.cells.map((cell): Cell => {
        if (cell.rank === undefined) return timeCell(cell);
        const text = `${formatDuration(cell.summary.median)}  ${
          formatFactor(cell.relativeToBest)
        }  ${formatShare(cell.rooflineShare)}`;
        return cell.rank === 1 ? { text, tone: "good" } : text;
      }),
      remarkCell(remarks[r]!),
    ]),
  };
}

/**
 * One line for each machine over all measurements.
 *
 * @param comparison of at least two files
 */
export function totalTable(comparison: Comparison): Table {
  const first = comparison.machines[0]!.name;
  return {
    caption: `All measurements together (${comparison.completeRows} of ${comparison.rows.length} ` +
      "that every machine has, for ranks and multiples of the best)",
    columns: [
      { title: "machine" },
      ...numberColumns("mean rank", "geometric mean of time ÷ best"),
      ...numberColumns("geometric mean of roofline share", `time against ${first}`),
      ...numberColumns("faster", "same", "ambiguous", "slower"),
    ],
    rows: comparison.totals.map((total, i) => [
      comparison.machines[i]!.name,
      total.meanRank === undefined ? NO_DATA : total.meanRank.toFixed(2),
      formatFactor(total.geometricMean),
      shareText(total),
      i === 0 ? "baseline" : changeText(total),
      ...i === 0
        ? ["", "", "", ""]
        : (["faster", "same", "ambiguous", "slower"] as const).map((verdict) =>
          String(total.verdicts[verdict])
        ),
    ]),
  };
}

/**
 * The change against the first machine with its interval.
 *
 * @param total of a machine
 * @returns for example `−14.2 % (−16.0 % … −12.4 %)`
 */
export function changeText(
  { ratioToFirst, ratioInterval }: Pick<MachineTotal, "ratioToFirst" | "ratioInterval">,
): string {
  const change = formatChange(ratioToFirst);
  return ratioInterval === undefined
    ? change
    : `${change} (${formatChange(ratioInterval.low)} … ${formatChange(ratioInterval.high)})`;
}

/**
 * A ceiling as a cell, marked if a measurement of the same run exceeds it.
 *
 * @param machine the machine that the ceiling bounds
 * @param name which ceiling
 * @param unit of the figure
 */
export function ceilingCell(machine: Machine, name: BoundingCeiling, unit: string): Cell {
  const ceiling = machine.ceilings[name];
  const precision = ceiling ? ceilingPrecision(ceiling) : "";
  const text = formatRate(ceiling?.value, unit) + (precision === "" ? "" : ` ${precision}`);
  const factor = machine.exceeded.get(name)?.factor;
  if (factor === undefined) return text;
  return { text: `${text} (exceeded ${formatFactor(factor)})`, tone: "unsure" };
}

/**
 * One line for each machine: what it is and what it can do.
 *
 * @param comparison of at least two files
 */
export function machineTable(comparison: Comparison): Table {
  return {
    caption: "The machines and their measured ceilings",
    columns: [
      ...textColumns("machine", "adapter", "runtime", "host", "suite", "date"),
      ...numberColumns("f32 FMA", "f16 FMA", "copy", "exp", "dispatch", "submit and wait"),
    ],
    rows: comparison.machines.map((machine) => {
      const { ceilings } = machine;
      const rate = (name: BoundingCeiling, unit: string) => ceilingCell(machine, name, unit);
      return [
        machine.name,
        `${machine.adapter}${machine.software ? " (software)" : ""}`,
        machine.runtime,
        machine.host === "" ? NO_DATA : machine.host,
        machine.suite,
        machine.date.slice(0, 10),
        rate("f32Fma", "FLOP/s"),
        rate("f16Fma", "FLOP/s"),
        rate("copyBandwidth", "B/s"),
        formatRate(ceilings.expRate?.value, "op/s"),
        formatDuration(ceilings.dispatchOverhead?.value),
        formatDuration(ceilings.submitAndWait?.value),
      ];
    }),
  };
}

/**
 * A variant with its tuning.
 *
 * @param measurement undefined where the machine did not measure it
 * @returns for example `tiled(rows=64, unrolled=true)`
 */
export function variantText(measurement: Measurement | undefined): string {
  if (measurement === undefined) return NO_DATA;
  const tuning = Object.entries(measurement.tuning).map(([name, value]) => `${name}=${value}`);
  return tuning.length === 0 ? measurement.variant : `${measurement.variant}(${tuning.join(", ")})`;
}

/**
 * Which variant each machine chose.
 *
 * @param comparison of at least two files
 */
export function variantTable(comparison: Comparison): Table {
  const key = keyColumns(comparison);
  return {
    caption: "The variant that each machine chose",
    columns: [...key.columns, ...textColumns(...comparison.machines.map(({ name }) => name))],
    rows: comparison.rows.map((row) => [
      ...key.cells(row),
      ...row.cells.map(({ measurement }): Cell =>
        measurement === undefined ? { text: NO_DATA, tone: "faint" } : variantText(measurement)
      ),
    ]),
  };
}

/** True if the variants are worth a table: the machines chose differently somewhere. */
export function hasVariants(comparison: Comparison): boolean {
  return comparison.rows.some(({ cells }) => {
    const chosen = cells.flatMap(({ measurement }) =>
      measurement === undefined ? [] : variantText(measurement)
    );
    return new Set(chosen).size > 1;
  });
}
