import type { NamedResult } from "../../src/measure/comparison/machine.ts";
import { parseResultFile } from "../../src/measure/result_file/parse.ts";
import { galleryRows, renderGallery } from "../../src/report/gallery.ts";
import lavapipe from "../../fixtures/lavapipe-deno.json" with { type: "text" };
import swiftshader from "../../fixtures/swiftshader-deno.json" with { type: "text" };
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";

const read = (name: string, text: string): NamedResult => ({
  name,
  file: parseResultFile(text, name),
});
const results = [
  read("a/lavapipe.json", lavapipe),
  read("a/swiftshader.json", swiftshader),
];
const now = Date.parse("2027-01-15T12:00:00Z");

Deno.test("galleryRows() has each file's share, error, age and revision", () => {
  const rows = galleryRows(results, now);
  for (const [i, row] of rows.entries()) {
    assert(row.share! > 0.05 && row.share! < 1, `${row.share}`);
    assert(row.error! > 0 && row.error! <= 1);
    assertEquals(row.bad, 0);
    assert(row.shares <= row.hot && row.hot < row.count);
    const { date, suite } = results[i]!.file;
    assertEquals(row.days, Math.floor((now - Date.parse(date)) / 86_400_000));
    assertStringIncludes(row.machine.suite, suite.commit!.slice(0, 10));
  }
});

Deno.test("galleryRows() counts failed measurements, and leaves custom operators out", () => {
  const { file } = results[0]!;
  const [first, second, ...rest] = file.measurements;
  const measurements = [
    { ...first!, status: "wrong" as const, correctness: { error: 4, tolerance: 1 } },
    { ...second!, operatorDigest: "0123456789abcdef", correctness: { error: 9, tolerance: 1 } },
    ...rest,
  ];
  const [row] = galleryRows([{ name: "b.json", file: { ...file, measurements } }], now);
  assertEquals([row!.bad, row!.error, row!.count], [1, 4, file.measurements.length - 1]);
});

Deno.test("renderGallery() sorts by each column without a script, and escapes the files' texts", () => {
  const label = "<script>alert(1)</script>";
  const named = { name: "c.json", file: { ...results[0]!.file, label } };
  const page = renderGallery([...results, named], now);
  assert(!page.includes("<script"), "no script");
  assertStringIncludes(page, "&lt;script&gt;");
  const order = (id: string) => {
    const table = page.slice(page.indexOf(`id="gpus-by-${id}-caption"`)).split("</table>")[0]!;
    return [...table.matchAll(/<th scope="row">([^<]*)<\/th>/g)].map(([, name]) => name!);
  };
  const rows = galleryRows([...results, named], now);
  const escaped = (name: string) => name.replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const byShare = rows.toSorted((a, b) => b.share! - a.share!).map(({ share }) => share);
  const shareOf = (name: string) =>
    rows.find(({ machine }) => escaped(machine.name) === name)!.share;
  assertEquals(order("share").map(shareOf), byShare);
  assertEquals(order("name"), rows.map(({ machine }) => escaped(machine.name)).sort());
  for (const id of ["share", "error", "age", "name", "suite"]) {
    assertStringIncludes(page, `.gallery:has(#by-${id}:checked) .by-${id}`);
  }
});
