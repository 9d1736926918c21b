import { assert, assertEquals } from "../../support/assert/assert.ts";
import fc from "fast-check";
import {
  armName,
  interventionOf,
  listArms,
  parseNames,
  parseSeeds,
  parseShard,
  STUDY_SETTINGS,
  STUDY_VARIANTS,
  type StudyArm,
} from "../../../src/experiments/study/arms.ts";

const everything = { settings: STUDY_SETTINGS, variants: STUDY_VARIANTS, seeds: [1, 2, 3, 4, 5] };

Deno.test("listArms() lists arms seed by seed, each once", () => {
  const arms = listArms(everything);
  assertEquals(arms.length, STUDY_SETTINGS.length * STUDY_VARIANTS.length * 5);
  assertEquals(new Set(arms.map(armName)).size, arms.length);
  assertEquals(arms.map(({ seed }) => seed), arms.map(({ seed }) => seed).toSorted());
});

Deno.test("listArms() makes shards that are disjoint, complete, and keep pairs together", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), (count) => {
    const shards = Array.from(
      { length: count },
      (_, i) => listArms(everything, { index: i + 1, count }),
    );
    const names = shards.flat().map(armName).toSorted();
    assertEquals(names, listArms(everything).map(armName).toSorted());
    const sizes = shards.map((arms) => arms.length);
    assert(Math.max(...sizes) - Math.min(...sizes) <= STUDY_VARIANTS.length);
    for (const arms of shards) {
      const blocks = Map.groupBy(arms, ({ setting, seed }: StudyArm) => `${setting} ${seed}`);
      for (const [, block] of blocks) assertEquals(block.length, STUDY_VARIANTS.length);
    }
  }));
});

Deno.test("interventionOf() gives each variant one part that the baseline lacks", () => {
  const models = STUDY_VARIANTS.map((variant) => JSON.stringify(interventionOf(variant)));
  assertEquals(new Set(models).size, models.length);
  assertEquals(interventionOf("none"), { vScale: "none" });
  for (const variant of STUDY_VARIANTS.slice(1)) {
    const { vScale, sinkLogit = "none", attentionGate = "none" } = interventionOf(variant);
    assertEquals(
      [vScale, sinkLogit, attentionGate].filter((each) => each !== "none").length,
      1,
      variant,
    );
  }
});

Deno.test("listArms() counts shards from 1", () => {
  const selection = { ...everything, settings: ["shallow", "deep"] as const, seeds: [1, 2] };
  const first = (index: number) => armName(listArms(selection, { index, count: 3 })[0]!);
  assertEquals([1, 2, 3].map(first), [
    "shallow-none-seed1",
    "deep-none-seed1",
    "shallow-none-seed2",
  ]);
});

Deno.test("parseNames(), parseSeeds() and parseShard() refuse malformed values", () => {
  assertEquals(parseNames("learned, none", STUDY_VARIANTS), ["none", "learned"]);
  for (const text of ["", "nine", "none,none", "none,,learned"]) {
    assertEquals(parseNames(text, STUDY_VARIANTS), undefined, text);
  }
  assertEquals(parseSeeds("3"), [1, 2, 3]);
  assertEquals(parseSeeds("6-8"), [6, 7, 8]);
  for (const text of ["0", "", "x", "3-2", "1-99999", "1.5", "-3", "1,2"]) {
    assertEquals(parseSeeds(text), undefined, text);
  }
  assertEquals(parseShard("2/8"), { index: 2, count: 8 });
  for (const text of ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3"]) {
    assertEquals(parseShard(text), undefined, text);
  }
});
