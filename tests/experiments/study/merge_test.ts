import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { armName } from "../../../src/experiments/study/arms.ts";
import { mergeStudy, runsOf } from "../../../src/experiments/study/merge.ts";
import { syntheticRecord, syntheticStudy } from "./synthetic.ts";

Deno.test("mergeStudy() merges shards in any order", () => {
  const found = syntheticStudy([3, 1, 2], { names: ["shallow", "deep"] });
  const study = mergeStudy(found);
  assertEquals([study.warnings, study.missing], [[], []]);
  assertEquals(study.groups.map(({ setting }) => setting), ["shallow", "deep"]);
  const arms = (merged: typeof study) =>
    merged.groups.map(({ records }) => records.map(({ arm }) => [arm.seed, arm.variant]));
  assertEquals(arms(mergeStudy(found.toReversed())), arms(study));
  assertEquals(runsOf(study.groups[0]!, "learned").map(({ arm }) => arm.seed), [1, 2, 3]);
});

Deno.test("mergeStudy() names missing arms", () => {
  const found = syntheticStudy([1, 2]).filter(({ record: { arm } }) =>
    !(arm.variant === "learned" && arm.seed === 2)
  );
  assertEquals(mergeStudy(found).missing, ["shallow-learned-seed2"]);
});

Deno.test("mergeStudy() counts an arm once, a complete run before an incomplete one", () => {
  const record = syntheticRecord();
  const half = syntheticRecord({ status: "incomplete" });
  const twice = mergeStudy([{ path: "a", record }, { path: "b", record }]);
  assertEquals(twice.groups[0]!.records.length, 1);
  assertStringIncludes(twice.warnings[0]!, "is there twice with equal figures (a, b)");
  for (const found of [[half, record], [record, half]]) {
    const study = mergeStudy(found.map((each, i) => ({ path: `${i}`, record: each })));
    assertEquals(study.groups[0]!.records, [record]);
    assertEquals(study.warnings, []);
  }
  const [learned, other] = (["paper", "same"] as const).map((world) =>
    syntheticRecord({ variant: "learned", world })
  );
  const differing = mergeStudy([{ path: "a", record: learned! }, { path: "b", record: other! }]);
  assertStringIncludes(differing.warnings[0]!, "with different figures: a counts, b does not");
  const only = mergeStudy([{ path: "a", record: half }]);
  assertEquals(only.groups, []);
  assertStringIncludes(only.warnings[0]!, "is incomplete, at step 500 of 1000: left out");
});

Deno.test("mergeStudy() leaves out runs with unusual settings, and names them", () => {
  const found = syntheticStudy([1, 2, 3]);
  const odd = { path: "odd", record: syntheticRecord({ seed: 4, settings: { batch: 16 } }) };
  const short = { path: "short", record: syntheticRecord({ seed: 5, steps: 500 }) };
  const study = mergeStudy([odd, ...found, short]);
  assertEquals(study.groups[0]!.seeds, [1, 2, 3]);
  assert(
    study.warnings.some((each) =>
      each === "shallow-none-seed4 (odd) is left out, its settings differ: batch is 16, usually 8"
    ),
  );
  assert(study.warnings.some((each) => /steps is 500, usually 1000/.test(each)));
  // At a tie the earliest run counts.
  const tie = mergeStudy([odd, found[0]!]);
  assertEquals(tie.groups[0]!.records, [odd.record]);
});

Deno.test("mergeStudy() warns of different versions, commits and adapters", () => {
  const one = syntheticRecord();
  const two = {
    ...syntheticRecord({ variant: "learned" }),
    suite: { version: "0.2.0", commit: null },
  };
  const three = { ...one, arm: { ...one.arm, seed: 2 }, suite: { version: "0.1.0", commit: null } };
  const merged = (...records: typeof one[]) =>
    mergeStudy(records.map((record, i) => ({ path: `${i}`, record }))).warnings;
  assertStringIncludes(merged(one, two)[0]!, "different versions of gradsink: 0.1.0, 0.2.0");
  assertStringIncludes(
    merged(one, three)[0]!,
    "different commits of gradsink: 0000000000, unknown",
  );
  assertStringIncludes(
    merged(one, { ...two, suite: one.suite, adapter: "another" })[0]!,
    "shallow, seed 1: variants ran on different adapters: made up, another",
  );
});

Deno.test("mergeStudy() names planned arms without any record", () => {
  const found = syntheticStudy([1]);
  const planned = [...found.map(({ record }) => armName(record.arm)), "deep-none-seed1"];
  assertEquals(mergeStudy(found, planned).missing, ["deep-none-seed1"]);
});
