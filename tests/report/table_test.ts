import { assert, assertEquals } from "../support/assert/assert.ts";
import {
  formatCsv,
  formatMarkdownTable,
  formatTerminalTable,
  type Table,
} from "../../src/report/table.ts";
import { html, htmlTable, Markup } from "../../src/report/html.ts";

const table: Table = {
  caption: "What\u001b[2J it is",
  columns: [{ title: "name" }, { title: "value", align: "right" }],
  rows: [["漢字", "1"], [{ text: "a\u001b[31mb\n", tone: "bad" }, "1000"], ["😀 é", "-5"]],
};

Deno.test("formatTerminalTable() aligns by displayed width", () => {
  assertEquals(
    formatTerminalTable(table),
    [
      "What\\u001b[2J it is",
      "name                value",
      "──────────────────  ─────",
      "漢字                    1",
      "a\\u001b[31mb\\u000a   1000",
      "😀 é                   -5",
      "",
    ].join("\n"),
  );
});

Deno.test("formatTerminalTable() colors only on request", () => {
  // deno-lint-ignore no-control-regex
  const escapes = /\u001b\[/;
  assert(!escapes.test(formatTerminalTable(table)));
  const colored = formatTerminalTable(table, { color: true });
  assert(colored.includes("\u001b[31ma\\u001b[31mb"));
  assert(!colored.includes("\u001b[2J"));
});

Deno.test("formatMarkdownTable() keeps cells in their place and escapes markup", () => {
  const text = formatMarkdownTable({
    columns: [{ title: "a|b" }, { title: "c", align: "right" }],
    rows: [["x | y\n| z", "<img src=x>"], ["[a](javascript:b)", "`*_~#@me https://x.y \\"]],
  });
  const lines = text.trimEnd().split("\n");
  assertEquals(lines.length, 4);
  for (const line of lines) assertEquals(line.match(/(?<!\\)\|/g)?.length, 3, line);
  assertEquals(lines[0], "| a\\|b | c |");
  assertEquals(lines[1], "| :--- | ---: |");
  assert(!/[<>]/.test(text) && text.includes("&lt;img src=x&gt;"));
  assert(text.includes("\\[a\\](javascript:b)"));
  assert(text.includes("\\`\\*\\_\\~\\#\\@me https&#8203;://x.y \\\\"));
});

Deno.test("formatCsv() quotes, and turns formulas, but not numbers, into text", () => {
  const text = formatCsv({
    columns: [{ title: "a" }, { title: "b" }],
    rows: [
      ['say "hi", you', "-1.5e-7"],
      ["=HYPERLINK(1)", "+cmd|' /C calc'!A0"],
      ["@x", " padded"],
      ["-a", "\u0007"],
    ],
  });
  assertEquals(
    text,
    'a,b\n"say ""hi"", you",-1.5e-7\n\'=HYPERLINK(1),\'+cmd|\' /C calc\'!A0\n\'@x," padded"\n\'-a,\\u0007\n',
  );
});

Deno.test("html escapes values, joins lists, and leaves markup alone", () => {
  const evil = "<script>'\"&\u0000";
  assertEquals(
    html`<p title="${evil}">${[evil, 3, undefined, new Markup("<b>")]}</p>`.text,
    '<p title="&lt;script&gt;&#39;&quot;&amp;\\u0000">&lt;script&gt;&#39;&quot;&amp;\\u00003<b></p>',
  );
});

Deno.test("htmlTable() has a caption, header cells and a region that the keyboard can scroll", () => {
  const text = htmlTable(table, { id: "t" }).text.replace(/\s+/g, " ");
  for (
    const part of [
      'role="region"',
      'tabindex="0"',
      'aria-labelledby="t-caption"',
      'id="t-caption"',
      '<th scope="col"',
      '<th scope="row"',
    ]
  ) assert(text.includes(part), part);
  assertEquals(text.match(/<tr>/g)?.length, 4);
});
