/**
 * Several training runs as one HTML page: curves of all runs together, each run's last measurement,
 * and the settings in which the runs differ.
 */
import { plural } from "../../plural.ts";
import type { StoredRun } from "../../experiments/run/read.ts";
import { html, htmlTable, type Markup } from "../html.ts";
import { renderPage } from "../page.ts";
import { plotText, signIcon, type SvgDocument } from "../plot.ts";
import { estimate } from "../sinks/figure.ts";
import { curvePlot, type CurvePlotOptions, type CurveRow } from "../study/curve_plot.ts";
import { numberColumns, type Table } from "../table.ts";
import { type RunRow, runRows } from "./rows.ts";

interface Curve {
  readonly quantity: string;
  readonly scale: NonNullable<CurvePlotOptions["scale"]>;
  readonly reference?: number;
  /** Which of several layers or heads. */
  readonly over?: "largest" | "least";
}

const curves: readonly Curve[] = [
  { quantity: "training loss", scale: "linear" },
  { quantity: "validation loss", scale: "linear" },
  { quantity: "idle score", scale: "share", over: "largest" },
  { quantity: "score", scale: "share", over: "largest" },
  { quantity: "R_GS, median over layers", scale: "logarithmic", reference: 1 },
  { quantity: "‖h out‖ at the sink", scale: "logarithmic", over: "largest" },
  { quantity: "‖v‖ against early tokens", scale: "logarithmic", reference: 1, over: "least" },
  { quantity: "Bloat at the sink", scale: "logarithmic", reference: 1, over: "largest" },
];

function titleOf({ quantity, over }: Curve): string {
  return over === undefined
    ? quantity
    : `${over} ${quantity}, over layers${/score/.test(quantity) ? " and heads" : ""}`;
}

function curveRows(rows: readonly RunRow[], { quantity, over }: Curve): CurveRow[] {
  const found = new Map<string, CurveRow>();
  for (const { run, step, quantity: own, value } of rows) {
    if (own !== quantity) continue;
    const key = `${step} ${run}`;
    const before = found.get(key);
    const better = before === undefined ||
      (over === "least" ? value < before.value : value > before.value);
    if (better) found.set(key, { series: run, step, value });
  }
  return [...found.values()];
}

export function endTable(runs: readonly StoredRun[]): Table {
  const rows = runRows(runs);
  const names = [
    "validation loss",
    "sequences",
    "largest idle score",
    "largest score",
    "R_GS, median over layers",
  ];
  return {
    caption: "The last measurement of every run; in parentheses 95 % intervals over sequences",
    columns: [
      { title: "run" },
      ...numberColumns("step", ...names),
    ],
    rows: runs.map(({ name }) => {
      const own = rows.filter(({ run }) => run === name);
      const measured = own.filter(({ quantity }) => names.includes(quantity));
      const last = measured.reduce((most, { step }) => Math.max(most, step), 0);
      return [
        name,
        String(own.reduce((most, { step }) => Math.max(most, step), 0)),
        ...names.map((each) => {
          const row = measured.find(({ quantity, step }) => quantity === each && step === last);
          return each === "sequences"
            ? String(row?.value ?? "–")
            : estimate(row?.value, row?.interval);
        }),
      ];
    }),
  };
}

/** A table of the settings in which the runs differ. It has no rows if all settings are equal. */
export function settingsTable(runs: readonly StoredRun[]): Table {
  const flat = (value: unknown, path = ""): [string, string][] =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([key, each]) =>
        flat(each, path === "" ? key : `${path}.${key}`)
      )
      : [[path, JSON.stringify(value) ?? ""]];
  const settings = runs.map((run) => new Map(flat(run.settings)));
  const names = [...new Set(settings.flatMap((each) => [...each.keys()]))];
  return {
    caption: "Settings in which the runs differ",
    columns: [{ title: "setting" }, ...runs.map(({ name }) => ({ title: name }))],
    rows: names.filter((name) => new Set(settings.map((each) => each.get(name))).size > 1)
      .map((name) => [name, ...settings.map((each) => each.get(name) ?? "–")]),
  };
}

function card(curve: Curve, picture: Markup): Markup {
  return html`
    <div class="card">
      <h3>${titleOf(curve)}</h3>
      <figure>${picture}</figure>
    </div>
  `;
}

/**
 * Renders runs as a self-contained HTML page.
 *
 * @param document a browser's document, or one from `svg_document.ts`
 */
export function renderRunsPage(runs: readonly StoredRun[], document: SvgDocument): string {
  const rows = runRows(runs);
  const series = runs.map(({ name }) => name);
  const pictures = curves.flatMap((curve, i) => {
    const title = titleOf(curve);
    const picture = curvePlot(curveRows(rows, curve), {
      document,
      series,
      label: title,
      scale: curve.scale,
      ...curve.reference === undefined ? {} : { reference: curve.reference },
      text: { id: `curve-${i}`, title, description: "The last figures are in the table." },
    });
    return picture === undefined ? [] : [card(curve, picture)];
  });
  const differing = settingsTable(runs);
  const count = plural(runs.length, "run");
  return renderPage({
    title: runs.length === 1 ? runs[0]!.name : `${count} compared`,
    summary: html`
      <ul class="legend">${series.map((name, i) =>
        html`<li>${signIcon(i)}${plotText(name, 80)}</li>`
      )}</ul>
    `,
    sections: [
      { id: "training", title: "Training", body: html`<div class="grid">${pictures}</div>` },
      {
        id: "end",
        title: "The end",
        body: html`<div class="card">${htmlTable(endTable(runs), { id: "last" })}</div>`,
      },
      ...differing.rows.length === 0 ? [] : [{
        id: "settings",
        title: "Settings",
        body: html`<div class="card">${htmlTable(differing, { id: "differing" })}</div>`,
      }],
    ],
    source: count,
  });
}
