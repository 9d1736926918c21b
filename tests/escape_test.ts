import { assert, assertEquals } from "./support/assert/assert.ts";
import { escapeHtml, escapeTerminal, truncate } from "../src/escape.ts";

Deno.test("escapeTerminal() leaves visible text alone", () => {
  for (const text of ["", "NVIDIA H200", "ä 漢字 😀 ±2 %", "a\\u001b", "<b>"]) {
    assertEquals(escapeTerminal(text), text);
  }
});

Deno.test("escapeTerminal() makes every control and format character visible", () => {
  assertEquals(
    escapeTerminal("\u001b]0;title\u0007\r\n\t"),
    "\\u001b]0;title\\u0007\\u000d\\u000a\\u0009",
  );
  assertEquals(escapeTerminal("\u009b31m\u007f"), "\\u009b31m\\u007f");
  assertEquals(escapeTerminal("a\u202eb\u2066c\u200bd"), "a\\u202eb\\u2066c\\u200bd");
  assertEquals(escapeTerminal("\ud800 \udfff"), "\\ud800 \\udfff");
  assertEquals(escapeTerminal("\u{e0041}"), "\\udb40\\udc41");
  // The expected characters come from Unicode's classes, so the test finds any that the code's own
  // list lacks.
  for (let point = 0; point < 0x110000; point++) {
    const character = String.fromCodePoint(point);
    if (/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(character)) {
      assert(escapeTerminal(character) !== character, `U+${point.toString(16)} is let through`);
    }
  }
});

Deno.test("escapeTerminal() keeps the meaning of compact JSON", () => {
  const value = { "a\u009b": "\u2028\u202e\ufeff\u{e0020}\u007f", b: ["\ud800"] };
  assertEquals(JSON.parse(escapeTerminal(JSON.stringify(value))), value);
});

Deno.test("escapeHtml() leaves no markup, in content and in attributes", () => {
  assertEquals(
    escapeHtml(`<a href="x" onclick='y'>&amp;\`</a>\u0000`),
    "&lt;a href=&quot;x&quot; onclick=&#39;y&#39;&gt;&amp;amp;&#96;&lt;/a&gt;\\u0000",
  );
});

Deno.test("truncate() counts code points and cuts no pair", () => {
  assertEquals(truncate("😀😀😀", 3), "😀😀😀");
  assertEquals(truncate("😀😀😀😀", 3), "😀😀…");
  assertEquals(truncate("abcdef", 4), "abc…");
});
