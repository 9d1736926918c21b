import { compareResultFiles, type Comparison } from "../../../src/measure/comparison.ts";
import { judgeGate } from "../../../src/measure/comparison/gate.ts";
import { estimatePairs } from "../../../src/measure/comparison/joint_run.ts";
import type { Verdict } from "../../../src/measure/comparison/verdict.ts";
import type { Measurement } from "../../../src/measure/result_file.ts";
import { randomNormal, randomUniform } from "../../../src/random.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { fromOneProcess, syntheticResultFile } from "../synthetic.ts";

const jointRun = "0123456789abcdef0123456789abcdef";

/**
 * One process's visits to a row. A visit is the number of its sweep and the samples that it took.
 * Each sweep visits every row at most once.
 */
type Visits = readonly (readonly [sweep: number, ...samples: number[]])[];

function measurementOf(
  processes: Readonly<Record<number, Visits>>,
  fields: Partial<Measurement> = {},
): Measurement {
  const visits = Object.values(processes).flat();
  return fromOneProcess({
    samples: visits.flatMap(([, ...samples]) => samples),
    rounds: visits.map((visit) => visit.length - 1),
    sweeps: visits.map(([sweep]) => sweep),
    processes: Object.entries(processes).map(([round, list]) => ({
      round: Number(round),
      samples: list.reduce((sum, visit) => sum + visit.length - 1, 0),
      throttleSamples: 0,
    })),
    ...fields,
  });
}

function near(actual: number | undefined, expected: number): void {
  assert(Math.abs(actual! - expected) < 1e-9, `${actual}, wanted ${expected}`);
}

Deno.test("estimatePairs() pairs visits of one sweep, and takes the median over a round's visits", () => {
  const baseline = measurementOf({
    0: [[0, 1, 3], [1, 4], [2, 4], [4, 100]],
    1: [[0, 4], [1, 4]],
    2: [[0, 1]],
  });
  const candidate = measurementOf({
    // In round 0, the medians of sweeps 0, 1 and 2 are 2, 4 and 4 for the baseline, and 2.2, 4.4
    // and 8 for the candidate. Sweeps 3 and 4, and rounds 2 and 3, exist on one side only.
    0: [[0, 2.2], [1, 4.4], [2, 8], [3, 1e6]],
    1: [[0, 4.4], [1, 4.4]],
    3: [[0, 1e6]],
  });
  const { time, cpu } = estimatePairs([{ baseline, candidate }]).get(candidate)!;
  near(time.center, Math.log(1.1));
  assertEquals([time.processes, cpu], [2, undefined]);
  for (const { variance } of time.errors) near(variance, 0);
});

Deno.test("estimatePairs() leaves out rows without paired visits in two rounds", () => {
  const baseline = measurementOf({ 0: [[0, 1]], 1: [[0, 1]] });
  const late = measurementOf({ 0: [[0, 1]], 1: [[1, 1]] });
  assertEquals(estimatePairs([{ baseline, candidate: late }]).size, 0);
  const { sweeps: _, ...unnamed } = measurementOf({ 0: [[0, 1]], 1: [[0, 1]] });
  assertEquals(estimatePairs([{ baseline, candidate: unnamed }]).size, 0);
});

Deno.test("estimatePairs() trims a fifth of the rounds at each end, as Yuen's trimmed mean does", () => {
  // Logarithms of the rounds' ratios: 0.01 to 0.05, and an outlier of 3. Of six rounds, one is
  // trimmed at each end.
  const logarithms = [0.01, 0.05, 0.02, 3, 0.04, 0.03];
  const side = (values: readonly number[]) =>
    measurementOf(
      Object.fromEntries(values.map((value, round) => [round, [[0, value]] as Visits])),
    );
  const baseline = side(logarithms.map(() => 1));
  const candidate = side(logarithms.map(Math.exp));
  const { time } = estimatePairs([{ baseline, candidate }]).get(candidate)!;
  near(time.center, (0.02 + 0.03 + 0.04 + 0.05) / 4);
  const winsorized = [0.02, 0.02, 0.03, 0.04, 0.05, 0.05];
  const mean = winsorized.reduce((a, b) => a + b) / 6;
  const squares = winsorized.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  assertEquals(time.errors.length, 1);
  near(time.errors[0]!.variance, squares / (4 * 3));
  near(time.errors[0]!.df, 3);
});

/** A machine that other programs flip between two speeds, once per second on average. */
class TwoStates {
  #now = 0;
  #flip = 0;
  #next = 0;
  #slow = false;
  readonly #uniform: Float32Array;
  readonly #normal: Float32Array;

  constructor(seed: number) {
    this.#uniform = randomUniform({ seed, length: 4096 });
    this.#normal = randomNormal({ seed: seed + 1, length: 65536 });
  }

  /** Spends 25 ms on a row that takes `time` ns while the machine is fast. Returns its time now. */
  visit(time: number): number {
    while (this.#now > this.#flip) {
      this.#slow = !this.#slow;
      this.#flip += -1000 * Math.log(1 - this.#uniform[this.#next++ % 4096]!);
    }
    this.#now += 25;
    const noise = Math.exp(0.05 * this.#normal[this.#next++ % 65536]!);
    return time * (this.#slow ? 1.9 : 1) * noise;
  }

  rest(): void {
    this.#now += 5000;
  }
}

const ROWS = 8;

/** The two files of a joint run. In the second one, row i takes `factors[i]` times as long. */
function jointFiles({ seed, factors, rounds = 4, sweeps = 14, keeps = [] }: {
  readonly seed: number;
  readonly factors: readonly number[];
  readonly rounds?: number;
  readonly sweeps?: number;
  /** The rounds in which the second file's process takes 1.6 times as long in every row. */
  readonly keeps?: readonly number[];
}) {
  const machine = new TwoStates(seed);
  const rows = factors.map((factor) => ({
    factor,
    visits: [0, 1].map((): Record<number, (readonly [number, number])[]> => ({})),
  }));
  for (let round = 0; round < rounds; round++) {
    for (const { visits } of rows) for (const side of visits) side[round] = [];
    for (let sweep = 0; sweep < sweeps; sweep++) {
      for (const { factor, visits } of rows) {
        for (const side of sweep % 2 === 0 ? [0, 1] : [1, 0]) {
          const own = side === 1 && keeps.includes(round) ? 1.6 : 1;
          const time = machine.visit(own * (side === 0 ? 1e6 : 1e6 * factor));
          visits[side]![round]!.push([sweep, time]);
        }
      }
    }
    machine.rest();
  }
  return [0, 1].map((side) => ({
    name: side === 0 ? "before" : "after",
    file: syntheticResultFile({
      settings: { jointRun, budgetSeconds: 30 },
      measurements: rows.map(({ visits }, row) =>
        measurementOf(visits[side]!, { shape: { B: row + 1 } })
      ),
    }),
  }));
}

function verdicts({ rows }: Comparison): Verdict[] {
  return rows.map(({ cells }) => cells[1]!.pair!.verdict);
}

function withoutName(results: ReturnType<typeof jointFiles>) {
  return results.map(({ name, file }) => ({
    name,
    file: { ...file, settings: { budgetSeconds: 30 } },
  }));
}

Deno.test("a joint run on a machine with two speeds: no false verdict, and most rows are the same", () => {
  const found = Array.from({ length: 12 }, (_, i) => {
    const files = jointFiles({ seed: 100 + i, factors: Array(ROWS).fill(1) });
    return verdicts(compareResultFiles(files));
  }).flat();
  const wrong = found.filter((verdict) => verdict === "slower" || verdict === "faster").length;
  assert(wrong <= 1, `${wrong} of ${found.length}`);
  const same = found.filter((verdict) => verdict === "same").length;
  assert(same > 0.8 * found.length, `${same} of ${found.length} are the same`);
});

Deno.test("a joint run finds a row that is 12 % slower, which two separate runs do not show", () => {
  const factors = [1.12, ...Array(ROWS - 1).fill(1)];
  let [inTurns, apart, gates] = [0, 0, 0];
  for (let seed = 1; seed <= 12; seed++) {
    const files = jointFiles({ seed, factors });
    const comparison = compareResultFiles(files);
    const [first, ...others] = verdicts(comparison);
    if (first === "slower") inTurns++;
    assert(!others.includes("slower"), `${others}`);
    const { regressions } = judgeGate(comparison, 0.05);
    if (regressions.length === 1 && regressions[0]!.row.shape.B === 1) gates++;
    if (verdicts(compareResultFiles(withoutName(files)))[0] === "slower") apart++;
  }
  assert(inTurns >= 11, `${inTurns} of 12 in turns`);
  assertEquals(gates, inTurns);
  assert(apart <= 3, `${apart} of 12 apart`);
});

Deno.test("a joint run is not misled by a process that is slow for its whole life", () => {
  const how = { seed: 3, rounds: 10, keeps: [4] };
  const found = [1, 1.12].map((factor) =>
    verdicts(compareResultFiles(jointFiles({ ...how, factors: [factor, 1, 1] })))
  );
  assertEquals(found, [["same", "same", "same"], ["slower", "same", "same"]]);
});

Deno.test("files pair up only if they name the same joint run; others are compared as separate runs", () => {
  const [before, after] = jointFiles({ seed: 1, factors: [1.12, 1, 1] });
  const inTurns = (results: Parameters<typeof compareResultFiles>[0]) =>
    compareResultFiles(results).rows[0]!.cells[1]!.pair!.inTurns;
  assertEquals(inTurns([before!, after!]), true);
  const settings = { ...after!.file.settings, jointRun: "f".repeat(32) };
  assertEquals(inTurns([before!, { name: "other", file: { ...after!.file, settings } }]), false);
  // Exchanging the files inverts the ratios.
  const back = compareResultFiles([after!, before!]);
  const there = compareResultFiles([before!, after!]);
  near(
    back.rows[0]!.cells[1]!.pair!.ratio! * there.rows[0]!.cells[1]!.pair!.ratio!,
    1,
  );
  near(back.totals[1]!.ratioToFirst! * there.totals[1]!.ratioToFirst!, 1);
});

Deno.test("a joint run is judged by CPU time if the time is vague, by both if they disagree", () => {
  // Two files of four rounds. Each round gives one ratio of the time and one of the CPU time.
  const files = (times: readonly number[], cpus: readonly number[]) => {
    const side = (list: readonly number[], cpu: readonly number[]) =>
      syntheticResultFile({
        settings: { jointRun },
        measurements: [measurementOf(
          Object.fromEntries(list.map((time, round) => [round, [[0, 1000 * time]] as Visits])),
          { cpuSamples: cpu.map((time) => 1000 * time) },
        )],
      });
    return [
      { name: "a", file: side([1, 1, 1, 1], [1, 1, 1, 1]) },
      { name: "b", file: side(times, cpus) },
    ];
  };
  const judged = (times: readonly number[], cpus: readonly number[]) => {
    const comparison = compareResultFiles(files(times, cpus));
    const { verdict, doubt, ratio } = comparison.rows[0]!.cells[1]!.pair!;
    const total = comparison.totals[1]!.ratioToFirst;
    return { verdict, kind: doubt?.kind, ratio, total, warnings: comparison.warnings };
  };
  const steady = [1.15, 1.16, 1.15, 1.14];
  const still = [1, 1.01, 1, 0.99];
  const wild = [2, 0.5, 1.6, 0.8];
  const vague = judged(wild, steady);
  assertEquals(vague.verdict, "slower");
  near(vague.ratio, Math.exp(steady.reduce((sum, each) => sum + Math.log(each), 0) / 4));
  near(vague.total, vague.ratio!);
  assert(vague.warnings.some((text) => text.includes("that of the CPU time")), `${vague.warnings}`);
  assertEquals(judged(steady, wild).verdict, "slower");
  assertEquals(judged(wild, wild).verdict, "ambiguous");
  // A kernel on fewer cores takes longer, but no more CPU time. A verdict needs both to change.
  assertEquals([judged(steady, still).verdict, judged(steady, still).kind], [
    "ambiguous",
    "CPU time",
  ]);
  assertEquals(judged(still, steady).verdict, "same");
});
