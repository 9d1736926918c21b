/**
 * The comparison page's tables: some have colors or signs in their cells, others repeat a picture's
 * numbers.
 */
import { quantileSorted } from "simple-statistics";
import type { Comparison } from "../../measure/comparison.ts";
import type { ComparisonCell, ComparisonRow } from "../../measure/comparison/rows.ts";
import { sorted } from "../../statistics/summary.ts";
import { rowName, throughput, throughputOf } from "./bar_plot.ts";
import { ceilingCell, shareText, verdictCell } from "./cells.ts";
import { type Remark, rowRemarks } from "./remarks.ts";
import {
  formatChange,
  formatChangeInterval,
  formatDuration,
  formatFactor,
  formatPrecision,
  formatProbability,
  formatRate,
  formatShare,
  NO_DATA,
} from "../format.ts";
import { html, type Markup, scrollRegion } from "../html.ts";
import { type OperatorGroup, signIcon } from "../plot.ts";
import { cellText, numberColumns, type Table, textColumns } from "../table.ts";

function rowHeader(row: ComparisonRow, remark: Remark): Markup {
  return html`<th scope="row">${row.kernel} ${row.pass}<small>${rowName(row)}</small>${
    reference(remark)
  }</th>`;
}

/** In multiples of the best time. */
const HEAT_LIMITS = [1.02, 2, 4, 10] as const;

function heat(relative: number): number {
  return HEAT_LIMITS.filter((limit) => relative >= limit).length;
}

function matrixCell(cell: ComparisonCell): Markup {
  if (cell.rank === undefined || cell.relativeToBest === undefined) {
    return cell.status === "missing" || cell.status === "ok"
      ? html`<td class="faint">${NO_DATA}</td>`
      : html`<td class="bad" title="${
        cell.measurement?.reason ?? cell.status
      }">${cell.status}</td>`;
  }
  return html`
    <td
      class="heat${heat(cell.relativeToBest)}"><b>${formatDuration(
        cell.summary.median,
      )}</b><small>${cell.rank === 1 ? "★ " : ""}${formatFactor(
        cell.relativeToBest,
      )} · ${cell.rooflineShare === undefined
        ? "no ceiling"
        : formatShare(cell.rooflineShare)}</small></td>
  `;
}

/**
 * The table for three or more machines. A cell's color shows its time divided by the row's best
 * time.
 */
export function matrixMarkup(comparison: Comparison): Markup {
  const { machines, rows, totals, completeRows } = comparison;
  const remarks = rowRemarks(comparison);
  return scrollRegion(
    "matrix",
    html`
      <table class="matrix">
        <caption
          id="matrix-caption">Each cell shows the median time, and below it the multiple of the row’s best time (★) and the share of the machine’s own roofline. <span class="key heat0">best</span><span class="key heat1">below 2×</span><span class="key heat2">below 4×</span><span class="key heat3">below 10×</span><span class="key heat4">10× and more</span></caption>
        <thead>
          <tr><th scope="col">measurement</th>${machines.map(({ name }, i) =>
            html`<th scope="col" data-align="right">${signIcon(i)} ${name}</th>`
          )}</tr>
        </thead>
        <tbody>
      ${rows.map((row, r) =>
        html`<tr>${rowHeader(row, remarks[r]!)}${row.cells.map(matrixCell)}</tr>\n`
      )}</tbody>
        <tfoot>
          <tr><th scope="row">geometric mean, mean rank<small>of the ${completeRows} complete rows</small></th>${totals
            .map(({ geometricMean, meanRank }) =>
              html`<td><b>${formatFactor(geometricMean)}</b><small>rank ${
                meanRank?.toFixed(2) ?? NO_DATA
              }</small></td>`
            )}</tr>
        </tfoot>
      </table>
    `,
  );
}

function timeMarkup(cell: ComparisonCell): Markup {
  if (cell.summary.median === undefined) {
    return cell.status === "missing" || cell.status === "ok"
      ? html`<td class="faint" data-align="right">${NO_DATA}</td>`
      : html`<td class="bad" data-align="right">${cell.status}</td>`;
  }
  return html`<td data-align="right">${formatDuration(cell.summary.median)} <span class="soft">${
    formatPrecision(cell.summary.relativeHalfWidth)
  }</span></td>`;
}

/** The remarks on single measurements, in a list that the reader must unfold. */
export function remarksMarkup(comparison: Comparison): Markup {
  const remarks = rowRemarks(comparison).filter(({ number }) => number !== undefined);
  if (remarks.length === 0) return html``;
  return html`
    <details>
      <summary>Remarks on ${remarks.length} of ${comparison.rows.length} measurements</summary>
      <ol class="remarks">${remarks.map(({ text }) => html`<li>${text}</li>`)}</ol>
    </details>
  `;
}

function reference({ number }: Remark): Markup | undefined {
  return number === undefined ? undefined : html`<small>remark ${number}</small>`;
}

export function pairMarkup(comparison: Comparison): Markup {
  const { machines, rows } = comparison;
  const remarks = rowRemarks(comparison);
  return scrollRegion(
    "pair",
    html`
      <table class="pair">
        <caption
          id="pair-caption">Time of one call, ± half its 95 % interval, and the change from ${machines[
            0
          ]!
            .name} to ${machines[1]!.name}</caption>
        <thead>
          <tr><th scope="col">measurement</th>${machines.map(({ name }, i) =>
            html`<th scope="col" data-align="right">${signIcon(i)} ${name}</th>`
          )}<th scope="col" data-align="right">change</th><th scope="col" data-align="right">95 % interval</th><th scope="col">verdict</th><th scope="col" data-align="right">p (Holm)</th><th scope="col" data-align="right">of roofline</th></tr>
        </thead>
        <tbody>
      ${rows.map((row, r) => {
        const [before, after] = row.cells;
        const pair = after!.pair;
        const verdict = verdictCell(pair);
        const tone = typeof verdict === "string" ? "" : verdict.tone;
        return html`
          <tr>${rowHeader(row, remarks[r]!)}${timeMarkup(before!)}${timeMarkup(
            after!,
          )}<td data-align="right" class="${tone}">${formatChange(
            pair?.ratio,
          )}</td><td data-align="right">${pair?.interval === undefined
            ? NO_DATA
            : formatChangeInterval(pair.interval)}</td><td class="${tone}">${cellText(
              verdict,
            )}</td><td data-align="right">${formatProbability(
              pair?.correctedPValue,
            )}</td><td data-align="right">${shareText(before!)} → ${shareText(after!)}</td></tr>
        `;
      })}</tbody>
      </table>
    `,
  );
}

/** The ceilings in the roofline plot. */
export function ceilingsTable(comparison: Comparison): Table {
  return {
    caption:
      "Measured ceilings. Above the ridge, arithmetic limits a kernel; below it, bandwidth does",
    columns: [
      { title: "machine" },
      ...numberColumns("f32 FMA", "f16 FMA", "copy", "f32 ridge"),
    ],
    rows: comparison.machines.map((machine) => {
      const { name, ceilings: { f32Fma, copyBandwidth } } = machine;
      return [
        name,
        ceilingCell(machine, "f32Fma", "FLOP/s"),
        ceilingCell(machine, "f16Fma", "FLOP/s"),
        ceilingCell(machine, "copyBandwidth", "B/s"),
        f32Fma && copyBandwidth
          ? `${(f32Fma.value / copyBandwidth.value).toPrecision(3)} FLOP/B`
          : NO_DATA,
      ];
    }),
  };
}

/** The numbers of one operator's bars. */
export function operatorTable(comparison: Comparison, group: OperatorGroup): Table {
  const unit = throughputOf(group);
  return {
    caption: `${group.kernel} ${group.pass}: throughput with its 95 % interval`,
    columns: [
      ...textColumns("shape", "machine"),
      ...numberColumns("throughput", "from", "to", "of roofline"),
    ],
    rows: group.rows.flatMap((row) =>
      row.cells.map((cell, i) => {
        const found = throughput(cell, unit);
        return [
          rowName(row),
          comparison.machines[i]!.name,
          formatRate(found?.rate, unit),
          formatRate(found?.low, unit),
          formatRate(found?.high, unit),
          shareText(cell),
        ];
      })
    ),
  };
}

/** The samples of one operator. */
export function spreadTable(comparison: Comparison, group: OperatorGroup): Table {
  return {
    caption: `${group.kernel} ${group.pass}: samples`,
    columns: [
      ...textColumns("shape", "machine"),
      ...numberColumns("samples", "least", "quarter", "median"),
      ...numberColumns("three quarters", "most", "outliers"),
      { title: "modes" },
    ],
    rows: group.rows.flatMap((row) =>
      row.cells.map(({ summary, measurement }, i) => {
        const ordered = sorted(summary.count === 0 ? [] : measurement!.samples);
        return [
          rowName(row),
          comparison.machines[i]!.name,
          String(summary.count),
          ...[0, 0.25, 0.5, 0.75, 1].map((share) =>
            ordered.length === 0
              ? NO_DATA
              : formatDuration(quantileSorted(ordered as unknown as number[], share))
          ),
          String(summary.outliers),
          summary.count === 0 ? NO_DATA : summary.multimodal ? "several" : "one",
        ];
      })
    ),
  };
}
