/**
 * The code converts between URLs and paths only with `node:url`. `URL.pathname` keeps `%20` for a
 * space, and begins with `/C:/` on Windows; `file://` followed by a path breaks at `%`, `#` and
 * `?`.
 */
import { readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "./support/assert/assert.ts";
import { testWith } from "./support/permitted.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

/** Files in which `pathname` is that of an HTTP request or a page. */
const ADDRESSES = [
  "bench/browser/page/page.ts",
  "bench/browser/serve.ts",
  "tests/support/model/hub.ts",
];

/** Patterns of code that converts between a URL and a path without decoding or encoding. */
const FAULTS = [
  /\.pathname\b/,
  /\bpathname\s*[,}].*=\s*new URL/,
  /`file:\/\/[^`]*\$\{/,
  /"file:\/\/" ?\+/,
];

/** The numbers of a text's faulty lines, from 1. */
function faultyLines(text: string): number[] {
  return text.split("\n").flatMap((line, i) =>
    FAULTS.some((each) => each.test(line)) ? [i + 1] : []
  );
}

Deno.test("the search for undecoded paths finds them", () => {
  const found = faultyLines([
    'const a = new URL("./a", import.meta.url).pathname;',
    'const { pathname } = new URL("./a", import.meta.url);',
    "const b = new URL(`file://${folder}/b`);",
    'const c = new URL("file://" + folder);',
    'const d = fileURLToPath(new URL("./a", import.meta.url));',
  ].join("\n"));
  assertEquals(found, [1, 2, 3, 4]);
});

testWith("read")("no path is taken from a URL undecoded", async () => {
  const found: string[] = [];
  let files = 0;
  for (const room of ["src", "kernels", "bench", "tests"]) {
    const entries = await readdir(join(root, room), { recursive: true, withFileTypes: true });
    for (const { parentPath, name } of entries) {
      const path = join(parentPath, name);
      const shown = relative(root, path).replaceAll("\\", "/");
      if (!name.endsWith(".ts") || shown.includes("/dist/") || shown === "tests/paths_test.ts") {
        continue;
      }
      files++;
      if (ADDRESSES.includes(shown)) continue;
      for (const line of faultyLines(await Deno.readTextFile(path))) found.push(`${shown}:${line}`);
    }
  }
  assert(files > 500, `${files} files`);
  assertEquals(found, []);
});
