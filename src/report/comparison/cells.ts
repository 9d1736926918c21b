/** Cells and texts of a comparison: verdicts, times, shares, ceilings, variants. */
import type { MachineTotal } from "../../measure/comparison/totals.ts";
import type { BoundingCeiling } from "../../measure/ceilings/roofline.ts";
import { ceilingPrecision } from "../ceiling.ts";
import type { Machine } from "../../measure/comparison/machine.ts";
import type { ComparisonCell, JudgedPair } from "../../measure/comparison/rows.ts";
import type { Measurement } from "../../measure/result_file.ts";
import type { Verdict } from "../../measure/comparison/verdict.ts";
import {
  formatChange,
  formatChangeInterval,
  formatDuration,
  formatFactor,
  formatPrecision,
  formatRate,
  formatShare,
  NO_DATA,
} from "../format.ts";
import type { Cell, Tone } from "../table.ts";

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

/** Writes a verdict, and its cause if it is ambiguous. Without a verdict the cell is empty. */
export function verdictCell(pair: JudgedPair | undefined): Cell {
  if (pair === undefined) return "";
  const { verdict, doubt } = pair;
  const text = verdictTexts[verdict] + (doubt === undefined ? "" : `: ${doubt.kind}`);
  return { text, tone: tones[verdict] };
}

/** A cell's time with its precision, or why it has no time. */
export function timeCell(cell: ComparisonCell): Cell {
  if (cell.status === "missing") return { text: NO_DATA, tone: "faint" };
  if (cell.status !== "ok") return { text: cell.status, tone: "bad" };
  const precision = formatPrecision(cell.summary.relativeHalfWidth);
  return `${formatDuration(cell.summary.median)}${precision === "" ? "" : ` ${precision}`}`;
}

/**
 * Writes a share of the roofline, and ± half the width of its interval in percentage points.
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

/** A time's change against the first machine and its interval: `−14.2 % (−16.0 % … −12.4 %)`. */
export function changeText(
  { ratioToFirst, ratioInterval }: Pick<MachineTotal, "ratioToFirst" | "ratioInterval">,
): string {
  const change = formatChange(ratioToFirst);
  return ratioInterval === undefined
    ? change
    : `${change} (${formatChangeInterval(ratioInterval)})`;
}

/** A ceiling as a cell. If a measurement of the same run exceeds it, the cell says how far. */
export function ceilingCell(machine: Machine, name: BoundingCeiling, unit: string): Cell {
  const ceiling = machine.ceilings[name];
  const precision = ceiling ? ceilingPrecision(ceiling) : "";
  const text = formatRate(ceiling?.value, unit) + (precision === "" ? "" : ` ${precision}`);
  const factor = machine.exceeded.get(name)?.factor;
  if (factor === undefined) return text;
  return { text: `${text} (exceeded ${formatFactor(factor)})`, tone: "unsure" };
}

/** A variant with its tuning, such as `tiled(rows=64, unrolled=true)`. */
export function variantText(measurement: Measurement | undefined): string {
  if (measurement === undefined) return NO_DATA;
  const tuning = Object.entries(measurement.tuning).map(([name, value]) => `${name}=${value}`);
  return tuning.length === 0 ? measurement.variant : `${measurement.variant}(${tuning.join(", ")})`;
}
