/** The tables of a comparison that have one row per measurement. */
import type { Comparison } from "../../measure/comparison.ts";
import type { ComparisonRow } from "../../measure/comparison/rows.ts";
import {
  formatChange,
  formatChangeInterval,
  formatDuration,
  formatFactor,
  formatProbability,
  formatShape,
  formatShare,
  NO_DATA,
} from "../format.ts";
import { type Cell, type Column, numberColumns, type Table, textColumns } from "../table.ts";
import { shareText, timeCell, variantText, verdictCell } from "./cells.ts";
import { type Remark, rowRemarks } from "./remarks.ts";

function keyColumns(
  comparison: Comparison,
): { columns: Column[]; cells(row: ComparisonRow): Cell[] } {
  // Leave out the number format if it is the same in all rows, and the cache if it is hot in all.
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

function remarkCell({ number }: Remark): string {
  return number === undefined ? "" : `[${number}]`;
}

/** The table of two machines: one row per measurement, with the verdict on the second machine. */
export function pairTable(comparison: Comparison): Table {
  const remarks = rowRemarks(comparison);
  const [before, after] = comparison.machines;
  const key = keyColumns(comparison);
  return {
    caption: "Time of one call, ± half its 95 % interval",
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
 * The table of any number of machines: one row per measurement, and one column per machine. A cell
 * shows the time, the time ÷ the row's best time, and the share of the machine's roofline.
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
