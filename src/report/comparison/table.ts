/** A comparison as tables for the terminal, Markdown and the page. */
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
  formatChangeInterval,
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

/** Signs tell verdicts apart without color. */
const verdictTexts: Readonly<Record<Verdict, string>> = {
  faster: "▲ faster",
  slower: "▼ slower",
  same: "= same",
  ambiguous: "? ambiguous",
  "no data": NO_DATA,
};

/** A verdict as a cell, with the cause of an ambiguous one; empty without a verdict. */
export function verdictCell(pair: JudgedPair | undefined): Cell {
  if (pair === undefined) return "";
  const { verdict, doubt } = pair;
  const text = verdictTexts[verdict] + (doubt === undefined ? "" : `: ${doubt.kind}`);
  return { text, tone: tones[verdict] };
}

/** The cause of an ambiguous verdict, and what would settle it. */
function doubtText({ doubt, secondsToSettle }: JudgedPair): string[] {
  if (doubt === undefined) return [];
  const remedy = secondsToSettle !== undefined
    ? `; about ${secondsToSettle} more seconds of --budget in both runs would settle it`
    : doubt.kind === "chance" || doubt.kind === "wide interval"
    ? "; no --budget would settle it, perhaps a quieter machine"
    : "";
  return [doubt.text + remedy];
}

function keyColumns(
  comparison: Comparison,
): { columns: Column[]; cells(row: ComparisonRow): Cell[] } {
  // Leave out the number format if all are equal, and the cache if all are hot.
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

/** A cell's time with its precision, or why it has no time. */
function timeCell(cell: ComparisonCell): Cell {
  if (cell.status === "missing") return { text: NO_DATA, tone: "faint" };
  if (cell.status !== "ok") return { text: cell.status, tone: "bad" };
  const precision = formatPrecision(cell.summary.relativeHalfWidth);
  return `${formatDuration(cell.summary.median)}${precision === "" ? "" : ` ${precision}`}`;
}

/** Reasons to trust a cell less; for an ambiguous verdict, also what would settle it. */
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

export interface Remark {
  /** From 1 on; undefined without remarks. */
  readonly number: number | undefined;
  /** The measurement, the machines and the remarks on each; not escaped. */
  readonly text: string;
}

/** One remark per row: failures, noise, the bench's warnings, doubts about verdicts. */
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
 * A share of the roofline with half its interval in percentage points.
 *
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

/** The table of two machines: one row per measurement, with the verdict on the second machine. */
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
        pair?.interval === undefined ? NO_DATA : formatChangeInterval(pair.interval),
        formatProbability(pair?.correctedPValue),
        verdictCell(pair),
        `${shareText(a!)} → ${shareText(b!)}`,
        remarkCell(remarks[r]!),
      ];
    }),
  };
}

/**
 * The table of any number of machines: one row per measurement, and one column per machine with the
 * time, its multiple of the row's best, and the share of the machine's roofline.
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
 * The table of totals: one row per machine. Ranks and multiples of the best count only the rows
 * that every machine has.
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

/** The change against the first machine, such as `−14.2 % (−16.0 % … −12.4 %)`. */
export function changeText(
  { ratioToFirst, ratioInterval }: Pick<MachineTotal, "ratioToFirst" | "ratioInterval">,
): string {
  const change = formatChange(ratioToFirst);
  return ratioInterval === undefined
    ? change
    : `${change} (${formatChangeInterval(ratioInterval)})`;
}

/** A ceiling as a cell, with a mark if a measurement of the same run exceeds it. */
export function ceilingCell(machine: Machine, name: BoundingCeiling, unit: string): Cell {
  const ceiling = machine.ceilings[name];
  const precision = ceiling ? ceilingPrecision(ceiling) : "";
  const text = formatRate(ceiling?.value, unit) + (precision === "" ? "" : ` ${precision}`);
  const factor = machine.exceeded.get(name)?.factor;
  if (factor === undefined) return text;
  return { text: `${text} (exceeded ${formatFactor(factor)})`, tone: "unsure" };
}

/** The table of machines: one row each with its properties and ceilings. */
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

/** A variant with its tuning, such as `tiled(rows=64, unrolled=true)`. */
export function variantText(measurement: Measurement | undefined): string {
  if (measurement === undefined) return NO_DATA;
  const tuning = Object.entries(measurement.tuning).map(([name, value]) => `${name}=${value}`);
  return tuning.length === 0 ? measurement.variant : `${measurement.variant}(${tuning.join(", ")})`;
}

/** The table of variants: one row per measurement, with the variant that each machine chose. */
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

/** Whether machines chose different variants anywhere. */
export function hasVariants(comparison: Comparison): boolean {
  return comparison.rows.some(({ cells }) => {
    const chosen = cells.flatMap(({ measurement }) =>
      measurement === undefined ? [] : variantText(measurement)
    );
    return new Set(chosen).size > 1;
  });
}
