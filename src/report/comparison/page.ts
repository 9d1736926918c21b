/**
 * A comparison as one HTML page without scripts or requests. It can be read in light and dark, on a
 * phone, and by people who cannot see the pictures.
 */
import type { Comparison } from "../../measure/comparison.ts";
import { barPlot, throughputOf } from "./bar_plot.ts";
import { changePlot } from "./change_plot.ts";
import {
  ceilingsTable,
  matrixMarkup,
  operatorTable,
  pairMarkup,
  remarksMarkup,
  spreadTable,
} from "./page_table.ts";
import { machineTable, totalTable } from "./machine_table.ts";
import { hasVariants, variantTable } from "./table.ts";
import { distributionPlot } from "./distribution_plot.ts";
import { formatThreshold, NO_DATA } from "../format.ts";
import { html, htmlTable, type Markup } from "../html.ts";
import { type PageSection, renderPage } from "../page.ts";
import { plural } from "../../plural.ts";
import { legend, type OperatorGroup, operatorGroups, plotText, type SvgDocument } from "../plot.ts";
import { rooflinePlot } from "./roofline_plot.ts";
import { summaryMarkup } from "./summary.ts";

function titleOf({ machines }: Comparison): string {
  return machines.length === 2
    ? `${machines[0]!.name} against ${machines[1]!.name}`
    : `${machines.length} machines compared`;
}

function changes(comparison: Comparison, document: SvgDocument): PageSection | undefined {
  if (comparison.machines.length !== 2) return undefined;
  const text = (id: string) => ({
    id,
    title: "Change of each measurement's median time with its 95 % interval",
    description: "The same figures are in the table of results below.",
  });
  const wide = changePlot(comparison, { document, width: 1150, text: text("changes-wide") });
  const narrow = changePlot(comparison, { document, width: 400, text: text("changes-narrow") });
  if (wide === undefined || narrow === undefined) return undefined;
  return {
    id: "changes",
    title: "Changes",
    body: html`
      <p
        class="soft">Signs left of the line took less time. The gray band is the threshold of ${formatThreshold(
          comparison.threshold,
        )}: a measurement whose whole interval lies inside it is the same.</p>
      <div class="card">
        <figure class="wide">${wide}</figure>
        <figure class="narrow">${narrow}</figure>
      </div>
    `,
  };
}

function results(comparison: Comparison): PageSection {
  return {
    id: "results",
    title: "Results",
    body: html`
      <div class="card">${comparison.machines.length === 2
        ? pairMarkup(comparison)
        : matrixMarkup(comparison)}${remarksMarkup(comparison)}</div>
    `,
  };
}

function roofline(comparison: Comparison, document: SvgDocument): PageSection | undefined {
  const text = (id: string) => ({
    id,
    title: "Roofline: throughput over arithmetic intensity, both logarithmic",
    description:
      "Each line is the best that a machine can do: it rises with the copy bandwidth, then stays " +
      "level at the arithmetic peak. Each sign is one measurement. The figures are in the tables.",
  });
  const wide = rooflinePlot(comparison, { document, width: 1150, text: text("roofline-wide") });
  const narrow = rooflinePlot(comparison, { document, width: 390, text: text("roofline-narrow") });
  if (wide === undefined || narrow === undefined) return undefined;
  return {
    id: "roofline",
    title: "Roofline",
    body: html`
      <p
        class="soft">Lines are the ceilings that the same run measured (dashed: f16). Signs are measurements. A sign near its line uses nearly all that the machine can do. A sign above its line means that the data came from a cache, or that the ceiling is too low.</p>
      <div
        class="card">${legend(
          comparison,
        )}<figure class="wide">${wide}</figure><figure class="narrow">${narrow}</figure>
      <details><summary>The ceilings as a table</summary>${htmlTable(ceilingsTable(comparison), {
        id: "ceilings",
      })}</details></div>
    `,
  };
}

function groupName({ kernel, pass }: OperatorGroup): string {
  return `${kernel} ${pass}`;
}

function throughputs(comparison: Comparison, document: SvgDocument): PageSection {
  return {
    id: "throughput",
    title: "Throughput",
    body: html`
      <p
        class="soft">Longer bars, or points farther to the right, are better. The line with a tick at each end is the 95 % interval.</p>
      ${legend(comparison)}<div class="grid">${operatorGroups(comparison).map((group, i) => {
        const id = `bars-${i}`;
        const picture = barPlot(comparison, group, {
          document,
          text: {
            id,
            title: plotText(`Throughput of ${groupName(group)} by shape and machine`, 120),
            description: "The same figures are in the table below the picture.",
          },
        });
        return html`
          <div class="card">
            <h3>${groupName(group)} <span class="unit">${throughputOf(group)}</span></h3>
            <figure>${picture ?? html`<p>${NO_DATA}</p>`}</figure>
            <details><summary>As a table</summary>${htmlTable(operatorTable(comparison, group), {
              id: `${id}-table`,
            })}</details>
          </div>
        `;
      })}</div>
    `,
  };
}

function distributions(comparison: Comparison, document: SvgDocument): PageSection {
  return {
    id: "samples",
    title: "Samples",
    body: html`
      <p
        class="soft">How single samples scatter. One narrow hill shows a quiet machine. Several hills or a long tail to the right show that something interferes.</p>
      ${legend(comparison)}<div class="grid">${operatorGroups(comparison).map((group, i) => {
        const id = `spread-${i}`;
        const found = distributionPlot(comparison, group, {
          document,
          text: {
            id,
            title: plotText(`Distribution of the samples of ${groupName(group)}`, 120),
            description: "Counts, quartiles and outliers are in the table below the picture.",
          },
        });
        return html`
          <div class="card"><h3>${groupName(group)}</h3>
          <figure>${found?.picture ?? html`<p>${NO_DATA}</p>`}</figure>
          ${found === undefined || found.beyond === 0 ? "" : html`
            <p class="meta">${plural(found.beyond, "sample")} beyond the edges</p>
          `}<details><summary>As a table</summary>${htmlTable(spreadTable(comparison, group), {
            id: `${id}-table`,
          })}</details></div>
        `;
      })}</div>
    `,
  };
}

function machines(comparison: Comparison): PageSection {
  return {
    id: "machines",
    title: "Machines",
    body: html`<div class="card">${htmlTable(totalTable(comparison), { id: "totals" })}</div>
<div class="card">${htmlTable(machineTable(comparison), { id: "machine-table" })}</div>
${
      hasVariants(comparison)
        ? html`
          <div class="card">${htmlTable(variantTable(comparison), {
            id: "variants",
            headers: 2,
          })}</div>
        `
        : ""
    }`,
  };
}

function method({ threshold }: Comparison): PageSection {
  const limit = formatThreshold(threshold);
  return {
    id: "method",
    title: "How to read this",
    body: html`
      <div class="card">
        <p>Several processes take every measurement, in rounds. A time is the geometric mean of the processes’ medians, and <b>±</b> is half its 95 % interval. The interval comes from the differences between processes, because the samples of one process say little about the next one. In a file from one process it comes from the samples alone.</p>
        <p>A measurement is <b>faster</b> or <b>slower</b> than the first machine’s if the times differ by more than ${limit} and Welch’s test over the processes passes, with Holm’s correction for the whole table. The test’s level is chosen so that at most one table in twenty shows a false difference. For two runs on one machine, the CPU time must show the difference too if the adapter computes on the CPU. Otherwise the time divided by a reference kernel’s time must show it. That kernel does the same work in every run on the machine. A measurement is the <b>same</b> if the whole interval of the change lies within ${limit}. Everything else is <b>ambiguous</b>; the remarks say why, and what to do.</p>
        <p>For a file from one process, the page assumes that times differ by 10 % from process to process.</p>
        <p>The <b>roofline share</b> is the least time that the machine’s measured arithmetic and copy peaks allow, divided by the measured time; <b>±</b> includes the uncertainty of both. A peak’s <b>+</b> says how far the true peak may lie above the best sample. If that is more than 30 %, the page shows no share.</p>
      </div>
    `,
  };
}

/** The sections of a comparison. */
export interface ComparisonParts {
  readonly title: string;
  /** A lead, the machines, and warnings. */
  readonly summary: Markup;
  readonly sections: readonly PageSection[];
}

/**
 * Renders a comparison as part of a larger page.
 *
 * @param document a browser's document, or one from `svg_document.ts`
 * @param options.pictures whether to draw the pictures, which takes long for many rows. Default
 *   true
 */
export function comparisonParts(
  comparison: Comparison,
  document: SvgDocument,
  { pictures = true }: { readonly pictures?: boolean } = {},
): ComparisonParts {
  const sections = [
    pictures ? changes(comparison, document) : undefined,
    results(comparison),
    pictures ? roofline(comparison, document) : undefined,
    pictures ? throughputs(comparison, document) : undefined,
    pictures ? distributions(comparison, document) : undefined,
    machines(comparison),
    method(comparison),
  ].filter((section) => section !== undefined);
  return {
    title: titleOf(comparison),
    summary: summaryMarkup(comparison),
    sections,
  };
}

/**
 * Renders a comparison as a self-contained HTML page.
 *
 * @param document a browser's document, or one from `svg_document.ts`
 */
export function renderComparisonPage(comparison: Comparison, document: SvgDocument): string {
  const { title, summary, sections } = comparisonParts(comparison, document);
  const dates = comparison.machines.map(({ date }) => date.slice(0, 10)).sort();
  const span = dates[0] === dates.at(-1) ? dates[0]! : `${dates[0]} to ${dates.at(-1)}`;
  const count = plural(comparison.rows.length, "measurement");
  return renderPage({
    title,
    meta: `Attention, RMSNorm and V-scale kernels on WebGPU · ${count} · measured ${span}`,
    summary,
    sections,
    source: plural(comparison.machines.length, "result file"),
  });
}
