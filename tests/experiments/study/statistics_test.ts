import { assert, assertEquals } from "../../support/assert/assert.ts";
import {
  firstReached,
  signFlipTest,
  summarizeSeeds,
} from "../../../src/experiments/study/statistics.ts";
import { randomNormal } from "../../../src/random.ts";

Deno.test("summarizeSeeds() states the confidence of few seeds", () => {
  assertEquals(summarizeSeeds([]), {
    count: 0,
    median: undefined,
    interval: undefined,
    confidence: undefined,
  });
  assertEquals(summarizeSeeds([7]).interval, undefined);
  const five = summarizeSeeds([5, 1, 4, 2, 3]);
  assertEquals([five.median, five.interval, five.confidence], [3, { low: 1, high: 5 }, 0.9375]);
  const six = summarizeSeeds([6, 5, 1, 4, 2, 3]);
  assertEquals([six.median, six.interval, six.confidence], [3.5, { low: 1, high: 6 }, 0.95]);
});

Deno.test("summarizeSeeds() covers the true median of 5 seeds as often as promised", () => {
  let held = 0;
  const trials = 2000;
  for (let seed = 0; seed < trials; seed++) {
    const { interval } = summarizeSeeds([...randomNormal({ seed, length: 5 })]);
    if (interval!.low <= 0 && 0 <= interval!.high) held++;
  }
  // The limit is four standard errors of the share, which are 0.54 % each.
  assert(Math.abs(held / trials - 0.9375) < 0.022, `${held / trials}`);
});

Deno.test("signFlipTest() tries all choices of signs", () => {
  assertEquals(signFlipTest([]), undefined);
  const all = signFlipTest([0.3, 0.1, 0.2, 0.4, 0.2])!;
  assertEquals([all.greater, all.less, all.twoSided], [1 / 32, 1, 1 / 16]);
  assertEquals([all.positive, all.least, all.method], [5, 1 / 32, "exact"]);
  // By hand: the differences add up to 4. Of the 8 sums ±1 ±2 ±3, 2 are at least 4, 7 are at most
  // 4, and 4 are at least 4 in absolute value.
  const one = signFlipTest([-1, 2, 3])!;
  assertEquals([one.greater, one.less, one.twoSided], [2 / 8, 7 / 8, 4 / 8]);
  const none = signFlipTest([0, 0, 0])!;
  assertEquals([none.greater, none.less, none.twoSided], [1, 1, 1]);
  // Sums that differ only by rounding count as equal.
  assertEquals(signFlipTest([0.1, 0.2, 0.3, -0.3, -0.2, -0.1])!.greater > 0.5, true);
});

Deno.test("signFlipTest() draws signs if there are too many pairs, close to the exact answer", () => {
  const differences = [...randomNormal({ seed: 3, length: 20, mean: 0.3 })];
  const exact = signFlipTest(differences)!;
  // A 21st pair that changes nothing.
  const drawn = signFlipTest([...differences, 0])!;
  assertEquals([exact.method, drawn.method], ["exact", "drawn"]);
  // Five standard errors of a share among 100,000 draws.
  const reach = 5 * Math.sqrt(exact.greater * (1 - exact.greater) / 1e5);
  assert(Math.abs(drawn.greater - exact.greater) < reach, `${drawn.greater} ${exact.greater}`);
  assertEquals(drawn.greater, signFlipTest([...differences, 0])!.greater);
});

Deno.test("firstReached() returns measured steps only", () => {
  const series = [{ step: 0, value: 0.1 }, { step: 50, value: 0.29 }, { step: 100, value: 0.31 }];
  assertEquals(firstReached(series, 0.3), 100);
  assertEquals(firstReached(series, 0.29), 50);
  assertEquals(firstReached(series, 0.5), undefined);
});
