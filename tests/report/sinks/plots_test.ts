import { parseHTML } from "linkedom";
import type { Markup } from "../../../src/report/html.ts";
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
  slackPlot,
  slackPlotRows,
} from "../../../src/report/sinks/plots.ts";
import { logTick, logTicks, standalonePicture } from "../../../src/report/plot_parts.ts";
import { createSvgDocument } from "../../../src/report/svg_document.ts";
import type { SinkMeasurement } from "../../../src/sinks/measurement.ts";
import { SinkMeter } from "../../../src/sinks/meter.ts";
import { checkTheory } from "../../../src/sinks/theory.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { tracedModel } from "../../support/model/traces.ts";

const document = createSvgDocument();
const evil = `<img src=x onerror="alert(1)">&\u202e\u001b[2J`;

/** Measurements of two variants; the second has a hostile name. */
const measured: readonly (readonly [string, SinkMeasurement])[] = [
  ["baseline", measure("none")],
  [evil, measure("learned")],
];

function measure(vScale: "none" | "learned"): SinkMeasurement {
  const { config, trace, gains, theta } = tracedModel({ config: { vScale }, context: 20 });
  const meter = new SinkMeter({ config, context: 20, theta });
  meter.add(trace, { idle: new Uint8Array(60).fill(1) });
  return { ...meter.result(), theory: checkTheory(trace, { config, gains, theta }) };
}

function rowsOf<Row>(make: (measurement: SinkMeasurement, series: string) => Row[]): Row[] {
  return measured.flatMap(([name, measurement]) => make(measurement, name));
}

/** The parts of a document that these tests use. */
interface PageElement {
  readonly id: string;
  readonly tagName: string;
  readonly textContent: string | null;
  getAttribute(name: string): string | null;
}

interface Page {
  querySelector(selector: string): PageElement | null;
  querySelectorAll(selector: string): ArrayLike<PageElement>;
  getElementById(id: string): PageElement | null;
}

function pageOf(picture: string): Page {
  const window: unknown = parseHTML(`<html><body>${picture}</body></html>`);
  return (window as { document: Page }).document;
}

const options = (id: string) => ({
  document,
  width: 560,
  text: { id, title: `About ${evil}`, description: `In words ${evil}` },
});

function allPictures(): Record<string, Markup> {
  const ratios = measured.map(([series, { summary }]) => ({ series, ratio: summary.gradientSink }));
  const [bloat, compress, change] = branchPlot(rowsOf(branchRows), {
    ...options("branch"),
    fits: rowsOf(compressFitRows),
  });
  const pictures = {
    violin: gradientViolinPlot(rowsOf(gradientNormRows), { ...options("violin"), ratios }),
    paths: pathGradientPlot(rowsOf(pathGradientRows), options("paths")),
    bloat,
    compress,
    change,
    slack: slackPlot(rowsOf(slackPlotRows), options("slack")),
    ...Object.fromEntries(
      (["output", "half", "value", "idle score", "gradient sink", "mlp residual"] as const).map((
        quantity,
      ) => [
        quantity,
        layerNormPlot(rowsOf(layerNormRows), {
          ...options(`layer-${quantity.replace(" ", "-")}`),
          quantity,
        }),
      ]),
    ),
  };
  return Object.fromEntries(
    Object.entries(pictures).map(([name, picture]) => {
      assert(picture !== undefined, `${name} is not drawn`);
      return [name, picture];
    }),
  );
}

const pictures = allPictures();

Deno.test("every picture of sinks has a title and a description, and no stranger's markup", () => {
  const ids = new Set<string>();
  for (const [name, { text }] of Object.entries(pictures)) {
    const page = pageOf(text);
    const svg = page.querySelector("svg")!;
    assertEquals(svg.getAttribute("role"), "img", name);
    const title = page.getElementById(svg.getAttribute("aria-labelledby")!)!;
    assertStringIncludes(title.textContent!, "About <img");
    assertStringIncludes(title.textContent!, "\\u202e");
    assertEquals(
      page.getElementById(svg.getAttribute("aria-describedby")!)?.tagName.toLowerCase(),
      "desc",
    );
    assertEquals(page.querySelectorAll("img, script, foreignObject").length, 0, name);
    assert(!ids.has(title.id), `${title.id} is there twice`);
    ids.add(title.id);
    assert(!/NaN|undefined|Infinity/.test(text), name);
    // deno-lint-ignore no-control-regex
    assert(!/[\u001b\u202e]/.test(text), name);
  }
});

Deno.test("pictures use only the page's colors, which suit light and dark", () => {
  for (const [name, { text }] of Object.entries(pictures)) {
    const colors = [...text.matchAll(/(?:fill|stroke)="([^"]+)"/g)].map((match) => match[1]!);
    const known = /^(none|currentColor|var\(--[a-z0-9-]+\))$/;
    assertEquals(colors.filter((color) => !known.test(color)), [], name);
  }
});

Deno.test("standalonePicture() makes a file that contains its colors", () => {
  const svg = standalonePicture(pictures.violin!);
  assertStringIncludes(svg, 'xmlns="http://www.w3.org/2000/svg"');
  assertEquals(svg.match(/xmlns=/g)?.length, 1);
  for (
    const used of new Set([...svg.matchAll(/var\((--[a-z0-9-]+)\)/g)].map((match) => match[1]!))
  ) {
    assertStringIncludes(svg, `${used}:`);
  }
  assertStringIncludes(svg, "prefers-color-scheme:dark");
  assert(!standalonePicture(pictures.violin!, "light").includes("prefers-color-scheme"));
});

Deno.test("gradientViolinPlot() draws few values as dots, many as a density, and shows R_GS", () => {
  const { text } = pictures.violin!;
  const page = pageOf(text);
  // Each of the two measurements has a value of token 0 in each of two layers, which makes four
  // dots. The other tokens of a measurement make a density, which is drawn as one area.
  assertEquals(page.querySelectorAll("circle").length, 4);
  assertEquals(page.querySelectorAll('[aria-label="area"] path').length, 2);
  assert(/R_GS [\d.]+ \([\d.]+–[\d.]+\)/.test(text));
});

Deno.test("pathGradientPlot() marks zeros at the foot instead of leaving them out", () => {
  const rows = rowsOf(pathGradientRows);
  assert(
    rows.some(({ path, position, value }) => path === "query" && position === 0 && value === 0),
  );
  assertEquals(pictures.paths!.text.match(/▾ 0/g)?.length, 2);
  // A GPU may round a zero to a tiny number. That must not stretch the axis.
  const rounded = rows.map((row) => row.value === 0 ? { ...row, value: 1e-12 } : row);
  const again = pathGradientPlot(rounded, options("paths"))!;
  assertEquals(again.text, pictures.paths!.text);
});

Deno.test("pathGradientPlot() marks values below their rounding floor at the foot", () => {
  const [, measurement] = measured[0]!;
  const { key } = measurement.summary.paths!;
  const drawn = (factor: number) => {
    const summary = { ...measurement.summary, keyGradientFloor: factor * key.sink };
    return pathGradientPlot(pathGradientRows({ ...measurement, summary }, "a"), options("paths"))!;
  };
  assertEquals(drawn(1.01).text.match(/▾ floor/g)?.length, 1);
  assert(!drawn(0.99).text.includes("▾ floor"));
});

Deno.test("pathGradientPlot() joins layers and runs by their geometric mean", () => {
  const row = { panel: "a", path: "value", position: 3 } as const;
  const other = { ...row, position: 0, value: 1 };
  const drawn = (values: readonly number[]) =>
    pathGradientPlot([other, ...values.map((value) => ({ ...row, value }))], options("x"))!.text;
  assertEquals(drawn([2, 8]), drawn([4]));
});

Deno.test("branchPlot() shows the fitted slopes with Compress", () => {
  const slopes = compressFitRows(measured[0]![1], "x");
  assertEquals(slopes.map(({ branch }) => branch), ["attention", "mlp"]);
  for (const { fit } of slopes) {
    assertStringIncludes(
      pictures.compress!.text,
      `slope ${fit.slope.toFixed(2).replace("-", "−")}`,
    );
  }
  assert(!pictures.bloat!.text.includes("slope"));
});

Deno.test("slackPlot() shows the quantiles of every bound", () => {
  for (
    const name of ["mass bound", "key bound", "compress bound, MLP", "change bound, attention"]
  ) {
    assertStringIncludes(pictures.slack!.text, `${name}:`);
  }
});

Deno.test("layerNormPlot() shows the median and the range of several runs", () => {
  const row = { series: "a", layer: 0, quantity: "output", early: null } as const;
  const drawn = (sinks: readonly number[]) =>
    layerNormPlot(sinks.map((sink) => ({ ...row, sink })), {
      ...options("x"),
      quantity: "output",
    })!;
  const page = pageOf(drawn([10, 100, 1000]).text);
  assertEquals(page.querySelectorAll('[aria-label="dot"] circle').length, 1);
  assertEquals(page.querySelectorAll('[aria-label="rule"] line').length, 1);
});

Deno.test("a vertical axis's label stands clear of a tick at the frame's top", () => {
  const row = { series: "a", layer: 0, quantity: "sink score", early: null, sink: 1 } as const;
  const { text } = layerNormPlot([row], { ...options("x"), quantity: "sink score" })!;
  // A text's baseline in pixels is its group's shift, plus the text's shift, plus its offset in em.
  // An em is 12 pixels.
  const baseline = (content: string) => {
    const found = new RegExp(
      `<g[^>]*translate\\([^,]*,([^)]*)\\)"[^>]*>(?:(?!</g>).)*<text[^>]*translate\\([^,]*,([^)]*)\\)" y="([\\d.]+)em"[^>]*>${content}</text>`,
    ).exec(text);
    assert(found !== null, text);
    return Number(found[1]) + Number(found[2]) + 12 * Number(found[3]);
  };
  // Letters such as g reach 0.24 em below the baseline, and digits 0.73 em above it.
  const room = baseline("1") - 0.73 * 12 - (baseline("↑ largest sink score") + 0.24 * 12);
  assert(room >= 3, `${room} pixels between the label and the tick`);
});

Deno.test("pictures without data are not drawn", () => {
  assertEquals(gradientViolinPlot([], options("a")), undefined);
  const zero = { series: "a", layer: 0, position: 0, value: 0 };
  assertEquals(gradientViolinPlot([zero], options("a")), undefined);
  assertEquals(pathGradientPlot([], options("a")), undefined);
  assertEquals(branchPlot([], options("a")), []);
  assertEquals(slackPlot([], options("a")), undefined);
  assertEquals(layerNormPlot([], { ...options("a"), quantity: "value" }), undefined);
});

Deno.test("logTicks() has round ticks, as many as fit, on any domain", () => {
  assertEquals(
    logTicks([1, 1000], 7),
    [1, 10, 100, 1000].flatMap((p) => p === 1000 ? [p] : [p, 3 * p]),
  );
  assertEquals(logTicks([1e-9, 1], 5).length <= 5, true);
  for (
    const [low, high] of [[0.9, 1.1], [1e-12, 1e12], [3.1, 4.9], [3.02, 4.01], [
      1e-300,
      1e300,
    ]] as const
  ) {
    for (const most of [2, 3, 7]) {
      const ticks = logTicks([low, high], most);
      assert(ticks.length <= most, `${low} ${high} ${most}: ${ticks}`);
      assert(ticks.every((tick) => tick >= low && tick <= high));
      if (low > 3 && most > 2) assert(ticks.length >= 2, `${low} to ${high}: ${ticks}`);
    }
  }
  assertEquals([0.001, 0.02, 1, 1500, 2e5, 5e-7].map(logTick), [
    "10⁻³",
    "0.02",
    "1",
    "1500",
    "2·10⁵",
    "5·10⁻⁷",
  ]);
});

Deno.test("pathGradientPlot() draws no line over positions that were not measured", () => {
  const rows = [0, 1, 2, 3, 31, 63].map((position) => ({
    panel: "one",
    path: "value" as const,
    position,
    value: 1 + position,
  }));
  const { text } = pathGradientPlot(rows, options("gap"))!;
  // One line goes through positions 0 to 3. The sink at 0 and the isolated positions 31 and 63 have
  // a mark each.
  const curves = text.match(/<path [^>]*d="M[^"]*"/g) ?? [];
  const through = curves.filter((curve) => /d="M[\d.]+,[\d.]+(?:L[\d.]+,[\d.]+){3}"/.test(curve));
  assertEquals(through.length, 1, curves.join("\n"));
  assertEquals(curves.filter((curve) => /(?:L[\d.]+,[\d.]+){4}"/.test(curve)), []);
});
