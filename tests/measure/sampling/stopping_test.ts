import { randomNormal } from "../../../src/random.ts";
import {
  isNoiseStable,
  relativeHalfWidth,
  type StoppingRule,
  stopReason,
} from "../../../src/measure/sampling/stopping.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

const rule: StoppingRule = {
  targetHalfWidth: 0.01,
  minimumSamples: 10,
  maximumSamples: 200,
  budget: 1e9,
};

function noisy(length: number, relative: number): number[] {
  const noise = randomNormal({ seed: 3, length, standardDeviation: relative });
  return Array.from(noise, (deviation) => 1000 * (1 + deviation));
}

// Returns how many samples the rule takes, each in `each` ns, and the reason why it stops.
function sampled(
  samples: readonly number[],
  { each = 0, ...changes }: Partial<StoppingRule> & { each?: number } = {},
): [count: number, reason: string | undefined] {
  for (let count = 1; count <= samples.length; count++) {
    const reason = stopReason(samples.slice(0, count), {
      rule: { ...rule, ...changes },
      elapsed: count * each,
    });
    if (reason !== undefined) return [count, reason];
  }
  return [samples.length, undefined];
}

Deno.test("stopReason() ends a quiet series at the least number of samples", () => {
  assertEquals(sampled(noisy(300, 0.001)), [10, "precise"]);
});

Deno.test("stopReason() goes on while the interval is too wide, and then stops as precise", () => {
  const samples = noisy(300, 0.03);
  const [count, reason] = sampled(samples, { maximumSamples: 1000 });
  assert(count > 10, `stopped after ${count}`);
  const width = relativeHalfWidth(samples.slice(0, count))!;
  assertEquals(reason, width <= 0.01 ? "precise" : "stable");
  assert(relativeHalfWidth(samples.slice(0, count - 1))! > 0.01);
});

Deno.test("stopReason() ends a noisy series when the noise no longer changes", () => {
  const samples = noisy(400, 0.3);
  const [count, reason] = sampled(samples, { maximumSamples: 1000 });
  assertEquals(reason, "stable");
  assert(count >= 27 && count < 400, `stopped after ${count}`);
  assert(isNoiseStable(samples.slice(0, count)));
  assert(!isNoiseStable(samples.slice(0, count - 1)));
});

Deno.test("stopReason() does not call growing noise stable", () => {
  // The spread doubles every six samples.
  const growing = Array.from({ length: 60 }, (_, i) => 1000 + (i % 2 ? 1 : -1) * 2 ** (i / 6));
  for (let count = 1; count <= 50; count++) assert(!isNoiseStable(growing.slice(0, count)));
});

Deno.test("stopReason() ends with the budget, but not before an interval is possible", () => {
  const samples = noisy(300, 0.3);
  assertEquals(sampled(samples, { each: 1e8 }), [10, "budget"]);
  // The budget ends after four samples. But an interval needs six samples, and the rule allows
  // three times the budget for them.
  assertEquals(sampled(samples, { each: 2.5e8 }), [6, "budget"]);
  // Even three times the budget ends after two samples.
  assertEquals(sampled(samples, { each: 2e9 }), [2, "budget"]);
});

Deno.test("stopReason() ends at the greatest number of samples", () => {
  assertEquals(sampled(noisy(300, 0.3), { maximumSamples: 15 }), [15, "samples"]);
});

Deno.test("relativeHalfWidth() has no data below six samples", () => {
  assertEquals(relativeHalfWidth([]), undefined);
  assertEquals(relativeHalfWidth([1, 2, 3, 4, 5]), undefined);
  // The interval of six samples runs from 1 to 6: half of its width 5, divided by the median 3.5.
  assertEquals(relativeHalfWidth([6, 5, 4, 3, 2, 1]), 2.5 / 3.5);
});
