/** Scenarios that check that pages fit the screen: all pages of results, and the measuring page. */
import { presetSettings } from "../../../../src/experiments/run/presets.ts";
import type { StoredRun } from "../../../../src/experiments/run/read.ts";
import { judgeClaims } from "../../../../src/experiments/study/claims/judge.ts";
import { mergeStudy } from "../../../../src/experiments/study/merge.ts";
import { compareResultFiles } from "../../../../src/measure/comparison.ts";
import type { ResultFile } from "../../../../src/measure/result_file.ts";
import { parseResultFile } from "../../../../src/measure/result_file/parse.ts";
import { renderGallery } from "../../../../src/report/gallery.ts";
import { renderComparisonPage } from "../../../../src/report/comparison/page.ts";
import { renderRunsPage } from "../../../../src/report/runs/page.ts";
import { renderRunPage } from "../../../../src/report/run_page.ts";
import { renderSinkComparison } from "../../../../src/report/sink_comparison.ts";
import { renderSinkPage } from "../../../../src/report/sinks/page.ts";
import { renderStudyPage } from "../../../../src/report/study/page.ts";
import { createSvgDocument } from "../../../../src/report/svg_document.ts";
import type { SinkMeasurement } from "../../../../src/sinks/measurement.ts";
import { assertEquals } from "../../../support/assert/assert.ts";
import { syntheticStudy } from "../../../experiments/study/synthetic.ts";
import { layoutProblems } from "./layout.ts";
import { LAVAPIPE, type Run, SWIFTSHADER, WITHOUT_GPU } from "./scenario.ts";
import { until } from "./stage.ts";

/** Widths of a phone, a tablet and a laptop, in pixels. */
const WIDTHS = [360, 768, 1280];

const document = createSvgDocument();

/** Reads a result file, and keeps only the first row of each operator and pass. */
function few(path: string): ResultFile {
  const file = parseResultFile(Deno.readTextFileSync(path), path);
  const rows = Map.groupBy(file.measurements, ({ kernel, pass }) => `${kernel} ${pass}`);
  return { ...file, measurements: [...rows.values()].flatMap((group) => group.slice(0, 1)) };
}

function comparisonPage(): string {
  const files = [LAVAPIPE, SWIFTSHADER].map((path) => ({ name: path, file: few(path) }));
  return renderComparisonPage(compareResultFiles(files, { threshold: 0.05 }), document);
}

/** A comparison of three machines. With more than two machines, the page has a matrix. */
function matrixPage(): string {
  const file = few(LAVAPIPE);
  const files = ["one", "two", "a third one with a name of some length"].map((label) => ({
    name: label,
    file: { ...file, label },
  }));
  return renderComparisonPage(compareResultFiles(files, { threshold: 0.05 }), document);
}

function runPage(): string {
  return renderRunPage(few(LAVAPIPE));
}

function galleryPage(): string {
  const named = [LAVAPIPE, SWIFTSHADER].map((path) => ({ name: path, file: few(path) }));
  const label = "NVIDIA GeForce RTX 4090 Laptop GPU, driver 580.65.06, Windows 11 24H2";
  const long = { name: "c.json", file: { ...named[0]!.file, label } };
  return renderGallery([...named, long], Date.parse("2027-01-15T12:00:00Z"));
}

function studyPage(): string {
  const study = mergeStudy(syntheticStudy([1, 2]), ["shallow-none-seed6"]);
  return renderStudyPage(study, { claims: judgeClaims(study), document });
}

function pretrained(): SinkMeasurement {
  const path = new URL("../../../../fixtures/pretrained/smollm2.json", import.meta.url);
  return JSON.parse(Deno.readTextFileSync(path)) as SinkMeasurement;
}

function pretrainedPage(): string {
  return renderSinkPage(pretrained(), document);
}

function sinkComparisonPage(): string {
  const measurement = pretrained();
  const names = ["SmolLM2-135M-Instruct", "2026-11-30T02-27-18-smoke-none-seed1, step 200"];
  return renderSinkComparison(names.map((name) => ({ name, measurement })), document);
}

/** A script that lists the table rows whose last value a reader must scroll sideways to see. */
const HIDDEN_VALUES = `[...document.querySelectorAll(".table tbody tr")].filter((row) => {
  const right = (each) => each.getBoundingClientRect().right;
  return right(row.lastElementChild) > right(row.closest(".scroll")) + 1;
}).map((row) => row.textContent.trim())`;

/** A page about a pretrained model, with made-up tokens and made-up sizes of some dimensions. */
function sinksPage(): string {
  const { pretrained: measured, ...measurement } = pretrained();
  const { layers, maps, sinkPositions } = measured!;
  const tokens = Array.from(
    { length: 24 },
    (_, i) => ["a", "␣", "\\n", "xff", "Ġattention"][i % 5]!,
  );
  const dimensions = Array.from({ length: 16 }, (_, i) => 37 * i + 4);
  return renderSinkPage({
    ...measurement,
    states: {
      layers,
      maps,
      sinkPositions,
      channels: {
        dimensions,
        largest: layers.map((_, layer) => dimensions.map((i) => 1 + layer * i)),
      },
      firstText: {
        tokens,
        maps: maps.map(({ size, weights, ...head }) => ({
          ...head,
          size: 24,
          weights: Array.from(
            { length: 24 ** 2 },
            (_, i) => weights[Math.floor(i / 24) * size + i % 24]!,
          ),
        })),
      },
    },
  }, document);
}

function runsPage(): string {
  const measurement = pretrained();
  const runs = ["2026-11-30T02-27-18-smoke-none-seed1", "b"].map((name, seed): StoredRun => ({
    name,
    settings: { ...presetSettings("smoke"), seed },
    rows: [10, 20].map((step) => ({ kind: "measurement", step, measurement })),
  }));
  return renderRunsPage(runs, document);
}

export const pagesFit: Run = async (stage) => {
  const pages = {
    comparisonPage,
    matrixPage,
    galleryPage,
    runPage,
    runsPage,
    studyPage,
    sinksPage,
    pretrainedPage,
    sinkComparisonPage,
  };
  const page = await stage.browser.newPage();
  try {
    const found: string[] = [];
    for (const [name, make] of Object.entries(pages)) {
      await page.setContent(make());
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 });
        found.push(...(await layoutProblems(page)).map((each) => `${name} ${width}: ${each}`));
        if (make === sinkComparisonPage) {
          assertEquals(await page.evaluate(HIDDEN_VALUES), [], `${name} ${width}`);
        }
      }
    }
    assertEquals(found, []);
    // Test the check: it must find boxes that leave their frame, are cut off, or are not aligned.
    await page.setContent(`<main style="width:200px"><div class="card" style="width:260px">x</div>
      <div style="overflow-x:auto;width:50px"><b>unbreakable-unbreakable</b></div>
      <div style="display:grid;grid-template-columns:1fr 1fr"><i>a</i><i style="margin-top:9px">b</i></div></main>`);
    const wrong = await layoutProblems(page);
    for (const part of ["out of main", "without a sign", "by keyboard", "off its neighbor"]) {
      assertEquals(wrong.filter((each) => each.includes(part)).length, 1, `${part}: ${wrong}`);
    }
  } finally {
    await page.close();
  }
};

export const measuringPageFits: Run = async (stage) => {
  const { page } = await stage.open({ before: WITHOUT_GPU });
  await page.setInputFiles("#files", [LAVAPIPE, SWIFTSHADER]);
  await until(page, "!document.querySelector('#comparison').hidden");
  const found: string[] = [];
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    found.push(...(await layoutProblems(page)).map((each) => `${width}: ${each}`));
  }
  assertEquals(found, []);
};
