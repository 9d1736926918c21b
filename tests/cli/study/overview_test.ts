/** The overview of a running study, and the time left. */
import { assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { overview } from "../../../src/cli/study/overview.ts";
import { type ArmState, timeLeft } from "../../../src/experiments/study/runner.ts";

function stateOf(change: Partial<ArmState>): ArmState {
  return {
    arm: { setting: "shallow", variant: "none", seed: 1 },
    state: "waiting",
    before: false,
    step: 0,
    steps: 100,
    loss: undefined,
    started: undefined,
    seconds: undefined,
    reason: undefined,
    ...change,
  };
}

Deno.test("timeLeft() uses each setting's own pace", () => {
  const now = 60_000;
  const at = { at: 0, step: 0 };
  assertEquals(timeLeft([stateOf({})], { jobs: 1, now }), undefined);
  const states = [
    // 10 s for 100 steps
    stateOf({ state: "finished", step: 100, started: at, seconds: 10 }),
    stateOf({}),
    // 60 s for 50 steps so far
    stateOf({
      state: "running",
      step: 50,
      started: at,
      arm: { setting: "deep", variant: "none", seed: 1 },
    }),
    stateOf({ arm: { setting: "deep", variant: "none", seed: 2 } }),
  ];
  assertEquals(timeLeft(states, { jobs: 1, now }), 10 + 60 + 120);
  // If all arms run at the same time, the arm with the most time left decides.
  assertEquals(timeLeft(states, { jobs: 4, now }), 120);
  const lines = overview(states, { jobs: 1, now });
  assertStringIncludes(lines[0]!, "37 %  1 finished, 1 running, 2 waiting  3 min 10 s left");
  assertEquals(lines[1], "  deep-none-seed1  step 50 of 100  1 min 0 s left");
});
