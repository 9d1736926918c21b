/** The numbered statements of src/reference/theory.md and their citations match. */
import { readdir } from "node:fs/promises";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { testWith } from "../support/permitted.ts";

const test = testWith("read");

const root = new URL("../../", import.meta.url);

/** The statements cited in comments and test names; ranges such as "A1 to A4" expanded. */
function citedIn(text: string): string[] {
  return [...text.matchAll(/\b([ANSV])([1-9])(?: to \1([1-9]))?\b/g)].flatMap((
    [, group, first, last = first],
  ) => Array.from({ length: +last! - +first! + 1 }, (_, i) => `${group}${+first! + i}`));
}

Deno.test("citedIn() finds single statements and ranges", () => {
  assertEquals(citedIn("obeys A1 to A3 and V2, but BA1, A0 and N12 are none"), [
    ...["A1", "A2", "A3"],
    "V2",
  ]);
});

test("every statement of the theory is tested", async () => {
  const theory = await Deno.readTextFile(new URL("src/reference/theory.md", root));
  const statements = [...theory.matchAll(/^\| ([ANSV]\d) /gm)].map(([, number]) => number!);
  assert(statements.length >= 16, `${statements.length} statements`);
  const cited = new Set<string>();
  for (const room of ["reference", "ops", "sinks", "support/properties"]) {
    const folder = new URL(`tests/${room}/`, root);
    for (const name of await readdir(folder, { recursive: true })) {
      if (!name.endsWith(".ts") || name === "theory_test.ts") continue;
      for (const number of citedIn(await Deno.readTextFile(new URL(name, folder)))) {
        cited.add(number);
      }
    }
  }
  assertEquals(statements.filter((number) => !cited.has(number)), [], "not tested");
  assertEquals([...cited].filter((number) => !statements.includes(number)), [], "not stated");
});
