import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { randomNormal, randomUniform } from "../../src/random.ts";
import {
  median,
  medianInterval,
  orderStatisticInterval,
  outlierCount,
  summarize,
} from "../../src/statistics/summary.ts";
import { blockLength, bootstrapMedians } from "../../src/statistics/bootstrap.ts";
import { isMultimodal } from "../../src/statistics/modes.ts";
import { holm, normalTail } from "../../src/statistics/significance.ts";
import { noisySamples } from "../measure/synthetic.ts";

function assertNear(actual: number, expected: number, relative: number): void {
  assert(
    Math.abs(actual - expected) <= relative * Math.abs(expected),
    `${actual} is not within ${relative} of ${expected}`,
  );
}

Deno.test("median() does not depend on the order and does not change its argument", () => {
  const samples = Object.freeze([5, 1, 4, 10]);
  assertEquals(median(samples), 4.5);
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([]), undefined);
});

Deno.test("orderStatisticInterval() takes the ranks of the textbook's table", () => {
  // From Conover, Practical Nonparametric Statistics: the number of samples, and the rank of the
  // sample at which the median's 95 % interval begins.
  const ranks: [number, number][] = [[6, 1], [8, 1], [9, 2], [12, 3], [15, 4], [20, 6], [25, 8], [
    50,
    18,
  ]];
  for (const [n, rank] of ranks) {
    const samples = Array.from({ length: n }, (_, i) => n - i);
    assertEquals(orderStatisticInterval(samples), { low: rank, high: n + 1 - rank });
  }
  assertEquals(orderStatisticInterval([1, 2, 3, 4, 5]), undefined);
  assertEquals(orderStatisticInterval([]), undefined);
});

/** The share of 400 drawn lists whose interval contains the true median, `truth`. */
function coverage(count: number, draw: (seed: number) => number[], truth: number): number {
  let held = 0;
  const trials = 400;
  for (let seed = 0; seed < trials; seed++) {
    const interval = medianInterval(draw(seed), { seed });
    if (interval !== undefined && interval.low <= truth && truth <= interval.high) held++;
  }
  assert(count > 0);
  return held / trials;
}

Deno.test("medianInterval() covers the true median about 95 times in 100", () => {
  // A coverage of 95 %, found by 400 trials, has a standard error of 1.1 %. So 91.5 % is more than
  // three standard errors below it. With so few samples, percentile intervals are known to cover 1
  // or 2 % less than promised.
  for (const count of [8, 25, 60]) {
    const found = coverage(
      count,
      (seed) => noisySamples({ seed: 1000 + seed, count, median: 100, sigma: 0.1, outliers: 0 }),
      100,
    );
    assert(found >= 0.915, `${count} samples: ${found}`);
  }
});

Deno.test("medianInterval() widens for samples that resemble their neighbors", () => {
  // A first-order autoregression with correlation 0.8 and a median of 100.
  const draw = (seed: number) => {
    const normal = randomNormal({ seed: 5000 + seed, length: 150 });
    let state = 0;
    return Array.from(normal, (z) => 100 + (state = 0.8 * state + z));
  };
  assert(blockLength(draw(1)) > 3);
  // A plain bootstrap, with blocks of 1, covers the median in fewer than 60 % of trials.
  assert(coverage(150, draw, 100) > 0.82);
});

Deno.test("blockLength() is 1 for independent samples and bounded for a trend", () => {
  const lengths = Array.from(
    { length: 20 },
    (_, seed) => blockLength(Array.from(randomUniform({ seed, length: 100 }))),
  );
  assert(lengths.filter((length) => length === 1).length >= 10, lengths.join());
  assert(Math.max(...lengths) <= 3);
  assertEquals(blockLength(Array.from({ length: 100 }, (_, i) => i)), 20);
  assertEquals(blockLength([7, 7, 7]), 1);
  assertEquals(blockLength(Array(50).fill(7)) >= 1, true);
});

Deno.test("bootstrapMedians() agrees with the exact distribution of a resampled median", () => {
  // Efron (1979): the median of a resample of x1 < x2 < x3 is x1 or x3 with probability 7/27 each.
  const medians = bootstrapMedians([3, 1, 2], 7);
  const share = (value: number) =>
    medians.filter((found) => found === value).length / medians.length;
  // A share of 2,000 draws has a standard error of at most 1.1 %.
  assert(Math.abs(share(1) - 7 / 27) < 0.035 && Math.abs(share(3) - 7 / 27) < 0.035);
  assertEquals(bootstrapMedians([3, 1, 2], 7), medians);
  assertEquals(new Set(bootstrapMedians([1, 2], 3)), new Set([1, 1.5, 2]));
});

Deno.test("outlierCount() counts beyond Tukey's fences", () => {
  // By linear interpolation the quartiles are 2 and 4, so the fences are at −1 and 7.
  assertEquals(outlierCount([1, 2, 3, 4, 7]), 0);
  assertEquals(outlierCount([1, 2, 3, 4, 7.1]), 1);
  assertEquals(outlierCount([-1.1, 2, 3, 4, 4]), 1);
  assertEquals(outlierCount([1, 1, 1]), 0);
  assertEquals(outlierCount([]), 0);
});

Deno.test("isMultimodal() finds two hills, and rarely mistakes one for two", () => {
  for (const count of [30, 100, 400]) {
    let falseAlarms = 0;
    let found = 0;
    let smallFound = 0;
    const trials = 100;
    for (let seed = 0; seed < trials; seed++) {
      const one = noisySamples({ seed, count, median: 1000, sigma: 0.03, outliers: 0.03 });
      if (isMultimodal(one)) falseAlarms++;
      // The next line moves half of the samples to a second hill, 6 standard deviations away. The
      // line after it moves only a fifth of them, 8 standard deviations away.
      if (isMultimodal(one.map((ns, i) => i % 2 === 0 ? ns : ns * 1.2))) found++;
      if (isMultimodal(one.map((ns, i) => i % 5 !== 0 ? ns : ns * 1.27))) smallFound++;
    }
    assert(falseAlarms <= 0.08 * trials, `${count} samples: ${falseAlarms} false alarms`);
    assert(found >= 0.85 * trials, `${count} samples: found ${found}`);
    assert(smallFound >= 0.85 * trials, `${count} samples: found ${smallFound} small hills`);
  }
  assertEquals(isMultimodal([]), false);
  assertEquals(isMultimodal(Array(50).fill(3)), false);
});

Deno.test("normalTail() keeps its digits far out", () => {
  // Q(z), the probability that a normal value exceeds z, from the error function to 20 digits.
  const known: [number, number][] = [
    [0, 0.5],
    [1, 0.15865525393145705],
    [1.959963984540054, 0.025],
    [2.9999999, 0.0013498984748150],
    [3, 0.0013498980316300946],
    [5, 2.866515718791939e-7],
    [10, 7.619853024160526e-24],
    [30, 4.906713927148187e-198],
  ];
  for (const [z, tail] of known) {
    assertNear(normalTail(z), tail, 1e-9);
    assertNear(normalTail(-z), 1 - tail, 1e-12);
  }
});

Deno.test("holm() gives the step-down values and skips what has no data", () => {
  // Worked out by hand, from the smallest p-value to the largest: 0.005 × 4, 0.01 × 3, 0.03 × 2,
  // max(0.06, 0.04 × 1). R agrees.
  const corrected = holm([0.01, 0.04, undefined, 0.03, 0.005]);
  const expected = [0.03, 0.06, undefined, 0.06, 0.02];
  for (const [i, value] of expected.entries()) {
    if (value === undefined) assertEquals(corrected[i], undefined);
    else assertNear(corrected[i]!, value, 1e-12);
  }
  assertEquals(holm([0.9, 0.8]), [1, 1]);
  assertEquals(holm([]), []);
  assertEquals(holm([undefined]), [undefined]);
});

Deno.test("summarize() reports missing data as such, never as NaN", () => {
  assertEquals(summarize([]), {
    count: 0,
    median: undefined,
    interval: undefined,
    relativeHalfWidth: undefined,
    outliers: 0,
    multimodal: false,
  });
  assertEquals(summarize([5]).median, 5);
  assertEquals(summarize([5]).interval, undefined);
  assertEquals(summarize(Array(30).fill(5)).relativeHalfWidth, 0);
  assertThrows(() => medianInterval([1, 2, 3], { confidence: 95 }), RangeError, "confidence is 95");
});
