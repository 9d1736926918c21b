import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { compareResultFiles, type Comparison } from "../../../src/measure/comparison.ts";
import { parseResultFile } from "../../../src/measure/result_file/parse.ts";
import { renderComparisonPage } from "../../../src/report/comparison/page.ts";
import {
  formatComparison,
  formatComparisonCsv,
  formatComparisonJson,
  formatComparisonMarkdown,
} from "../../../src/report/comparison/text.ts";
import { PALETTE } from "../../../src/report/page_style.ts";
import { createSvgDocument } from "../../../src/report/svg_document.ts";
import {
  noisySamples,
  syntheticMeasurement,
  syntheticResultFile,
} from "../../measure/synthetic.ts";
import { assertNamed, assertQuiet, parsed } from "../page_checks.ts";

const evil = `<img src=x onerror="alert(1)">'\`&\u001b[2J\u202e\u009b|[x](javascript:y)\n=1+1`;

/** A comparison of machines with several operators. If `hostile`, every free text is hostile. */
function comparisonOf(count: number, hostile = false): Comparison {
  const text = (harmless: string) => hostile ? `${harmless} ${evil}` : harmless;
  return compareResultFiles(
    Array.from({ length: count }, (_, machine) => {
      const file = syntheticResultFile({
        label: text(`machine ${machine}`),
        suite: { version: text("0.1.0"), commit: text(`abc${machine}`) },
        runtime: { name: text("deno"), version: text("2") },
        host: { os: text("linux"), cpu: text("cpu") },
        adapter: { vendor: text("nobody"), description: text("GPU") },
        warnings: [text("careful")],
        measurements: ["attention", "rms_norm"].flatMap((kernel) =>
          ["forward", "backward"].flatMap((pass) =>
            [64, 256].map((T) =>
              syntheticMeasurement({
                kernel,
                pass,
                shape: { B: 1, T },
                bytes: kernel === "attention" ? 1e6 : 1e9,
                tuning: { kind: text(`m${machine}`).slice(0, 90) },
                samples: noisySamples({
                  seed: T + machine,
                  count: 30,
                  median: 1e5 * (machine + 1),
                }),
                warnings: [text("noisy")],
                ...machine === 1 && T === 256
                  ? { status: "failed", reason: text("broke"), samples: [] }
                  : {},
              })
            )
          )
        ),
      });
      // Parsed from JSON, like a stranger's file.
      return { name: text(`m${machine}.json`), file: parseResultFile(JSON.stringify(file), "m") };
    }),
  );
}

const pages = [2, 3, 9].map((count) => ({
  count,
  page: renderComparisonPage(comparisonOf(count), createSvgDocument()),
}));

Deno.test("renderComparisonPage() makes a page that loads nothing and runs nothing", () => {
  for (const { page } of pages) assertQuiet(page);
});

Deno.test("renderComparisonPage() names every picture, table, section and link target", () => {
  // Every page has 10 pictures: the roofline and one for each of two passes of two operators, all
  // in a wide and a narrow form. The page of two machines also has the changes, in both forms.
  for (const { page, count } of pages) assertNamed(page, { pictures: count === 2 ? 12 : 10 });
});

Deno.test("renderComparisonPage() shows the figures of the comparison", () => {
  const text = parsed(pages[1]!.page).querySelector("table.matrix")!.textContent;
  for (const part of ["100 µs", "200 µs", "300 µs", "2.00×", "failed"]) {
    // Noise moves the medians by at most 1 % from these figures, so any last two digits may follow.
    const pattern = part === "failed"
      ? /failed/
      : new RegExp(part.replace(/\d\d(?= |×)/, "\\d\\d"));
    assert(pattern.test(text), `${part} is not in the matrix`);
  }
});

Deno.test("a comparison of hostile files shows their texts without effects", () => {
  const comparison = comparisonOf(2, true);
  const page = renderComparisonPage(comparison, createSvgDocument());
  const document = parsed(page);
  assertEquals(document.querySelectorAll("img, script").length, 0);
  assertStringIncludes(page, "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;");
  for (const element of document.querySelectorAll("*")) {
    for (const { name } of element.attributes) assert(!name.startsWith("on"), name);
  }
  // deno-lint-ignore no-control-regex
  const steering = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
  const texts = {
    page,
    table: formatComparison(comparison),
    markdown: formatComparisonMarkdown(comparison),
    csv: formatComparisonCsv(comparison),
    json: formatComparisonJson(comparison),
  };
  for (const [form, text] of Object.entries(texts)) assert(!steering.test(text), form);
  const colored = formatComparison(comparison, { color: true });
  // deno-lint-ignore no-control-regex
  assert(!steering.test(colored.replace(/\u001b\[\d+m/g, "")), "colored");
  assert(!/<img/.test(texts.markdown));
  for (const line of texts.csv.trimEnd().split("\n")) assert(!/(^|,)[=@]/.test(line), line);
});

Deno.test("remarks are numbered and listed once, in the page as in the texts", () => {
  const comparison = comparisonOf(3);
  const texts = [
    formatComparison(comparison),
    parsed(pages[1]!.page).querySelector("ol.remarks")!.textContent,
  ];
  for (const text of texts) {
    assertStringIncludes(text, "machine 1: broke");
    assertStringIncludes(text, "machine 0: noisy");
  }
  const table = texts[0]!;
  assertEquals(table.match(/^\[\d+\] /gm)?.length, 8);
  for (let i = 1; i <= 8; i++) assertEquals(table.split(`[${i}]`).length, 3, `[${i}]`);
});

Deno.test("formatComparisonJson() can be read again and keeps hostile texts as data", () => {
  const value = JSON.parse(formatComparisonJson(comparisonOf(2, true)));
  assertEquals(value.schema, "gradsink-comparison/1");
  assertEquals(value.rows.length, 8);
  assertEquals(value.rows[0].cells[1].warnings, [`noisy ${evil}`]);
  const comparison = comparisonOf(2);
  const machines = comparison.machines.map((machine) => ({
    ...machine,
    exceeded: new Map([["f32Fma", { factor: 1.5, measurement: syntheticMeasurement() }]] as const),
  }));
  const exceeding = JSON.parse(formatComparisonJson({ ...comparison, machines }));
  assertEquals(exceeding.machines[0].exceeded, { f32Fma: 1.5 });
});

Deno.test("formatComparisonCsv() has one line per measurement and machine", () => {
  const lines = formatComparisonCsv(comparisonOf(3)).trimEnd().split("\n");
  assertEquals(lines.length, 1 + 8 * 3);
  const columns = lines[0]!.split(",");
  assertEquals(new Set(lines.map((line) => line.split(",").length)), new Set([columns.length]));
  assertEquals(lines[1]!.split(",")[columns.indexOf("verdict")], "");
  assertEquals(lines[2]!.split(",")[columns.indexOf("verdict")], "slower");
});

/** Relative luminance by WCAG 2.2. */
function luminance(color: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high! + 0.05) / (low! + 0.05);
}

Deno.test("the page's colors have the contrast that WCAG AA requires, light and dark", () => {
  assertEquals(contrast("#000000", "#ffffff"), 21);
  for (const [scheme, colors] of Object.entries(PALETTE)) {
    const check = (front: string, back: string, least: number) => {
      const found = contrast(colors[front]!, colors[back]!);
      assert(found >= least, `${scheme}: ${front} on ${back} has ${found.toFixed(2)}`);
    };
    for (const text of ["ink", "soft", "link", "good", "bad", "unsure", "faint"]) {
      check(text, "surface", 4.5);
      check(text, "ground", 4.5);
    }
    for (let i = 0; i < 8; i++) check(`m${i}`, "surface", 3);
    for (let i = 0; i < 5; i++) check("ink", `heat${i}`, 4.5);
    check("soft", "band", 4.5);
  }
});
