import { learningRate } from "../../src/model/schedule.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";

const schedule = { peak: 0.004, warmUp: 10, steps: 110 };

Deno.test("learningRate() rises in equal parts to the peak", () => {
  for (let step = 0; step < 10; step++) {
    assertEquals(learningRate(step, schedule), 0.004 * (step + 1) / 10);
  }
});

Deno.test("learningRate() falls along half a cosine to a tenth, and stays there", () => {
  for (let step = 10; step < 109; step++) {
    assert(learningRate(step + 1, schedule) < learningRate(step, schedule), `step ${step}`);
  }
  const middle = learningRate(59, schedule);
  assert(Math.abs(middle - 0.004 * 0.55) < 1e-12, `half-way it is ${middle}`);
  for (const step of [109, 110, 1e6]) {
    assert(Math.abs(learningRate(step, schedule) - 0.0004) < 1e-15);
  }
  assertEquals(learningRate(70, { ...schedule, floor: 1 }), 0.004);
  assert(Math.abs(learningRate(109, { ...schedule, floor: 0 })) < 1e-15);
});

Deno.test("learningRate() refuses impossible arguments", () => {
  assertThrows(() => learningRate(-1, schedule), RangeError, "step is -1");
  assertThrows(() => learningRate(0, { ...schedule, peak: 0 }), RangeError, "peak is 0");
  assertThrows(() => learningRate(0, { ...schedule, warmUp: 110 }), RangeError, "steps is 110");
  assertThrows(() => learningRate(0, { ...schedule, warmUp: 0.5 }), RangeError, "warmUp is 0.5");
  assertThrows(() => learningRate(0, { ...schedule, floor: 2 }), RangeError, "floor is 2");
});
