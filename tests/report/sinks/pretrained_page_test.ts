/** The parts of the page and the terminal report that only pretrained models have. */
import { heatMap } from "../../../src/report/sinks/heat_map.ts";
import { attentionCells, scoreCells, sinkRateCells } from "../../../src/report/sinks/heat_cells.ts";
import { renderSinkPage } from "../../../src/report/sinks/page.ts";
import { formatSinkMeasurement } from "../../../src/report/sinks/text.ts";
import { createSvgDocument } from "../../../src/report/svg_document.ts";
import type { SinkMeasurement } from "../../../src/sinks/measurement.ts";
import { SinkMeter } from "../../../src/sinks/meter.ts";
import { PretrainedMeter } from "../../../src/sinks/pretrained/meter.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { tracedModel } from "../../support/model/traces.ts";
import { all } from "../page_checks.ts";

function measure(name: string, texts = 8): SinkMeasurement {
  const { config, trace } = tracedModel({
    config: { layersWithoutAttention: [] },
    batch: texts,
  });
  const { batch, context } = trace;
  const settings = { window: Math.floor(context / 2) };
  const sinks = new SinkMeter({ config, context, settings });
  sinks.add(trace, { loss: 2 });
  const measured = sinks.result({ run: name, step: 0, task: "text", seed: null });
  const meter = new PretrainedMeter({ config, context, settings });
  trace.layers.forEach((layer, index) => meter.addLayer(index, layer, batch));
  meter.addLosses(Array.from({ length: batch }, (_, i) => 1 + i));
  const scores = measured.layers.map(({ attention }) => attention!.heads.map(({ score }) => score));
  return {
    ...measured,
    pretrained: {
      model: { name, family: "llama", parameters: 135e6, storedAs: ["BF16"], notes: ["a note"] },
      texts: {
        begin: "never",
        documents: "apart",
        firstTokens: ["The", "<b>"],
        firstTokenNumbers: [504, 7],
      },
      ...meter.result({ scores }),
      interventions: null,
    },
  };
}

/** A measurement that also replaces massive activations and rounds activations to INT8. */
function measureReplaced(): SinkMeasurement {
  const plain = measure("model");
  const where = { layer: 1, dimensions: [5, 7], positions: [0], elements: 4, texts: 2 };
  return {
    ...plain,
    quantization: {
      loss: 2,
      calibrationBatches: 0,
      cases: [{
        target: "all-linears",
        scaling: "static-tensor",
        loss: 2.5,
        difference: 0.5,
        interval: [0.25, 0.75],
      }],
    },
    pretrained: {
      ...plain.pretrained!,
      interventions: [
        {
          values: "massive",
          replaced: "zero",
          ...where,
          loss: 9,
          difference: 7,
          interval: [6.5, 7.5],
        },
        {
          values: "ordinary",
          replaced: "zero",
          ...where,
          loss: 1.9996,
          difference: -0.0004,
          interval: [-0.0008, 0],
        },
      ],
    },
  };
}

Deno.test("reports of a pretrained model show the loss with replaced massive activations and with INT8", () => {
  const measured = measureReplaced();
  const text = formatSinkMeasurement(measured);
  const page = renderSinkPage(measured, createSvgDocument());
  const cells = all(page, "td, th, caption").map(({ textContent }) => textContent.trim());
  const caption = "The loss with elements replaced after layer 1, the first layer with massive " +
    "ones: 4 elements in 2 texts; dimensions 5, 7; token 0";
  const int8 =
    "Loss with INT8 activations, 2.0000 without them. Static scales come from the same batch";
  for (const each of [caption, int8]) {
    assertStringIncludes(text, each);
    assert(cells.includes(each), `${each} is not in ${cells.join("; ")}`);
  }
  for (
    const row of [
      /massive +zero +9\.0000 +\+7\.00 +6\.50 to 7\.50/,
      /2\.5000 +\+0\.500 +0\.250 to 0\.750/,
    ]
  ) {
    assert(row.test(text), text);
  }
  for (const cell of ["−4.00e−4", "as many ordinary ones in the same tokens", "+0.500"]) {
    assertStringIncludes(text, cell);
    assert(cells.includes(cell), `${cell} is not in ${cells.join("; ")}`);
  }
  const none = formatSinkMeasurement(measure("model"));
  assert(!none.includes("elements replaced") && !none.includes("INT8"), none);
});

Deno.test("renderSinkPage() of a pretrained model shows maps of positions, states and heads, and no stranger's markup", () => {
  const page = renderSinkPage(measure(`<img src=x onerror="alert(1)">`), createSvgDocument());
  assertEquals(all(page, "script, img, [onerror]").length, 0);
  const titles = all(page, "svg[role=img] > title").map(({ textContent }) => textContent);
  for (const title of ["Where heads sink", "‖h‖ after every layer, by token", "The largest |h|"]) {
    assert(titles.some((each) => each.includes(title)), `${title} is not in ${titles.join("; ")}`);
  }
  assertEquals(titles.filter((title) => title.includes("the strongest sink")).length, 1);
  assertEquals(new Set(titles).size, titles.length);
  // Only the first 6 tokens have a whole window of 5 queries, so the map of sinks ends there and
  // says so. The other maps show all 10 tokens or all 12 channels, and need no such note.
  const notes = all(page, "svg text").map(({ textContent }) => textContent)
    .filter((text) => /^(first )?\d+ of \d+/.test(text));
  assertEquals(notes, ["first 6 of 10 tokens"]);
  const long = measure("long");
  const longer = renderSinkPage(
    { ...long, data: { ...long.data, context: 64 }, config: { ...long.config, modelDim: 20 } },
    createSvgDocument(),
  );
  assertStringIncludes(longer, "12 of 20 channels");
  const maps = all(longer, "svg.plot").filter(({ textContent }) => textContent.includes("query"));
  assert(maps.length > 0 && maps.every((map) => map.textContent.includes("first 10 of 64 tokens")));
  assertStringIncludes(page, "&lt;b&gt; 7");
});

Deno.test("formatSinkMeasurement() of a pretrained model shows the texts, the tokens and the intervals", () => {
  const measurement = measure("some-model");
  const text = formatSinkMeasurement(measurement);
  assertStringIncludes(text, "some-model: llama, 135M parameters, stored as BF16");
  assertStringIncludes(
    text,
    "documents apart, BOS never; the first text begins with these tokens and numbers: The 504, <b> 7",
  );
  assertStringIncludes(text, "a note");
  assert(/loss 2\.00 \(\d\.\d+ to \d\.\d+\) nats per token/.test(text), text.slice(0, 600));
  assertStringIncludes(text, "95 % interval");
  const few = formatSinkMeasurement(measure("some-model", 7));
  assert(/loss 2\.00 nats per token/.test(few), few.slice(0, 600));
  assert(!few.includes("95 % interval"), few);
  assertStringIncludes(text, "The three largest |h| after every layer");
});

Deno.test("heatMap() colors every cell by its value, and leaves cells empty that have no logarithm", () => {
  const options = {
    document: createSvgDocument(),
    width: 300,
    text: { id: "map", title: "A map", description: "nothing" },
    x: "layer",
    y: "head",
    value: "score",
  };
  const cells = [[0, 0, 1], [0, 1, 10], [1, 0, 0], [1, 1, null]]
    .map(([x, y, value]) => ({ x: x!, y: y!, value: value ?? null }));
  const fills = (scale: "share" | "log") => {
    const picture = heatMap(cells, { ...options, scale })!;
    const found = [...picture.text.matchAll(/<rect[^>]* fill="(#[0-9a-f]{6}|rgb[^"]*)"/g)];
    return found.map(([, fill]) => fill);
  };
  assertEquals(fills("log").length, 2);
  assertEquals(new Set(fills("log")).size, 2);
  assertEquals(fills("share").length, 3);
  assertEquals(heatMap([{ x: 0, y: 0, value: null }], { ...options, scale: "share" }), undefined);
});

Deno.test("heatMap() outlines the cells, so the darkest ones stand out from a dark page", () => {
  const cells = Array.from(
    { length: 5 * 5 },
    (_, i) => ({ x: i % 5, y: Math.floor(i / 5), value: 0 }),
  )
    .filter(({ x, y }) => x <= y);
  const picture = heatMap(cells, {
    document: createSvgDocument(),
    width: 300,
    text: { id: "map", title: "A map", description: "nothing" },
    x: "key",
    y: "query",
    value: "attention",
    scale: "share",
  })!;
  const outline = picture.text.match(
    /<g[^>]*stroke="var\(--faint\)"[^>]*>(<rect[^>]*>(<\/rect>)?)+/,
  );
  // 3 of the triangle's 15 cells have cells on all four sides. Only the other 12 are outlined.
  assertEquals(outline?.[0].match(/<rect/g)?.length, 12);
});

Deno.test("heat cells hold the measurement's figures in the right places", () => {
  const measurement = measure("a model");
  const pretrained = measurement.pretrained!;
  const { queryHeads, layers } = measurement.config;
  const scores = scoreCells(measurement);
  assertEquals(scores.length, layers * queryHeads);
  const found = scores.find(({ x, y }) => x === 1 && y === 2)!;
  assertEquals(found.value, measurement.layers[1]!.attention!.heads[2]!.score);
  const rate = sinkRateCells(pretrained).find(({ x, y }) => x === 3 && y === 1)!;
  assertEquals(rate.value, pretrained.layers[1]!.sinkRates[3]);
  const map = pretrained.maps[0]!;
  const attention = attentionCells(map);
  assertEquals(attention.length, map.size * (map.size + 1) / 2);
  assertEquals(
    attention.find(({ x, y }) => x === 1 && y === 4)!.value,
    map.weights[4 * map.size + 1],
  );
});
