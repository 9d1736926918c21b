/** A comparison as text: for a terminal, Markdown, CSV or JSON. */
import { escapeTerminal } from "../../escape.ts";
import type { Comparison } from "../../measure/comparison.ts";
import type { ComparisonCell, ComparisonRow } from "../../measure/comparison/rows.ts";
import type { Measurement } from "../../measure/result_file.ts";
import { processesOf } from "../../measure/rounds.ts";
import { rowRemarks } from "./remarks.ts";
import { machineTable, totalTable } from "./machine_table.ts";
import { hasVariants, matrixTable, pairTable, variantTable } from "./table.ts";
import { formatShape } from "../format.ts";
import {
  escapeMarkdown,
  formatCsv,
  formatMarkdownTable,
  formatTerminalTable,
  type Table,
} from "../table.ts";

/** In reading order. */
function tables(comparison: Comparison): Table[] {
  return [
    machineTable(comparison),
    comparison.machines.length === 2 ? pairTable(comparison) : matrixTable(comparison),
    totalTable(comparison),
    ...hasVariants(comparison) ? [variantTable(comparison)] : [],
  ];
}

/** The remarks that the tables refer to. */
function remarks(comparison: Comparison): string[] {
  return rowRemarks(comparison).flatMap(({ number, text }) =>
    number === undefined ? [] : [`[${number}] ${text}`]
  );
}

/** One text, or none without lines. */
function block(texts: readonly string[], format: (text: string) => string): string[] {
  return texts.length === 0 ? [] : [texts.map(format).join("")];
}

/** Options of {@linkcode formatComparison}. */
export interface ComparisonTextOptions {
  /** Whether to use colors. Default false. */
  readonly color?: boolean;
}

/** Writes a comparison for a terminal. */
export function formatComparison(
  comparison: Comparison,
  options: ComparisonTextOptions = {},
): string {
  return [
    ...tables(comparison).map((table) => formatTerminalTable(table, options)),
    ...block(remarks(comparison), (text) => `${escapeTerminal(text)}\n`),
    ...block(comparison.warnings, (warning) => `note: ${escapeTerminal(warning)}\n`),
  ].join("\n");
}

/** Writes a comparison as Markdown, for an issue or a pull request. */
export function formatComparisonMarkdown(comparison: Comparison): string {
  return [
    ...tables(comparison).map(formatMarkdownTable),
    ...block(remarks(comparison), (text) => `- ${escapeMarkdown(text)}\n`),
    ...block(comparison.warnings, (warning) => `- ${escapeMarkdown(warning)}\n`),
  ].join("\n");
}

function number(value: number | undefined): string {
  return value === undefined ? "" : String(value);
}

/** CSV's columns: titles and values. */
const csvColumns: readonly (readonly [string, (cell: ComparisonCell) => string])[] = [
  ["status", ({ status }) => status],
  ["variant", ({ measurement }) => measurement?.variant ?? ""],
  [
    "tuning",
    ({ measurement }) =>
      Object.entries(measurement?.tuning ?? {}).map(([name, value]) => `${name}=${value}`).join(
        " ",
      ),
  ],
  ["samples", ({ summary }) => String(summary.count)],
  ["median_ns", ({ summary }) => number(summary.median)],
  ["low_ns", ({ summary }) => number(summary.interval?.low)],
  ["high_ns", ({ summary }) => number(summary.interval?.high)],
  ["outliers", ({ summary }) => String(summary.outliers)],
  ["multimodal", ({ summary }) => String(summary.multimodal)],
  ["flop_per_s", ({ flopsPerSecond }) => number(flopsPerSecond)],
  ["byte_per_s", ({ bytesPerSecond }) => number(bytesPerSecond)],
  ["processes", ({ measurement }) => processCount(measurement)],
  ["roofline_share", ({ rooflineShare }) => number(rooflineShare)],
  ["roofline_low", ({ rooflineInterval }) => number(rooflineInterval?.low)],
  ["roofline_high", ({ rooflineInterval }) => number(rooflineInterval?.high)],
  ["rank", ({ rank }) => number(rank)],
  ["relative_to_best", ({ relativeToBest }) => number(relativeToBest)],
  ["ratio_to_first", ({ pair }) => number(pair?.ratio)],
  ["ratio_low", ({ pair }) => number(pair?.interval?.low)],
  ["ratio_high", ({ pair }) => number(pair?.interval?.high)],
  ["p", ({ pair }) => number(pair?.pValue)],
  ["p_holm", ({ pair }) => number(pair?.correctedPValue)],
  ["verdict", ({ pair }) => pair?.verdict ?? ""],
  ["ambiguous_because", ({ pair }) => pair?.doubt?.kind ?? ""],
  ["seconds_to_settle", ({ pair }) => number(pair?.secondsToSettle)],
];

function processCount(measurement: Measurement | undefined): string {
  return measurement === undefined ? "" : String(processesOf(measurement).length);
}

/**
 * Writes a comparison as comma-separated values: one line per measurement and machine. A
 * measurement that a machine lacks has the status `missing`. An empty field means no data.
 */
export function formatComparisonCsv(comparison: Comparison): string {
  return formatCsv({
    columns: ["kernel", "pass", "shape", "dtype", "cache", "machine", "file"]
      .concat(csvColumns.map(([title]) => title)).map((title) => ({ title })),
    rows: [...comparison.rows, ...comparison.uncompared].flatMap((row) =>
      row.cells.map((cell, i) => [
        row.kernel,
        row.pass,
        formatShape(row.shape),
        row.dtype,
        row.cache,
        comparison.machines[i]!.name,
        comparison.machines[i]!.fileName,
        ...csvColumns.map(([, value]) => value(cell)),
      ])
    ),
  });
}

/**
 * Writes a comparison as JSON, `gradsink-comparison/1`, without the samples. An absent field means
 * no data. `uncompared` lists the rows without a verdict. A machine's `exceeded` names the ceilings
 * that its measurements exceed, with the greatest ratio of a measured rate to the ceiling.
 */
export function formatComparisonJson(comparison: Comparison): string {
  const { machines, rows, uncompared, totals, completeRows, threshold, warnings } = comparison;
  const described = ({ cells, ...key }: ComparisonRow) => ({
    ...key,
    cells: cells.map(({ measurement, ...cell }, i) => ({
      machine: machines[i]!.name,
      ...cell,
      variant: measurement?.variant,
      tuning: measurement?.tuning,
      reason: measurement?.reason,
      warnings: measurement?.warnings,
    })),
  });
  const value = {
    schema: "gradsink-comparison/1",
    threshold,
    machines: machines.map((machine, i) => ({
      ...machine,
      exceeded: Object.fromEntries(
        [...machine.exceeded].map(([name, { factor }]) => [name, factor]),
      ),
      total: totals[i],
    })),
    completeRows,
    rows: rows.map(described),
    uncompared: uncompared.map(described),
    warnings,
  };
  // `escapeTerminal` escapes line breaks too. So each line is escaped alone, and the breaks between
  // lines stay. Strings in JSON contain no raw line breaks.
  return JSON.stringify(value, null, 2).split("\n").map(escapeTerminal).join("\n") + "\n";
}
