/** Compares measurements of several models, for a terminal and as a page. */
import { escapeTerminal } from "../escape.ts";
import { html, htmlTable } from "./html.ts";
import { renderPage } from "./page.ts";
import type { SvgDocument } from "./plot.ts";
import type { NamedMeasurement } from "./sink_comparison/read.ts";
import { layerTables, settingNotes, summaryTable } from "./sink_comparison/tables.ts";
import {
  branchPlot,
  branchRows,
  compressFitRows,
  gradientNormRows,
  gradientViolinPlot,
  layerNormPlot,
  layerNormRows,
  pathGradientPlot,
  pathGradientRows,
} from "./sinks/plots.ts";
import { formatTerminalTable } from "./table.ts";

export { type NamedMeasurement, readMeasurements } from "./sink_comparison/read.ts";

/** A picture's width in pixels: a large screen shows two pictures side by side. */
const WIDTH = 560;

/**
 * Writes a comparison for a terminal.
 *
 * @param measurements at least two, with different names
 */
export function formatSinkComparison(
  measurements: readonly NamedMeasurement[],
  options: { readonly color?: boolean } = {},
): string {
  const tables = [summaryTable(measurements), ...layerTables(measurements)];
  return [
    ...settingNotes(measurements).map((note) => `${escapeTerminal(note)}\n`),
    ...tables.map((table) => formatTerminalTable(table, options)),
  ].join("\n");
}

/**
 * Renders a comparison as a self-contained HTML page with pictures.
 *
 * @param measurements at least two, with different names
 * @param document a browser's document, or one from `svg_document.ts`
 */
export function renderSinkComparison(
  measurements: readonly NamedMeasurement[],
  document: SvgDocument,
): string {
  const series = measurements.map(({ name }) => name);
  const { position, lastGradientPosition } = measurements[0]!.measurement.settings;
  const rowsOf = <Row>(
    rows: (measurement: NamedMeasurement["measurement"], name: string) => Row[],
  ) => measurements.flatMap(({ name, measurement }) => rows(measurement, name));
  const plot = (id: string, title: string) => ({
    document,
    width: WIDTH,
    series,
    text: { id, title, description: "The figures are in the tables above." },
  });
  const layers = rowsOf(layerNormRows);
  const pictures = [
    ...(["sink score", "gradient sink", "output", "value"] as const).map((quantity) =>
      layerNormPlot(layers, {
        ...plot(`layer-${quantity.replace(" ", "-")}`, TITLES[quantity]),
        quantity,
        position,
      })
    ),
    gradientViolinPlot(rowsOf(gradientNormRows), {
      ...plot("violin", "‖∇h̃‖ of the sink and of the other tokens, all layers"),
      ratios: measurements.map(({ name, measurement }) => ({
        series: name,
        ratio: measurement.summary.gradientSink,
      })),
      position,
      lastPosition: lastGradientPosition,
    }),
    pathGradientPlot(
      rowsOf(pathGradientRows),
      plot("paths", "Gradients with respect to values, keys and queries, by position"),
    ),
    ...branchPlot(rowsOf(branchRows), {
      ...plot("branch", "Single tokens"),
      fits: rowsOf(compressFitRows),
      position,
    }),
  ].filter((picture) => picture !== undefined);
  const tables = [summaryTable(measurements), ...layerTables(measurements)];
  return renderPage({
    title: `Sinks of ${series.join(" and ")}`,
    heading: `Sinks of ${measurements.length} models`,
    summary: html`${settingNotes(measurements).map((note) => html`<p>${note}</p>`)}`,
    sections: [
      {
        id: "tables",
        title: "Side by side",
        body: html`${
          tables.map((table, i) =>
            html`<div class="card table">${htmlTable(table, { id: `table-${i}` })}</div>`
          )
        }`,
      },
      {
        id: "pictures",
        title: "Pictures",
        body: html`<div class="pictures">${
          pictures.map((picture) => html`<figure class="card">${picture}</figure>`)
        }</div>`,
      },
    ],
    style: STYLE,
  });
}

/** On a phone or tablet, long cells wrap, so two models fit beside the quantities' names. */
const STYLE =
  "@media (max-width:900px){.table :is(th,td){white-space:normal;min-width:5rem;overflow-wrap:anywhere}}";

const TITLES = {
  "sink score": "Largest sink score by layer",
  "gradient sink": "Gradient sinks by layer",
  "output": "Residual norm by layer",
  "value": "Value norm by layer",
};
