import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { judgeClaims } from "../../../src/experiments/study/claims/judge.ts";
import { mergeStudy, type NamedRecord } from "../../../src/experiments/study/merge.ts";
import {
  formatStudyRecord,
  parseStudyRecord,
} from "../../../src/experiments/study/record_store.ts";
import { studyFigures } from "../../../src/report/study/figure_files.ts";
import { renderStudyPage } from "../../../src/report/study/page.ts";
import { formatEvidence, formatFigure } from "../../../src/report/study/tables.ts";
import {
  formatStudy,
  formatStudyJson,
  formatStudyMarkdown,
} from "../../../src/report/study/text.ts";
import { createSvgDocument } from "../../../src/report/svg_document.ts";
import { syntheticStudy } from "../../experiments/study/synthetic.ts";
import { assertNamed, assertQuiet, parsed } from "../page_checks.ts";

const evil = `<img src=x onerror="alert(1)">'\`&\u001b[2J\u202e|[x](javascript:y)\n=1+1`;

function pageOf(found: readonly NamedRecord[]): string {
  const study = mergeStudy(found);
  return renderStudyPage(study, { claims: judgeClaims(study), document: createSvgDocument() });
}

const found = syntheticStudy([1, 2, 3, 4, 5], { names: ["shallow", "deep"] });
const page = pageOf(found);

Deno.test("renderStudyPage() makes a page that loads nothing and runs nothing", () => {
  assertQuiet(page);
});

Deno.test("renderStudyPage() names every picture, table, section and link target", () => {
  // Each of the two settings has 9 pictures of curves, 5 over strength, 3 of branch ratios and 5 by
  // layer. Each setting also has 8 pictures that are drawn in two widths: the chain, onsets, a
  // violin, 4 paths and slack.
  assertNamed(page, { pictures: 2 * (9 + 5 + 3 + 5 + 2 * 8) });
});

Deno.test("renderStudyPage() lists runs with intervals over sequences, if records have them", () => {
  assert(!page.includes("shallow-runs"), "a list of nothing");
  const measured = found.map(({ path, record }) => {
    if (record.arm.seed !== 1 || record.arm.setting !== "shallow") return { path, record };
    const interval = [1.25, 2.5] as const;
    const summary = {
      loss: interval,
      gradientSink: interval,
      singleGradientSink: null,
      sequenceSinkRate: null,
      idleSequenceSinkRate: null,
      largestScore: interval,
      largestIdleScore: null,
      queryPath: null,
      keyPath: null,
      valuePath: null,
    };
    return {
      path,
      record: { ...record, final: { ...record.final!, intervals: { layers: [], summary } } },
    };
  });
  const table = parsed(pageOf(measured)).querySelectorAll("table")
    .find((each) => each.querySelector("#shallow-runs-caption") !== null)!;
  const rows = table.querySelectorAll("tbody tr");
  assertEquals(
    rows.length,
    found.filter(({ record: { arm } }) => arm.seed === 1 && arm.setting === "shallow").length,
  );
  for (const row of rows) assertStringIncludes(row.textContent, "(1.25 to 2.50)");
});

Deno.test("renderStudyPage() shows each claim's verdict and figure beside the paper's", () => {
  const rows = parsed(page).querySelectorAll("table.claims tbody tr");
  const claims = judgeClaims(mergeStudy(found));
  assertEquals(rows.length, claims.length / 2);
  for (const claim of claims) {
    const row = rows.find((each) => each.querySelector("th")!.textContent === claim.title)!;
    assertStringIncludes(row.textContent, claim.verdict);
    assertStringIncludes(row.textContent, claim.paper);
    const best = claim.evidence.find(({ test }) => test !== undefined) ?? claim.evidence[0]!;
    assertStringIncludes(row.textContent, formatEvidence(best));
  }
});

Deno.test("a study of hostile records shows their texts without effects", () => {
  const hostile = found.slice(0, 4).map(({ record }, i) => ({
    path: evil,
    record: parseStudyRecord(
      formatStudyRecord({
        ...record,
        suite: { version: evil.slice(0, 90), commit: `${evil.slice(0, 80)}${i}` },
        adapter: `${evil}${i}`,
        settings: { [evil.slice(0, 90)]: evil },
      }, "r"),
      "r",
    ),
  }));
  const study = mergeStudy([...hostile, hostile[0]!]);
  const claims = judgeClaims(study);
  const text = renderStudyPage(study, { claims, document: createSvgDocument() });
  const document = parsed(text);
  assertEquals(document.querySelectorAll("img, script").length, 0);
  assertStringIncludes(text, "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;");
  for (
    const each of [
      formatStudy(study, claims),
      formatStudyMarkdown(study, claims),
      formatStudyJson(study, claims),
    ]
  ) {
    // deno-lint-ignore no-control-regex
    assert(!/[\u001b\u202e]/.test(each), "an escape sequence came through");
  }
  assert(!formatStudyMarkdown(study, claims).includes("<img"), "markup in Markdown");
});

Deno.test("renderStudyPage() and the texts accept studies with little or no data", () => {
  const parts = [
    [],
    found.slice(0, 1),
    syntheticStudy([1], { withFinal: false }),
    syntheticStudy([1, 2]).filter(({ record }) => record.arm.variant === "learned"),
  ];
  for (const part of parts) {
    const study = mergeStudy(part);
    const claims = judgeClaims(study);
    const texts = [
      renderStudyPage(study, { claims, document: createSvgDocument() }),
      formatStudy(study, claims),
      formatStudyMarkdown(study, claims),
      formatStudyJson(study, claims),
    ];
    for (const text of texts) {
      assert(!/NaN|undefined|Infinity|\[object/.test(text), text.slice(0, 300));
    }
    JSON.parse(texts[3]!);
  }
});

Deno.test("studyFigures() gives self-contained files, each once", () => {
  const figures = studyFigures(mergeStudy(found.slice(0, 8)), createSvgDocument());
  assertEquals(new Set(figures.map(({ name }) => name)).size, figures.length);
  for (const { name, text } of figures) {
    assert(/^[a-z0-9-]+\.svg$/.test(name), name);
    assertStringIncludes(text, 'xmlns="http://www.w3.org/2000/svg"');
    assert(!/NaN|undefined|href=|<script/.test(text), name);
  }
});

Deno.test("formatFigure() writes readable figures", () => {
  const cases: [number | undefined, Parameters<typeof formatFigure>[1], string][] = [
    [undefined, "number", "no data"],
    [15.5123, "number", "15.5"],
    [-0.25, "number", "−0.25"],
    [0.0000123, "number", "1.2e−5"],
    [123456, "number", "1.2e5"],
    [0, "number", "0"],
    [346.2, "number", "346"],
    [2.718, "ratio", "2.72×"],
    [-0.00012, "nats", "−0.0001"],
    [-0.00001, "nats", "0.0000"],
    [9224, "count", "9224"],
  ];
  for (const [value, form, text] of cases) assertEquals(formatFigure(value, form), text);
});
