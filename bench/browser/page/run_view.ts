/** Shows a run on the page, complete or not: tables and the roofline. */
import { plural } from "../../../src/plural.ts";
import type { ResultFile } from "../../../src/measure/result_file.ts";
import { html, htmlTable } from "../../../src/report/html.ts";
import { ceilingTable, measurementTable } from "../../../src/report/run_table.ts";
import { runRooflinePlot } from "../../../src/report/comparison/roofline_plot.ts";
import type { SvgDocument } from "../../../src/report/plot.ts";
import { byId } from "./dom.ts";
import { setMarkup } from "./trusted.ts";

/** A browser's document, for drawing. */
export const svgDocument = document as unknown as SvgDocument;

/** Shows a run's current state. */
export function showRun(file: ResultFile): void {
  const view = byId("run-view", HTMLDivElement);
  view.hidden = false;
  const table = measurementTable(file, { counts: false });
  setMarkup(
    byId("run-table", HTMLDivElement),
    file.measurements.length === 0
      ? html`<p class="soft">No measurement yet.</p>`
      : htmlTable({ ...table, caption: caption(file) }, { id: "run-measurements", headers: 3 }),
  );
  setMarkup(
    byId("run-ceilings", HTMLDivElement),
    htmlTable(ceilingTable(file), { id: "run-ceilings-table" }),
  );
  setMarkup(byId("run-roofline", HTMLDivElement), roofline(file));
  setMarkup(
    byId("run-warnings", HTMLDivElement),
    html`${
      (file.warnings ?? []).length === 0 ? "" : html`
        <div class="notes" role="note"><b>Keep in mind</b><ul>${file.warnings!.map((warning) =>
          html`<li>${warning}</li>`
        )}</ul></div>
      `
    }`,
  );
}

function caption({ measurements, status }: ResultFile): string {
  const bad = measurements.filter(({ status = "ok" }) => status !== "ok").length;
  const wrong = bad === 0 ? "" : `, ${bad} of them wrong or failed`;
  const count = plural(measurements.length, "measurement");
  return `${count}${wrong}${
    status === "incomplete" ? ". The run is incomplete" : ""
  }. Every answer was checked against float64 before it was timed.`;
}

function roofline(file: ResultFile) {
  const text = (id: string) => ({
    id,
    title: "Roofline: throughput over arithmetic intensity, both logarithmic",
    description:
      "The line is the best that this adapter reaches: it rises with the copy bandwidth, then " +
      "stays level at the arithmetic peak. Each sign is one measurement. The figures are in the table.",
  });
  const draw = (width: number, id: string) =>
    runRooflinePlot(file, { document: svgDocument, width, text: text(id) });
  const wide = draw(1150, "run-roofline-wide");
  if (wide === undefined) return html`<p class="soft">Nothing to draw yet.</p>`;
  return html`
    <figure class="wide">${wide}</figure>
    <figure class="narrow">${draw(390, "run-roofline-narrow")}</figure>
  `;
}
