import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { randomUniform } from "../../../src/random.ts";
import { holm } from "../../../src/statistics/significance.ts";
import {
  comparePair,
  judge,
  ratioOfMedians,
  type Verdict,
} from "../../../src/measure/comparison/verdict.ts";
import { type NoiseOptions, noisySamples } from "../synthetic.ts";

function steady(factor: number, count = 40): number[] {
  return noisySamples({ seed: 3, count, median: 1000, sigma: 0.01, outliers: 0 })
    .map((ns) => factor * ns);
}

Deno.test("judge() calls a clear difference by the candidate's direction", () => {
  const before = { samples: steady(1) };
  assertEquals(judge(comparePair(before, { samples: steady(1.2) })), "slower");
  assertEquals(judge(comparePair(before, { samples: steady(1 / 1.2) })), "faster");
  assertEquals(judge(comparePair(before, { samples: steady(1.01) })), "same");
});

Deno.test("judge() needs the threshold, the same distance both ways", () => {
  const pair = comparePair({ samples: steady(1) }, { samples: steady(1.2) });
  const back = comparePair({ samples: steady(1.2) }, { samples: steady(1) });
  assertEquals([judge(pair, { threshold: 0.18 }), judge(back, { threshold: 0.18 })], [
    "slower",
    "faster",
  ]);
  assertEquals([judge(pair, { threshold: 0.3 }), judge(back, { threshold: 0.3 })], [
    "same",
    "same",
  ]);
  assertThrows(() => judge(pair, { threshold: 0 }), RangeError, "threshold is 0");
  assertThrows(() => judge(pair, { threshold: NaN }), RangeError, "threshold is NaN");
});

Deno.test("judge() needs every part to agree in sign", () => {
  const pair = comparePair({ samples: steady(1) }, { samples: steady(1.2) });
  assertEquals(pair.partRatios.length, 5);
  assertEquals(judge({ ...pair, partRatios: [1.2, 1.2, 0.99, 1.2, 1.2] }), "ambiguous");
});

Deno.test("judge() needs the interval to exclude 1", () => {
  const pair = comparePair({ samples: steady(1) }, { samples: steady(1.2) });
  assertEquals(judge({ ...pair, interval: { low: 0.99, high: 1.4 } }), "ambiguous");
  assertEquals(judge({ ...pair, interval: undefined }), "ambiguous");
});

Deno.test("judge() needs the rank test after correction", () => {
  const pair = comparePair({ samples: steady(1) }, { samples: steady(1.2) });
  assertEquals(judge(pair, { correctedPValue: 0.06 }), "ambiguous");
  assertEquals(judge(pair, { correctedPValue: 0.04 }), "slower");
});

Deno.test("judge() needs more than what the runs wander by themselves", () => {
  const before = steady(1);
  const wandering = steady(1.03).map((ns, i) => ns * (i < 20 ? 1 : 1.3));
  const pair = comparePair({ samples: before }, { samples: wandering });
  assert(pair.wander > 0.1, `wander is ${pair.wander}`);
  assertEquals(judge(pair), "ambiguous");
  assertEquals(judge({ ...pair, wander: 0 }), "slower");
  assert(comparePair({ samples: before }, { samples: steady(1.1) }).wander < 0.02);
});

Deno.test("judge() takes a slower clock for what it is, on one machine only", () => {
  const before = { samples: steady(1), throttleSamples: steady(1, 10) };
  const after = { samples: steady(1.2), throttleSamples: steady(1.19, 10) };
  const pair = comparePair(before, after);
  assertEquals(judge(pair, { sameMachine: true }), "ambiguous");
  assertEquals(judge(pair), "slower");
  // A faster clock cannot turn equal times into a regression.
  const boosted = { samples: steady(1), throttleSamples: steady(0.5, 10) };
  assertEquals(judge(comparePair(before, boosted), { sameMachine: true }), "same");
});

Deno.test("judge() believes no change that the CPU did not spend, on one machine only", () => {
  const before = { samples: steady(1), cpuSamples: steady(2) };
  const crowded = comparePair(before, { samples: steady(1.5), cpuSamples: steady(2.02) });
  assertEquals(judge(crowded, { sameMachine: true }), "ambiguous");
  assertEquals(judge(crowded), "slower");
  const heavier = comparePair(before, { samples: steady(1.5), cpuSamples: steady(2.9) });
  assertEquals(judge(heavier, { sameMachine: true }), "slower");
  // CPU time alone makes no verdict.
  const wasteful = comparePair(before, { samples: steady(1), cpuSamples: steady(3) });
  assertEquals(judge(wasteful, { sameMachine: true }), "same");
});

Deno.test("judge() asks for more where the machine itself has changed", () => {
  const before = { samples: steady(1), throttleSamples: steady(1, 10) };
  const change = (factor: number) =>
    comparePair(before, { samples: steady(factor), throttleSamples: steady(0.6, 10) });
  assertEquals(judge(change(0.5), { sameMachine: true }), "ambiguous");
  assertEquals(judge(change(0.3), { sameMachine: true }), "faster");
  assertEquals(judge(change(0.5)), "faster");
});

Deno.test("judge() says no data for empty lists, and ambiguous for very short ones", () => {
  const full = { samples: steady(1) };
  for (const [a, b] of [[full, { samples: [] }], [{ samples: [] }, full]] as const) {
    const pair = comparePair(a, b);
    assertEquals([pair.ratio, pair.interval, pair.pValue], [undefined, undefined, undefined]);
    assertEquals(judge(pair), "no data");
  }
  assertEquals(judge(comparePair({ samples: [1] }, { samples: [9] })), "ambiguous");
});

Deno.test("comparePair() cuts at the ends of rounds", () => {
  const values = (rounds: number[]) =>
    rounds.flatMap((size, round) => Array(size).fill(round + 1) as number[]);
  const [before, after] = [[10, 10, 10, 10, 10], [4, 16, 10, 10, 10]];
  const pair = comparePair(
    { samples: values(before), rounds: before },
    { samples: values(after), rounds: after },
  );
  assertEquals(pair.partRatios, [1, 1, 1, 1, 1]);
  // Without the rounds, the first tenth of the second run is mostly of its second round.
  const blind = comparePair({ samples: values(before) }, { samples: values(after) });
  assertEquals(blind.partRatios, [2, 1, 1, 1, 1]);
});

Deno.test("ratioOfMedians() is seeded, and its interval holds the true ratio", () => {
  let held = 0;
  const trials = 200;
  for (let seed = 0; seed < trials; seed++) {
    const slow = noisySamples({ seed, count: 40, median: 130, sigma: 0.1, outliers: 0 });
    const fast = noisySamples({
      seed: seed + 5000,
      count: 50,
      median: 100,
      sigma: 0.1,
      outliers: 0,
    });
    const { interval } = ratioOfMedians(slow, fast)!;
    assertEquals(ratioOfMedians(slow, fast)!.interval, interval);
    if (interval!.low <= 1.3 && interval!.high >= 1.3) held++;
  }
  // 95 % with a standard error of 1.5 %; percentile intervals fall short a little at this size.
  assert(held >= 0.9 * trials, `held ${held}`);
  assertEquals(ratioOfMedians([], [1]), undefined);
  assertEquals(ratioOfMedians([1], [2])!.interval, undefined);
});

interface World extends Omit<NoiseOptions, "seed" | "count" | "median" | "drift"> {
  /** The greatest drift of a run, in either direction. */
  readonly greatestDrift: number;
  /** How often another program slows a part of a run by 10 to 30 %. */
  readonly bursts: number;
}

function run(world: World, options: { seed: number; count: number; median: number }): number[] {
  const { greatestDrift, bursts, ...noise } = world;
  const [drift, burst, start, length, force] = randomUniform({
    seed: options.seed + 5e7,
    length: 5,
  });
  const samples = noisySamples({ ...noise, ...options, drift: (2 * drift! - 1) * greatestDrift });
  if (burst! >= bursts) return samples;
  const from = Math.floor(start! * 0.8 * samples.length);
  const to = from + Math.floor((0.1 + 0.4 * length!) * samples.length);
  return samples.map((ns, i) => i >= from && i < to ? ns * (1.1 + 0.2 * force!) : ns);
}

/** The verdicts of one table of comparisons of made-up runs, corrected over the table. */
function verdicts(
  world: World,
  options: { count: number; factor: number; comparisons: number },
): Record<Verdict, number> {
  const { count, factor, comparisons } = options;
  const pairs = Array.from({ length: comparisons }, (_, i) =>
    comparePair(
      { samples: run(world, { seed: 31 * i + 1, count, median: 1e5 }) },
      { samples: run(world, { seed: 31 * i + 1e6, count, median: 1e5 * factor }) },
    ));
  const corrected = holm(pairs.map(({ pValue }) => pValue));
  const found = { faster: 0, slower: 0, same: 0, ambiguous: 0, "no data": 0 };
  for (const [i, pair] of pairs.entries()) found[judge(pair, { correctedPValue: corrected[i] })]++;
  return found;
}

// What differs from run to run on one machine: the whole level (runSigma), a drift, other programs.
const calm: World = { sigma: 0.02, runSigma: 0.01, greatestDrift: 0.01, bursts: 0 };
const usual: World = { sigma: 0.03, runSigma: 0.015, greatestDrift: 0.03, bursts: 0.05 };
const shared: World = {
  sigma: 0.06,
  runSigma: 0.015,
  greatestDrift: 0.03,
  bursts: 0.3,
  outliers: 0.05,
};

for (const [name, world] of Object.entries({ calm, usual, shared })) {
  Deno.test(`judge() calls equal runs on a ${name} machine same or ambiguous, 95 in 100 times`, () => {
    for (const count of [15, 60]) {
      const found = verdicts(world, { count, factor: 1, comparisons: 200 });
      assert(found.faster + found.slower <= 10, `${count} samples: ${JSON.stringify(found)}`);
      assertEquals(found["no data"], 0);
    }
  });
}

Deno.test("judge() finds a change of 10 %: 9 times in 10 with 20 samples on a calm machine, 3 in 4 with 60 on a usual one", () => {
  for (const [world, count, power] of [[calm, 20, 180], [usual, 60, 150]] as const) {
    const slower = verdicts(world, { count, factor: 1.1, comparisons: 200 });
    const faster = verdicts(world, { count, factor: 1 / 1.1, comparisons: 200 });
    assert(slower.slower >= power && slower.faster === 0, JSON.stringify(slower));
    assert(faster.faster >= power && faster.slower === 0, JSON.stringify(faster));
  }
});

Deno.test("judge() calls equal runs on a calm machine same, not merely ambiguous", () => {
  const found = verdicts(calm, { count: 60, factor: 1, comparisons: 100 });
  assert(found.same >= 90, JSON.stringify(found));
});
