import { STUDY_VARIANTS } from "../../../src/experiments/study/arms.ts";
import {
  ANCHORED_SCALE,
  DEFAULT_SCALE,
  defaultScale,
  matchedSettings,
  studyRunSettings,
} from "../../../src/experiments/study/settings.ts";
import { checkRunSettings } from "../../../src/experiments/run/settings.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

Deno.test("studyRunSettings() gives all variants the same settings except for their intervention", () => {
  for (const setting of ["shallow", "deep", "text", "text-anchored"] as const) {
    const scale = { ...defaultScale([setting]), corpus: "somewhere" };
    const all = STUDY_VARIANTS.map((variant) =>
      studyRunSettings({ setting, variant, seed: 1 }, scale)
    );
    all.forEach(checkRunSettings);
    for (const each of all) {
      assertEquals(matchedSettings(each, "digest"), matchedSettings(all[0]!, "digest"));
    }
    const models = all.map(({ model }) => JSON.stringify(model));
    assertEquals(new Set(models).size, models.length);
    // Older versions had neither learned sinks nor attention gates. To resume their runs, the
    // settings of a model that has neither must not name them.
    assert(!/sinkLogit|attentionGate/.test(models[0]!), models[0]);
  }
});

Deno.test("studyRunSettings() puts the same first token in front of anchored text", () => {
  const task = (setting: "text" | "text-anchored", firstToken?: number): object =>
    studyRunSettings(
      { setting, variant: "none", seed: 1 },
      { ...DEFAULT_SCALE, corpus: "somewhere", ...firstToken === undefined ? {} : { firstToken } },
    ).task;
  assertEquals(task("text"), { name: "text", context: 128, corpus: "somewhere" });
  assertEquals(task("text", 10), { ...task("text"), firstToken: 10 });
  assertEquals(task("text-anchored"), { ...task("text"), firstToken: 0 });
  assertEquals(task("text-anchored", 10), task("text", 10));
});

Deno.test("defaultScale() differs for text-anchored alone", () => {
  assertEquals(defaultScale(["text-anchored"]), ANCHORED_SCALE);
  assertEquals(defaultScale(["text-anchored", "deep"]), DEFAULT_SCALE);
  assertEquals([ANCHORED_SCALE.steps, ANCHORED_SCALE.batch], [3000, 24]);
});
