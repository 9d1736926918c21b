import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { judgeClaims } from "../../../src/experiments/study/claims/judge.ts";
import { mergeStudy } from "../../../src/experiments/study/merge.ts";
import { readStudyFolder } from "../../../src/experiments/study/record_store.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read");

const folder = new URL("../../../fixtures/study", import.meta.url);

test("fixtures/study holds real runs, sufficient for a report", async () => {
  const { records, problems } = await readStudyFolder(fileURLToPath(folder));
  assertEquals(problems, []);
  const study = mergeStudy(records);
  assertEquals(study.missing, []);
  assertEquals(
    study.warnings.filter((each) => !/measured by a later commit|of different commits/.test(each)),
    [],
  );
  for (const { setting, variants, seeds, records } of study.groups) {
    assert(seeds.length >= 5, `${setting} has ${seeds.length} seeds`);
    assertEquals(records.length, variants.length * seeds.length);
  }
  const adapters = study.adapters.filter((adapter) => /made up/.test(adapter));
  assertEquals(adapters, []);
  const verdicts = judgeClaims(study).map(({ verdict }) => verdict);
  assert(verdicts.includes("reproduced"));
  for (const { record } of records) {
    assertEquals(record.final!.theory!.checks.filter(({ violations }) => violations > 0), []);
    assert(record.final!.quantization !== null);
  }
});
