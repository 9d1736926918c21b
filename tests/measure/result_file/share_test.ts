import { LONGEST_ADDRESS, shareResult } from "../../../src/measure/result_file/share.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";

const repository = "https://github.com/owner/name";

Deno.test("shareResult() puts a short file into the address, letter by letter", () => {
  const text = '{ "label": "é & <b> # ? 100 % +" }\n';
  for (const given of [repository, `${repository}/`, `${repository}.git`]) {
    const { url, complete } = shareResult(given, { name: "a b.json", text });
    const { searchParams, hash } = new URL(url);
    assertEquals([url.split("?")[0], hash], [`${repository}/new/main`, ""]);
    assertEquals(searchParams.get("filename"), "fixtures/a b.json");
    assertEquals(searchParams.get("value"), text);
    assert(complete);
  }
});

Deno.test("shareResult() leaves a long text out of the address", () => {
  const fits = "x".repeat(LONGEST_ADDRESS);
  const { length } = shareResult(repository, { name: "a.json", text: "" }).url;
  const longest = fits.slice(0, LONGEST_ADDRESS - length);
  assert(shareResult(repository, { name: "a.json", text: longest }).complete);
  const { url, complete } = shareResult(repository, { name: "a.json", text: `${longest}x` });
  assertEquals([new URL(url).searchParams.has("value"), complete], [false, false]);
});

Deno.test("shareResult() accepts only addresses on GitHub", () => {
  for (
    const wrong of [
      "",
      "github.com/o/r",
      "http://github.com/o/r",
      "https://example.com/o/r",
      "https://github.com/o",
      "https://github.com/o/r/tree/main",
      "https://github.com.example.com/o/r",
      "javascript:alert(1)",
    ]
  ) {
    assertThrows(
      () => shareResult(wrong, { name: "a.json", text: "{}" }),
      RangeError,
      "wanted an address as https://github.com/OWNER/NAME",
    );
  }
});
