/**
 * All GPUs in one table: a row for each result file, in an order that the reader chooses. It is one
 * HTML page without scripts or requests.
 */
import { rooflinePosition, rooflineShare } from "../measure/ceilings/roofline.ts";
import { type Machine, machinesOf, type NamedResult } from "../measure/comparison/machine.ts";
import { geometricMean } from "../measure/comparison/totals.ts";
import { summarizeMeasurements } from "../measure/estimate.ts";
import type { ResultFile } from "../measure/result_file.ts";
import { formatShare, NO_DATA } from "./format.ts";
import { html, htmlTable, type Markup } from "./html.ts";
import { renderPage } from "./page.ts";
import { type Cell, numberColumns, type Table, textColumns } from "./table.ts";

/** The row of one result file. */
export interface GalleryRow {
  readonly machine: Machine;
  /**
   * The geometric mean of the shares of the roofline, over the hot-cache measurements of default
   * variants that have a share.
   */
  readonly share: number | undefined;
  /** The number of measurements that `share` averages. */
  readonly shares: number;
  /** The number of hot-cache measurements of default variants, with or without a share. */
  readonly hot: number;
  /** The largest error of an answer as a share of its tolerance. */
  readonly error: number | undefined;
  /** The number of measurements that are wrong, failed or timed out. */
  readonly bad: number;
  readonly count: number;
  /** The days since the run began, rounded down; negative if the run's date is in the future. */
  readonly days: number;
}

const DAY = 24 * 3600 * 1000;

/**
 * Computes the rows of a gallery. They leave out custom operators, whose shares say nothing about
 * gradsink's kernels.
 *
 * @param now the present time in ms since 1970, from which the runs' ages are computed
 */
export function galleryRows(results: readonly NamedResult[], now: number): GalleryRow[] {
  const machines = machinesOf(results);
  return results.map(({ file }, i) => {
    const own = file.measurements.filter(({ operatorDigest }) => operatorDigest === undefined);
    const hot = own.filter(({ cache = "hot", chosen = true }) => cache === "hot" && chosen);
    const shares = sharesOf({ ...file, measurements: hot });
    const errors = own.flatMap(({ correctness }) =>
      correctness === undefined ? [] : [correctness.error / correctness.tolerance]
    );
    return {
      machine: machines[i]!,
      share: geometricMean(shares),
      shares: shares.length,
      hot: hot.length,
      error: errors.length === 0 ? undefined : Math.max(...errors),
      bad: own.filter(({ status = "ok" }) => status !== "ok").length,
      count: own.length,
      days: Math.floor((now - Date.parse(file.date)) / DAY),
    };
  });
}

function sharesOf({ measurements, ceilings }: Pick<ResultFile, "measurements" | "ceilings">) {
  return [...summarizeMeasurements(measurements)].flatMap(([measurement, summary]) => {
    if ((measurement.status ?? "ok") !== "ok") return [];
    const share = rooflineShare(rooflinePosition(measurement, ceilings), summary)?.share;
    return share === undefined || !(share > 0) ? [] : [share];
  });
}

/** The orders that a reader can choose. At first, the page shows the first order. */
const ORDERS: readonly {
  readonly id: string;
  readonly title: string;
  readonly compare: (a: GalleryRow, b: GalleryRow) => number;
}[] = [
  { id: "share", title: "share of roofline", compare: by(({ share }) => -(share ?? -1)) },
  { id: "error", title: "error", compare: by(({ error }) => error ?? Infinity) },
  { id: "age", title: "age", compare: by(({ days }) => days) },
  { id: "name", title: "name", compare: (a, b) => a.machine.name < b.machine.name ? -1 : 1 },
  { id: "suite", title: "revision", compare: (a, b) => a.machine.suite < b.machine.suite ? -1 : 1 },
];

function by(value: (row: GalleryRow) => number): (a: GalleryRow, b: GalleryRow) => number {
  return (a, b) => Math.sign(value(a) - value(b)) || (a.machine.name < b.machine.name ? -1 : 1);
}

/**
 * Renders the gallery as an HTML page.
 *
 * @param results the files, at least one
 * @param now the present time in ms since 1970, from which the runs' ages are computed
 */
export function renderGallery(results: readonly NamedResult[], now: number): string {
  const rows = galleryRows(results, now);
  const count = `${rows.length} result ${rows.length === 1 ? "file" : "files"}`;
  return renderPage({
    title: "Every GPU",
    meta: count,
    summary: html`
      <p class="lead">What share of each GPU’s measured peak the kernels reach, and how exact their
      answers are. Each line is one run of <code>deno task bench</code>.</p>
    `,
    sections: [
      { id: "gpus", title: "GPUs", body: choice(rows) },
      { id: "reading", title: "How to read this", body: legend() },
    ],
    source: count,
    style: STYLE,
  });
}

// The page contains one table per order. Radio buttons and CSS choose which table is visible, so
// the page needs no script.
function choice(rows: readonly GalleryRow[]): Markup {
  return html`
    <div class="card gallery">
      <p class="orders" role="radiogroup" aria-labelledby="orders-title">
        <span id="orders-title">Sort by</span>
        ${ORDERS.map(({ id, title }, i) =>
          html`<label><input type="radio" name="order" id="by-${id}" ${
            i === 0 ? "checked" : ""
          }> ${title}</label>`
        )}
      </p>
      ${ORDERS.map(({ id, title, compare }) =>
        html`<div class="order by-${id}">${
          htmlTable(tableOf(rows.toSorted(compare), title), { id: `gpus-by-${id}` })
        }</div>`
      )}
    </div>
  `;
}

function tableOf(rows: readonly GalleryRow[], order: string): Table {
  return {
    caption: `The GPUs, sorted by ${order}`,
    columns: [
      { title: "machine" },
      ...numberColumns("share of roofline", "largest error", "rows not ok"),
      ...textColumns("adapter", "runtime", "host", "revision"),
      { title: "age", align: "right" },
      { title: "file" },
    ],
    rows: rows.map(({ machine, share, shares, hot, error, bad, count, days }): Cell[] => [
      machine.complete ? machine.name : `${machine.name} (incomplete)`,
      share === undefined
        ? { text: NO_DATA, tone: "faint" }
        : `${formatShare(share)} (${shares} of ${hot} rows)`,
      error === undefined
        ? { text: NO_DATA, tone: "faint" }
        : error <= 1
        ? `${formatShare(error)} of tolerance`
        : { text: "beyond tolerance", tone: "bad" },
      bad === 0 ? "0" : { text: `${bad} of ${count}`, tone: "bad" },
      machine.software ? `${machine.adapter} (software)` : machine.adapter,
      machine.runtime,
      machine.host,
      machine.suite,
      ageText(days),
      machine.fileName.split(/[/\\]/).at(-1)!,
    ]),
  };
}

function ageText(days: number): string {
  if (days < 0) return "dated ahead";
  if (days < 1) return "today";
  return days === 1 ? "1 day" : `${days} days`;
}

function legend(): Markup {
  return html`
    <ul>
      <li><b>Share of roofline</b>: the least time that the measured ceilings allow, divided by the
        time that the kernel took with a hot cache. The table shows the geometric mean over
        operators, passes and shapes. Adapters that compute on the CPU run smaller shapes than GPUs
        do.</li>
      <li><b>Largest error</b>: the difference of the worst answer from float64, as a share of the
        allowed error.</li>
      <li><b>Revision</b>: the suite's version and commit. A plus sign says that files differed from
        the commit. Kernels of two revisions may differ.</li>
      <li>To compare files row by row, with verdicts: <code>deno task compare A.json B.json</code>.</li>
    </ul>
  `;
}

const STYLE = `
.orders{display:flex;flex-wrap:wrap;gap:.4rem 1rem;align-items:center}
.order{display:none}
${ORDERS.map(({ id }) => `.gallery:has(#by-${id}:checked) .by-${id}`).join(",\n")}{display:block}
@media print{.orders{display:none}}
`;
