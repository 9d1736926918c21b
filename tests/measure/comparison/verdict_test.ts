import { comparePair, type PairComparison } from "../../../src/measure/comparison/pair.ts";
import { judge, type Verdict } from "../../../src/measure/comparison/verdict.ts";
import { estimateTimes, type TimeEstimates } from "../../../src/measure/estimate.ts";
import type { Measurement } from "../../../src/measure/result_file.ts";
import { holm } from "../../../src/statistics/significance.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";
import {
  fromOneProcess,
  inProcesses,
  type ProcessNoise,
  syntheticProcesses,
} from "../synthetic.ts";

/** Estimates of a row from four processes: two take `time`, the others e^±`spread` times that. */
function processes(time: number, spread = 0.003, fields: Partial<Measurement> = {}): TimeEstimates {
  const factors = [1, Math.exp(spread), Math.exp(-spread), 1];
  const list = (scale: number): number[] => factors.map((factor) => scale * time * factor);
  const measurement = inProcesses(fromOneProcess({ samples: list(1), ...fields }), 4);
  return estimateTimes([measurement]).get(measurement)!;
}

const before = processes(1000);

Deno.test("judge() calls a clear difference by the candidate's direction", () => {
  const verdictOf = (time: number): Verdict => judge(comparePair(before, processes(time))).verdict;
  assertEquals([1200, 1000 / 1.2, 1010].map(verdictOf), ["slower", "faster", "same"]);
});

Deno.test("judge() needs the threshold in either direction, equally on a log scale", () => {
  const pair = comparePair(before, processes(1200));
  const back = comparePair(processes(1200), before);
  const both = (threshold: number): Verdict[] =>
    [pair, back].map((each) => judge(each, { threshold }).verdict);
  assertEquals(both(0.18), ["slower", "faster"]);
  assertEquals(both(0.3), ["same", "same"]);
  assertThrows(() => judge(pair, { threshold: 0 }), RangeError, "threshold is 0");
  assertThrows(() => judge(pair, { threshold: NaN }), RangeError, "threshold is NaN");
});

Deno.test("judge() believes no change within the spread of processes, and says how many would settle it", () => {
  const pair = comparePair(processes(1000, 0.06), processes(1100, 0.06));
  const { verdict, doubt } = judge(pair);
  assertEquals([verdict, doubt?.kind], ["ambiguous", "chance"]);
  assert(doubt!.timesProcesses! > 1 && doubt!.timesProcesses! < 5, `${doubt!.timesProcesses}`);
  // With `more` times as many processes like these, the verdict is clear.
  const { evidence: [first], ...rest } = pair;
  const more = doubt!.timesProcesses!;
  const evidence = [{ ...first!, error: first!.error / Math.sqrt(more), df: first!.df * more }];
  const settled: PairComparison = { ...rest, evidence, pValue: 0.001 };
  assertEquals(judge(settled).verdict, "slower");
  assertEquals(judge(comparePair(processes(1000, 0.6), processes(1100, 0.6))).doubt, {
    ...judge(comparePair(processes(1000, 0.6), processes(1100, 0.6))).doubt!,
    ...{ kind: "chance", timesProcesses: undefined },
  });
});

Deno.test("judge() needs a p-value below the level after correction", () => {
  const pair = comparePair(before, processes(1200));
  assertEquals(judge(pair, { correctedPValue: 0.03 }).doubt?.kind, "chance");
  assertEquals(judge(pair, { correctedPValue: 0.01 }).verdict, "slower");
});

Deno.test("judge() tells a change at the threshold from an unknown one", () => {
  const near = judge(comparePair(before, processes(1047)));
  assertEquals([near.verdict, near.doubt?.kind], ["ambiguous", "near the threshold"]);
  const wide = judge(comparePair(processes(1000, 0.05), processes(1010, 0.05)));
  assertEquals([wide.verdict, wide.doubt?.kind], ["ambiguous", "wide interval"]);
  assert(wide.doubt!.timesProcesses! > 1);
});

Deno.test("comparePair() blames a slower clock, on one machine only", () => {
  const clocked = (time: number, reference: number) =>
    processes(time, 0.003, { throttleSamples: Array(4).fill(reference) });
  const [a, b] = [clocked(1000, 500), clocked(1200, 595)];
  const judgment = judge(comparePair(a, b, { sameMachine: true }));
  assertEquals([judgment.verdict, judgment.doubt?.kind], ["ambiguous", "clock"]);
  assertEquals(judge(comparePair(a, b)).verdict, "slower");
  // A faster clock does not make equal times a regression.
  const boosted = judge(comparePair(a, clocked(1000, 250), { sameMachine: true }));
  assertEquals(boosted.verdict, "same");
});

Deno.test("comparePair() believes no change that the CPU time does not show, on one machine only", () => {
  const spent = (time: number, cpu: number) =>
    processes(time, 0.003, { cpuSamples: [cpu, 1.002 * cpu, cpu, 0.998 * cpu] });
  const a = spent(1000, 2000);
  const crowded = judge(comparePair(a, spent(1500, 2020), { sameMachine: true }));
  assertEquals([crowded.verdict, crowded.doubt?.kind], ["ambiguous", "CPU time"]);
  assertEquals(judge(comparePair(a, spent(1500, 2020))).verdict, "slower");
  assertEquals(judge(comparePair(a, spent(1500, 2900), { sameMachine: true })).verdict, "slower");
  // CPU time alone decides nothing.
  assertEquals(judge(comparePair(a, spent(1000, 3000), { sameMachine: true })).verdict, "same");
  // A time and a CPU time that contradict each other decide nothing, either.
  assertEquals(comparePair(a, spent(1500, 1500), { sameMachine: true }).pValue, 1);
});

Deno.test("judge() has no verdict without samples, and doubts a single process", () => {
  for (const [a, b] of [[before, undefined], [undefined, before]] as const) {
    const pair = comparePair(a, b);
    assertEquals([pair.ratio, pair.interval, pair.pValue], [undefined, undefined, undefined]);
    assertEquals(judge(pair), { verdict: "no data", doubt: undefined });
  }
  const alone = (time: number): TimeEstimates => {
    const measurement = fromOneProcess({ samples: Array(40).fill(time) });
    return estimateTimes([measurement]).get(measurement)!;
  };
  assertEquals(judge(comparePair(alone(1000), alone(1200))).doubt?.kind, "one process");
  assertEquals(judge(comparePair(before, alone(1200))).doubt?.kind, "one process");
  assertEquals(judge(comparePair(alone(1000), alone(2000))).verdict, "slower");
});

type World = Omit<ProcessNoise, "seed" | "processes" | "times" | "samples">;

// Standard deviations of a time's logarithm. `sigma`: from sample to sample within a process.
// `rowSigma`: from process to process, in each row separately. `processSigma`: from process to
// process, in all rows together. `bursts` is the share of a process's rows that another program
// slows.
const worlds: Readonly<Record<string, World>> = {
  calm: { sigma: 0.01, rowSigma: 0.007, processSigma: 0.003 },
  usual: { sigma: 0.03, rowSigma: 0.015, processSigma: 0.01 },
  shared: { sigma: 0.06, rowSigma: 0.03, processSigma: 0.05, bursts: 0.3 },
};

/**
 * Counts the verdicts in each of `count` tables of 24 rows, all of which take `factor` times as
 * long in the second file. The p-values are corrected within each table.
 */
function tables(world: World, { processes, factor, count }: {
  readonly processes: number;
  readonly factor: number;
  readonly count: number;
}): Record<Verdict, number>[] {
  const times = Array.from({ length: 24 }, (_, i) => 1e5 * (i + 1));
  const file = (seed: number, scale: number): TimeEstimates[] => {
    const measurements = syntheticProcesses({
      ...{ ...world, seed, processes, times: times.map((time) => scale * time), samples: 9 },
    });
    return [...estimateTimes(measurements).values()];
  };
  return Array.from({ length: count }, (_, i) => {
    const [a, b] = [file(1000 * i + 1, 1), file(1000 * i + 500_001, factor)];
    const pairs = a.map((each, row) => comparePair(each, b[row]));
    const corrected = holm(pairs.map(({ pValue }) => pValue));
    const found = { faster: 0, slower: 0, same: 0, ambiguous: 0, "no data": 0 };
    for (const [row, pair] of pairs.entries()) {
      found[judge(pair, { correctedPValue: corrected[row] }).verdict]++;
    }
    return found;
  });
}

for (const [name, world] of Object.entries(worlds)) {
  Deno.test(`judge() finds no difference in 24 rows of equal runs on a ${name} machine, 19 times in 20`, () => {
    for (const processes of [3, 6]) {
      const found = tables(world, { processes, factor: 1, count: 40 });
      const [slower, wrong] = [["slower"], ["slower", "faster"]].map((verdicts) =>
        found.filter((table) => verdicts.some((verdict) => table[verdict as Verdict] > 0)).length
      );
      const rows = found.reduce((sum, table) => sum + table.slower + table.faster, 0);
      // gradsink promises that at most one table in 20 and one row in 100 has a false verdict. So
      // at most 2 of the 40 tables may have a false `slower`, and at most 9 of the 960 rows a false
      // verdict. 4 tables may have a false `slower` or `faster`, to leave room for chance.
      assert(slower! <= 2 && wrong! <= 4 && rows <= 9, JSON.stringify({ processes, slower, rows }));
    }
  });
}

Deno.test("judge() finds a change of 10 % in 9 rows of 10, with 3 processes on a usual machine", () => {
  const total = (list: readonly Record<Verdict, number>[], verdict: Verdict): number =>
    list.reduce((sum, table) => sum + table[verdict], 0);
  for (const world of [worlds.calm!, worlds.usual!]) {
    const slower = tables(world, { processes: 3, factor: 1.1, count: 10 });
    const faster = tables(world, { processes: 3, factor: 1 / 1.1, count: 10 });
    assert(total(slower, "slower") >= 216 && total(slower, "faster") === 0, JSON.stringify(slower));
    assert(total(faster, "faster") >= 216 && total(faster, "slower") === 0, JSON.stringify(faster));
  }
});

Deno.test("judge() calls equal runs on a calm machine same, not merely ambiguous", () => {
  const [found] = tables(worlds.calm!, { processes: 3, factor: 1, count: 1 });
  assert(found!.same >= 22, JSON.stringify(found));
});
