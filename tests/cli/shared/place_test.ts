/** Paths from the command line, in every form in which people give them. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../../../src/cli/shared/arguments.ts";
import { absolutePath } from "../../../src/cli/shared/place.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

testWith("read")("absolutePath() takes paths as they are, and decodes the URL of a file", () => {
  const here = Deno.cwd();
  for (const name of ["a b", "50%20.json", "x#1?.json", "é", "e\u0301", "a~", "~a", "-", "x:y"]) {
    const path = join(here, name);
    assertEquals(absolutePath(name), path);
    assertEquals(absolutePath(`./${name}/`), path);
    assertEquals(absolutePath(path), path);
    assertEquals(absolutePath(pathToFileURL(path).href), path);
  }
  assertEquals(absolutePath("./~/a"), join(here, "~", "a"));
  assertEquals(absolutePath(pathToFileURL(here).href.replace("file:", "FILE:")), here);
});

Deno.test("absolutePath() refuses a ~ that no shell replaced, and URLs of no local file", () => {
  for (const path of ["~", "~/a.json", "~\\a.json"]) {
    assertThrows(() => absolutePath(path), UsageError, "begins with ~");
  }
  const urls = ["file:///a%2Fb", ...Deno.build.os === "windows" ? [] : ["file://server/share/a"]];
  for (const url of urls) assertThrows(() => absolutePath(url), UsageError, "is no file's URL");
});
