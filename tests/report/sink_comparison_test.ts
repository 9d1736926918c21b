/**
 * Measurements side by side: every figure stands in its model's column, and strangers' files do no
 * harm.
 */
import { join } from "node:path";
import { runSinks } from "../../src/cli/sinks.ts";
import { figure } from "../../src/report/sinks/figure.ts";
import { formatSinkComparison, renderSinkComparison } from "../../src/report/sink_comparison.ts";
import { settingNotes, summaryTable } from "../../src/report/sink_comparison/tables.ts";
import { createSvgDocument } from "../../src/report/svg_document.ts";
import type { SinkMeasurement } from "../../src/sinks/measurement.ts";
import { formatMeasurementJson } from "../../src/sinks/measurement_text.ts";
import { SinkMeter } from "../../src/sinks/meter.ts";
import { recordOutput } from "../cli/record_output.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { inFolder } from "../support/folder.ts";
import { tracedModel } from "../support/model/traces.ts";
import { testWith } from "../support/permitted.ts";
import { all } from "./page_checks.ts";

const test = testWith("read", "write");

function measure(run: string, layers: number, loss: number): SinkMeasurement {
  const { config, trace } = tracedModel({ config: { layers, layersWithoutAttention: [] } });
  const meter = new SinkMeter({ config, context: trace.context, settings: { window: 4 } });
  meter.add(trace, { loss });
  return meter.result({ run, step: 7, task: "text", seed: null });
}

const [first, second] = [measure("<b>one</b>", 2, 3.25), measure("two", 3, 4.5)];
const named = [
  { name: "one", measurement: first },
  {
    name: "two",
    measurement: {
      ...second,
      quantization: {
        loss: 4.5,
        calibrationBatches: 2,
        cases: [{
          target: "down-projections",
          scaling: "static-tensor",
          loss: 5,
          difference: 0.5,
        }],
      } as const,
    },
  },
];

Deno.test("a comparison shows every model's figures in the model's own column", () => {
  const { columns, rows } = summaryTable(named);
  assertEquals(columns.map(({ title }) => title), ["quantity", "one", "two"]);
  const row = (name: string) => rows.find(([cell]) => cell === name)!.slice(1);
  assertEquals(row("loss, nats per token"), ["3.25", "4.50"]);
  assertEquals(row("layers, query heads, d")[1], `3, ${second.config.queryHeads}, 12`);
  assertEquals(
    row("largest sink score"),
    [first, second].map(({ summary }) => figure(summary.largestScore)),
  );
  assertEquals(row("loss with INT8, down projections, static"), ["–", "+0.500"]);
  assert(!rows.some(([cell]) => String(cell).includes("all linear maps")), "nobody measured that");
  const text = formatSinkComparison(named);
  const ratios = (layer: number) =>
    new RegExp(
      `^${layer} +${
        [first, second].map(({ layers }) =>
          layers[layer] === undefined ? "" : figure(layers[layer]!.attention!.gradientSink.ratio)
        ).join(" +")
      }$`,
      "m",
    );
  for (const layer of [0, 1]) assert(ratios(layer).test(text), text);
  // The first model has no third layer.
  assert(/^2 {10,}[\d.]+$/m.test(text.slice(text.indexOf("R_GS by layer"))), text);
  assertEquals(settingNotes(named), []);
  const longer = { ...second, data: { ...second.data, context: 99 } };
  assertEquals(settingNotes([named[0]!, { name: "two", measurement: longer }]), [
    `The measurements differ in context: ${first.data.context} against 99.`,
  ]);
});

Deno.test("a comparison shows intervals over 8 texts, and none over fewer, which older files have", () => {
  const { quantization } = named[1]!.measurement;
  const [spread, rate] = [[0.1, 0.9], [0.2, 0.7]] as const;
  const measured = (sequences: number): SinkMeasurement => ({
    ...second,
    data: { ...second.data, sequences },
    quantization: {
      ...quantization!,
      cases: quantization!.cases.map((each) => ({ ...each, interval: spread })),
    },
    pretrained: {
      texts: { begin: "bos" },
      sinkPositions: [0],
      layers: [],
      intervals: { loss: spread, sinkRate: rate, gradientSink: null },
      sinkRates: [0.5],
      interventions: [
        { values: "massive", replaced: "zero", difference: 0.25, interval: spread },
      ],
    } as unknown as NonNullable<SinkMeasurement["pretrained"]>,
  });
  const { rows } = summaryTable(
    [7, 8].map((texts) => ({ name: `${texts}`, measurement: measured(texts) })),
  );
  const row = (name: string) => rows.find(([cell]) => cell === name)!.slice(1);
  for (
    const [name, figure, interval] of [
      ["loss, nats per token", "4.50", "0.100 to 0.900"],
      ["sink rate: share of (sequence, head) pairs", "0.500", "0.200 to 0.700"],
      ["loss with INT8, down projections, static", "+0.500", "0.100 to 0.900"],
      ["loss with massive values set to zero", "+0.250", "0.100 to 0.900"],
    ] as const
  ) assertEquals(row(name), [figure, `${figure} (${interval})`]);
});

Deno.test("a comparison's page has pictures of all models, and no stranger's markup", () => {
  const page = renderSinkComparison(
    named.map((each, i) => i === 0 ? { ...each, name: "<img src=x>" } : each),
    createSvgDocument(),
  );
  assertEquals(all(page, "script, img").length, 0);
  const titles = all(page, "svg[role=img] > title").map(({ textContent }) => textContent);
  assert(titles.length >= 6, titles.join("; "));
  assertStringIncludes(titles.join("; "), "Gradient sinks by layer");
  assertEquals(all(page, "table").length, 5);
});

test("sinks compare reads measurements of --output, and refuses other files in one line", () =>
  inFolder(async (folder) => {
    const path = (name: string) => join(folder, name);
    await Deno.writeTextFile(path("a.json"), formatMeasurementJson(first));
    await Deno.writeTextFile(path("b.json"), formatMeasurementJson(second));
    const run = async (...args: string[]) => {
      const output = recordOutput();
      const openGpu = () => Promise.reject(new Error("a GPU was opened"));
      const code = await runSinks(["compare", ...args], { ...output, openGpu });
      return { code, ...output.texts };
    };
    const html = path("page.html");
    const { code, out, err } = await run(path("a.json"), path("b.json"), `--html=${html}`);
    assertEquals([code, err], [0, `sinks compare: written to ${html}\n`]);
    assertStringIncludes(out, "<b>one</b>, step 7");
    assertStringIncludes(await Deno.readTextFile(html), "&lt;b&gt;one");
    const same = await run(path("a.json"), path("a.json"), path("a.json"));
    for (const place of [1, 2, 3]) assertStringIncludes(same.out, `step 7 (a.json) ${place}`);
    await Deno.writeTextFile(path("c.json"), formatMeasurementJson(first));
    // Two measurements with the same name show the names of their files.
    const twice = await run(path("a.json"), path("c.json"), path("b.json"));
    for (const name of ["a", "c"]) assertStringIncludes(twice.out, `step 7 (${name}.json)  `);
    assert(!/\([ac]\.json\) \d|\(b\.json\)/.test(twice.out), twice.out);
    await Deno.remove(path("c.json"));
    const fails = async (text: string, message: string, wanted = 1) => {
      await Deno.writeTextFile(path("bad.json"), text);
      const result = await run(path("a.json"), path("bad.json"), `--html=${path("x.html")}`);
      assertStringIncludes(result.err, message);
      assertEquals([result.code, result.out], [wanted, ""]);
      assertEquals(result.err.trimEnd().split("\n").length, 1);
    };
    await fails("{}", "bad.json: has no schema: deno task sinks --output did not write it");
    await fails('{"schema":"gradsink-results/1"}', 'its schema is "gradsink-results/1", wanted');
    await fails("{", "is not JSON, or is cut off");
    const { layers: _, ...cut } = first;
    await fails(JSON.stringify(cut), "bad.json: layers is missing, wanted a list");
    await fails(
      JSON.stringify({ ...first, summary: {} }),
      "one of them is no whole measurement",
    );
    assertEquals((await run(path("a.json"))).code, 2);
    assertEquals((await run("--help")).code, 0);
    const left = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    assertEquals(left.sort(), ["a.json", "b.json", "bad.json", "page.html"]);
  }));
