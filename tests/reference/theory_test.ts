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

/** A program's string literals, such as names of tests and labels of checks. */
function textsIn(program: string): string {
  const tokens = /\/\*.*?\*\/|\/\/[^\n]*|(["'`])(?:\\.|(?!\1).)*\1/gs;
  return [...program.matchAll(tokens)].filter(([, quote]) => quote).map(([text]) => text).join(
    "\n",
  );
}

Deno.test("textsIn() finds texts, and skips comments and names", () => {
  const program =
    `/** A1 "A2" */ const A3 = "A4 \\" A5"; // 'A6'\n check(\`A7 // \n A8\`, 'it"s N1'); N2`;
  assertEquals(citedIn(textsIn(program)), ["A4", "A5", "A7", "A8", "N1"]);
});

test("every statement of the theory is tested", async () => {
  const theory = await Deno.readTextFile(new URL("src/reference/theory.md", root));
  const statements = [...theory.matchAll(/^\| ([ANSV]\d) /gm)].map(([, number]) => number!);
  assert(statements.length >= 16, `${statements.length} statements`);
  const cited = new Set<string>(), labeled = new Set<string>();
  for (const room of ["reference", "ops", "sinks", "support"]) {
    const folder = new URL(`tests/${room}/`, root);
    for (const name of await readdir(folder, { recursive: true })) {
      if (!name.endsWith(".ts") || name === "theory_test.ts") continue;
      const program = await Deno.readTextFile(new URL(name, folder));
      for (const number of citedIn(program)) cited.add(number);
      // Each number must stand by itself in a test's name or a check's label. Comments and ranges,
      // such as "obeys A1 to A4", only claim that the statements are tested.
      const labels = textsIn(program).replaceAll(/\b[ANSV][1-9] to [ANSV][1-9]\b/g, "");
      for (const number of citedIn(labels)) labeled.add(number);
    }
  }
  assertEquals(statements.filter((number) => !labeled.has(number)), [], "not tested");
  assertEquals([...cited].filter((number) => !statements.includes(number)), [], "not stated");
});
