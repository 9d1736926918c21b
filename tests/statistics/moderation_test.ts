import { randomNormal } from "../../src/random.ts";
import { digamma, moderateVariances, trigamma } from "../../src/statistics/moderation.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { near } from "../support/assert/near.ts";

/** Draws three normal values for each standard deviation, and returns their variances. */
function variances(seed: number, deviations: readonly number[]) {
  const normal = randomNormal({ seed, length: 3 * deviations.length });
  return deviations.map((sigma, i) => {
    const values = [0, 1, 2].map((j) => sigma * normal[3 * i + j]!);
    const mean = (values[0]! + values[1]! + values[2]!) / 3;
    return { variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 2, df: 2 };
  });
}

Deno.test("digamma() and trigamma() have the known values at 1 and at a half", () => {
  near(digamma(1), -0.5772156649015329, 1e-10);
  near(digamma(0.5), -0.5772156649015329 - 2 * Math.LN2, 1e-10);
  near(trigamma(1), Math.PI ** 2 / 6, 1e-9);
  near(trigamma(0.5), Math.PI ** 2 / 2, 1e-9);
});

Deno.test("moderateVariances() finds one common variance, with no more degrees of freedom than all rows have", () => {
  const rows = variances(5, Array(200).fill(2));
  const found = moderateVariances(rows);
  // Without moderation, a variance with two degrees of freedom can be off by a factor of 20.
  for (const { variance, df } of found) {
    near(variance, 4, 0.25);
    assert(df > 20 && df <= 400, `${df}`);
  }
  assert(rows.some(({ variance }) => variance < 4 / 20));
});

Deno.test("moderateVariances() keeps variances apart that differ by more than chance", () => {
  const quiet = Array(20).fill(1) as number[];
  const found = moderateVariances(variances(9, [...quiet, ...quiet.map(() => 30)]));
  const mean = (list: readonly { variance: number }[]) =>
    list.reduce((sum, { variance }) => sum + variance, 0) / list.length;
  assert(mean(found.slice(20)) > 50 * mean(found.slice(0, 20)));
  assert(found.every(({ df }) => df < 4), "hardly more than the rows' own");
});

Deno.test("moderateVariances() leaves few rows unchanged, fills in rows without data, and accepts zeros", () => {
  const three = variances(1, [1, 2, 3]);
  assertEquals(moderateVariances(three), three);
  const rows = [...variances(1, Array(9).fill(1)), { variance: 0, df: 0 }];
  const last = moderateVariances(rows).at(-1)!;
  assert(last.df > 2 && last.variance > 0.2 && last.variance < 5, JSON.stringify(last));
  const zero = Array(5).fill({ variance: 0, df: 2 });
  assertEquals(moderateVariances(zero), zero);
  const one = moderateVariances([...variances(3, Array(9).fill(1)), { variance: 0, df: 2 }]);
  assert(one.every(({ variance, df }) => variance > 0 && Number.isFinite(df)));
});
