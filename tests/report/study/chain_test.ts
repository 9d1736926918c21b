/** The stored tables of the chain equal those that the report makes from the stored runs. */
import { fileURLToPath } from "node:url";
import { CHAIN_MOMENTS } from "../../../src/experiments/study/chain.ts";
import { mergeStudy } from "../../../src/experiments/study/merge.ts";
import { readStudyFolder } from "../../../src/experiments/study/record_store.ts";
import {
  chainPicture,
  chainsOf,
  chainSummaryTable,
  chainTable,
} from "../../../src/report/study/chain.ts";
import { studyFigures } from "../../../src/report/study/figure_files.ts";
import { gap } from "../../../src/report/study/text.ts";
import { createSvgDocument } from "../../../src/report/svg_document.ts";
import { cellText, escapeMarkdown, type Table } from "../../../src/report/table.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { syntheticStudy } from "../../experiments/study/synthetic.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read");

const root = new URL("../../../", import.meta.url);

// The rows of the chain's tables on a page, including their titles.
function storedRows(page: string): string[][] {
  return page.split("<!-- chain -->")[1]!.split("\n").filter((line) => /^\|/.test(line))
    .map((line) => line.slice(1, -1).split(/(?<!\\)\|/).map((each) => each.trim()))
    .filter(([first]) => !/^:?-+:?$/.test(first!));
}

function rowsOf(tables: readonly Table[]): string[][] {
  return tables.flatMap(({ columns, rows }) => [
    columns.map(({ title }) => title),
    ...rows.map((row) => row.map(cellText)),
  ]).map((row) => row.map(escapeMarkdown));
}

test("fixtures/study's chain is that of deno task study report fixtures/study", async () => {
  const folder = new URL("fixtures/study/", root);
  const { records } = await readStudyFolder(fileURLToPath(folder));
  const chain = chainsOf(mergeStudy(records).groups)
    .find(({ setting }) => setting === "shallow")!;
  assertEquals([chain.seeds.length, chain.without], [6, []]);
  const page = await Deno.readTextFile(new URL("README.md", folder));
  const tables = [chainSummaryTable(chain), chainTable(chain, "equal step")];
  const wanted = rowsOf(tables);
  assertEquals(
    storedRows(page),
    wanted,
    `wanted:\n${wanted.map((row) => `| ${row.join(" | ")} |`).join("\n")}`,
  );
});

test("fixtures/chain's tables are those of deno task study report fixtures/chain", async () => {
  const folder = new URL("fixtures/chain/", root);
  const { records, planned, problems } = await readStudyFolder(fileURLToPath(folder));
  assertEquals(problems, []);
  const study = mergeStudy(records, planned);
  const text = await Deno.readTextFile(new URL("README.md", folder));
  const finished = `${records.length} runs, all finished`;
  assertStringIncludes(text.split("\n")[2]!, gap(study)[0]?.split(":")[0] ?? finished);
  const wanted = chainsOf(study.groups).flatMap((chain) => [
    chainSummaryTable(chain),
    ...CHAIN_MOMENTS.map((moment) => chainTable(chain, moment)),
  ]);
  assertEquals(storedRows(text), rowsOf(wanted));
  for (const { name, text } of studyFigures(study, createSvgDocument())) {
    if (!name.endsWith("-chain.svg")) continue;
    assertEquals(await Deno.readTextFile(new URL(name, folder)), text, name);
  }
  for (const name of ["README.md", "fixtures/study/README.md"]) {
    const page = (await Deno.readTextFile(new URL(name, root))).replaceAll(/\s+/g, " ");
    assertStringIncludes(page, "chain/README.md");
  }
});

Deno.test("chainTable() and chainSummaryTable() show verdicts with six seeds, and none with fewer", () => {
  const chains = [6, 2].map((count) => {
    const seeds = Array.from({ length: count }, (_, i) => i + 1);
    return chainsOf(mergeStudy(syntheticStudy(seeds, { names: ["shallow"] })).groups)[0]!;
  });
  const [six, two] = chains.map((chain) => {
    const { caption, rows } = chainTable(chain, "equal step");
    return { caption, cells: rows.map((row) => row.map(cellText)) };
  });
  assertStringIncludes(six!.caption!, "6 seeds");
  assert(six!.cells.flat().some((cell) => / (broken|weaker|stronger)/.test(cell)));
  assert(!two!.cells.flat().some((cell) => / (broken|weaker|stronger|no change)/.test(cell)));
  const [judged, unjudged] = chains.map((chain) => chainSummaryTable(chain).caption!);
  assert(!judged!.includes("No verdict yet"));
  assertStringIncludes(unjudged!, "No verdict yet: with fewer than 6 seeds");
  const picture = chainPicture(chains[0]!, {
    document: createSvgDocument(),
    width: 1120,
    suffix: "",
  })!.picture.text;
  for (const word of ["attention", "value norm", "R_GS", "Bloat", "massive"]) {
    assertStringIncludes(picture, `>${word}<`);
  }
});

Deno.test("chainTable() says how many seeds have a figure where some lack it", () => {
  const records = syntheticStudy([1, 2, 3], { names: ["shallow"] });
  for (const { record } of records) {
    if (record.arm.seed === 2 && record.arm.variant === "none") {
      Object.assign(record.final!, { quantization: null });
    }
  }
  const { rows } = chainTable(chainsOf(mergeStudy(records).groups)[0]!, "equal step");
  for (const [title, , ...cells] of rows.map((row) => row.map(cellText))) {
    const said = cells.filter((cell) => cell.endsWith(", 2 of 3 seeds"));
    assertEquals(said.length, title!.startsWith("loss increase") ? cells.length : 0, title);
  }
});
