import { renderSinkPage } from "../../../src/report/sinks/page.ts";
import { createSvgDocument } from "../../../src/report/svg_document.ts";
import type { SinkMeasurement } from "../../../src/sinks/measurement.ts";
import { SinkMeter } from "../../../src/sinks/meter.ts";
import { checkTheory } from "../../../src/sinks/theory.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { tracedModel } from "../../support/model/traces.ts";
import { all } from "../page_checks.ts";

function measure(run: string, options: Parameters<typeof tracedModel>[0] = {}): SinkMeasurement {
  const { config, trace, gains, theta } = tracedModel(options);
  const meter = new SinkMeter({ config, context: trace.context, theta });
  meter.add(trace);
  const source = { run, step: 7, task: "text", seed: null };
  return { ...meter.result(source), theory: checkTheory(trace, { config, gains, theta }) };
}

Deno.test("renderSinkPage() makes a page with pictures and tables that runs and loads nothing", () => {
  const page = renderSinkPage(measure("a run"), createSvgDocument());
  assertEquals(all(page, "script, link, img, iframe, [onload], [onerror]").length, 0);
  assertEquals(all(page, "section").length, 5);
  // One picture is a map of the heads, because there are two layers with two heads each.
  assertEquals(all(page, "svg[role=img]").length, 10);
  assertEquals(all(page, "table").length, 6);
  const ids = all(page, "[id]").map(({ id }) => id);
  assertEquals(new Set(ids).size, ids.length);
  for (const link of all(page, "nav a")) {
    assert(ids.includes(link.getAttribute("href")!.slice(1)), String(link.getAttribute("href")));
  }
});

Deno.test("renderSinkPage() escapes a stranger's run and names violations", () => {
  const measurement = measure(`<img src=x onerror="alert(1)">`);
  const errors = [`mass bound: <b>bad</b>`];
  const page = renderSinkPage(
    { ...measurement, theory: { ...measurement.theory!, errors } },
    createSvgDocument(),
  );
  assertEquals(all(page, "img, b > b, li > b").length, 0);
  assertStringIncludes(page, "The theory is violated");
  assertStringIncludes(page, "mass bound: &lt;b&gt;bad&lt;/b&gt;");
});

Deno.test("renderSinkPage() leaves out missing measurements", () => {
  const measurement = measure("a run", { config: { layersWithoutAttention: [0, 1, 2] } });
  const page = renderSinkPage({ ...measurement, theory: null }, createSvgDocument());
  assertEquals(all(page, "section").map(({ id }) => id), ["branches", "norms"]);
});
