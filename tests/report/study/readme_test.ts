/** The README's table of claims equals the one that the report makes from the stored runs. */
import { fileURLToPath } from "node:url";
import { assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { type ClaimResult, judgeClaims } from "../../../src/experiments/study/claims/judge.ts";
import { mergeStudy } from "../../../src/experiments/study/merge.ts";
import { readStudyFolder } from "../../../src/experiments/study/record_store.ts";
import { formatEvidence } from "../../../src/report/study/tables.ts";
import { headline, VERDICT_FORMS, verdictLegend } from "../../../src/report/study/verdicts.ts";
import { escapeMarkdown } from "../../../src/report/table.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read");

const root = new URL("../../../", import.meta.url);

/** The settings in the README, in the order of its columns. */
const SHOWN = ["shallow", "deep"] as const;

function cell(claim: ClaimResult): string {
  return `${VERDICT_FORMS[claim.verdict].sign} ${formatEvidence(headline(claim)!)}`;
}

function rowsOf(claims: readonly ClaimResult[]): string[][] {
  const titles = [...new Map(claims.map((claim) => [claim.id, claim])).values()];
  return titles.map(({ id, title, paper }) => {
    const each = SHOWN.map((setting) =>
      claims.find((claim) => claim.id === id && claim.setting === setting)!
    );
    const label = headline(each[0]!)!.label
      .replace(/, (at equal step|sink layer|median over layers|worst comparison of a run)$/, "");
    return [`**${escapeMarkdown(title)}**: ${escapeMarkdown(label)}`, ...each.map(cell), paper]
      .map((text, i) => i === 0 ? text : escapeMarkdown(text));
  });
}

test("the README's claims are those of deno task study report fixtures/study", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const block = readme.split("<!-- claims -->")[1]!.split("<!-- /claims -->")[0]!;
  const { records } = await readStudyFolder(fileURLToPath(new URL("fixtures/study", root)));
  const study = mergeStudy(records);
  const claims = judgeClaims(study);
  const shown = claims.filter(({ setting }) => (SHOWN as readonly string[]).includes(setting));
  const table = block.split("\n").filter((line) => line.startsWith("| **"))
    .map((line) => line.slice(1, -1).split(/(?<!\\)\|/).map((each) => each.trim()));
  const wanted = rowsOf(shown);
  assertEquals(
    table,
    wanted,
    `wanted in README.md:\n${wanted.map((row) => `| ${row.join(" | ")} |`).join("\n")}`,
  );
  const legend = block.replaceAll(/\s+/g, " ");
  for (const line of verdictLegend(shown)) assertStringIncludes(legend, escapeMarkdown(line));
});
