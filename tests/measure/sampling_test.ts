import { randomUniform } from "../../src/random.ts";
import { type SampleOptions, sampleWork, type WorkSamples } from "../../src/measure/sampling.ts";
import { driftingReadings } from "../../src/measure/sampling/visits.ts";
import type { StoppingRule } from "../../src/measure/sampling/stopping.ts";
import { beatenCandidates } from "../../src/measure/sampling/race.ts";
import type { Span } from "../../src/measure/timing.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";

const rule: StoppingRule = {
  targetHalfWidth: 0.01,
  minimumSamples: 10,
  maximumSamples: 40,
  budget: 60e9,
};

/** A fake machine on which every span takes the time that it was made for. `now` is the clock. */
class FakeMachine {
  now = 0;
  /** The names of all spans that ran, timed or not. */
  readonly log: string[] = [];
  /** A factor on all times; may depend on `now`. */
  slowness: () => number = () => 1;
  /** The resolution of the clock that reads spans. */
  quantum = 1;
  kind: "timestamp" | "wall" = "timestamp";
  broken = false;

  span(name: string, nanoseconds: number): Span {
    return () => {
      this.log.push(name);
      this.now += nanoseconds * this.slowness();
    };
  }

  get timer(): SampleOptions["timer"] {
    return {
      timer: { kind: this.kind, quantum: this.quantum },
      minimumSpan: 50 * this.quantum,
      time: (spans, untimed = {}) => {
        const start = this.now;
        const pass = {} as GPUComputePassEncoder;
        untimed.first?.(pass);
        const times = spans.map((span) => {
          untimed.each?.(pass);
          const begin = this.now;
          span(pass);
          const time = Math.round((this.now - begin) / this.quantum) * this.quantum;
          return time > 0 && !this.broken ? time : undefined;
        });
        const wall = this.now - start;
        return Promise.resolve({ spans: times, wall, cpu: 2 * wall });
      },
    };
  }

  options(changes: Partial<SampleOptions> = {}): SampleOptions {
    const reference = this.span("reference", 1e6);
    const scrub = this.span("scrub", 5e6);
    return { timer: this.timer, rule, reference, scrub, seed: 1, ...changes };
  }
}

function data(results: readonly (WorkSamples | undefined)[]): WorkSamples[] {
  return results.map((result) => {
    assert(result !== undefined);
    return result;
  });
}

Deno.test("sampleWork() gives the time and CPU time of one run, hot and cold", async () => {
  const machine = new FakeMachine();
  const run = machine.span("short", 3_000);
  const long = machine.span("long", 80e6);
  const [hot, cold, slow] = data(
    await sampleWork([{ run, cache: "hot" }, { run, cache: "cold" }, { run: long, cache: "hot" }], {
      ...machine.options(),
    }),
  );
  for (const { samples, rounds } of [hot!, cold!, slow!]) {
    assertEquals(rounds.reduce((a, b) => a + b), samples.length);
    assert(samples.length >= 10);
  }
  assert(hot!.samples.every((sample) => Math.abs(sample - 3_000) < 1));
  assert(cold!.samples.every((sample) => Math.abs(sample - 3_000) < 1));
  assert(slow!.samples.every((sample) => sample === 80e6));
  assert(hot!.repeats * 3_000 >= 200e3, "a span is long enough");
  assertEquals(cold!.repeats, 1);
  assertEquals(slow!.repeats, 1);
  // Two threads of this machine are always busy, so its CPU time is twice the time. A cold span's
  // CPU time also includes the scrub of the cache and cannot be separated from it. So cold samples
  // have no CPU time.
  assert(hot!.cpuSamples!.every((cpu) => Math.abs(cpu - 6_000) < 1));
  assertEquals(cold!.cpuSamples, undefined);
  assertEquals([hot, cold, slow].map((each) => each!.stopReason), [
    "precise",
    "precise",
    "precise",
  ]);
});

Deno.test("sampleWork() runs hot work once before its spans, unless it is long, and scrubs before every cold span", async () => {
  const machine = new FakeMachine();
  await sampleWork([{ run: machine.span("a", 100e3), cache: "cold" }], machine.options());
  const visits = machine.log.join(" ").split("reference").at(-1)!.trim().split(" ");
  visits.forEach((name, i) => {
    if (name === "a") assertEquals(visits[i - 1], "scrub");
  });
  const hot = new FakeMachine();
  await sampleWork([{ run: hot.span("a", 60e6), cache: "hot" }], hot.options());
  const [result] = data(
    await sampleWork([{ run: hot.span("b", 60e6), cache: "hot" }], hot.options()),
  );
  const ran = hot.log.filter((name) => name === "b").length;
  assertEquals(ran, result!.samples.length + 2); // two more to choose the repeats
});

Deno.test("sampleWork() makes spans of at least 50 steps of the clock", async () => {
  const machine = new FakeMachine();
  machine.quantum = 65_536;
  const [hot, cold] = data(
    await sampleWork([
      { run: machine.span("hot", 20e3), cache: "hot" },
      { run: machine.span("cold", 200e3), cache: "cold" },
    ], machine.options()),
  );
  assert(hot!.repeats * 20e3 >= 50 * 65_536);
  // A span of at least 50 steps of the clock is off by at most one step, which is 2 %.
  assert(hot!.samples.every((sample) => Math.abs(sample / 20e3 - 1) < 0.02));
  // A cold span is one run, so a sample needs several spans.
  assert(cold!.repeats > 1 && cold!.repeats <= 32, `${cold!.repeats}`);
  // The clock reads every span of 200,000 ns as three of its steps.
  assert(cold!.samples.every((sample) => sample === 3 * 65_536));
});

Deno.test("sampleWork() has no cold data if the clock is too coarse, or the host's", async () => {
  const machine = new FakeMachine();
  machine.quantum = 100_000;
  const work = [{ run: machine.span("a", 2e3), cache: "cold" as const }];
  assertEquals(await sampleWork(work, machine.options()), [undefined]);
  // This run takes one step of the clock. A cold span is one run, so a sample of 50 steps would
  // need 50 spans, but a submission holds 32.
  const step = [{ run: machine.span("b", 100e3), cache: "cold" as const }];
  assertEquals(await sampleWork(step, machine.options()), [undefined]);
  machine.quantum = 1;
  machine.kind = "wall";
  assertEquals(await sampleWork(work, machine.options()), [undefined]);
});

Deno.test("sampleWork() has no data from a clock that gives no times", async () => {
  const machine = new FakeMachine();
  machine.broken = true;
  const work = [{ run: machine.span("a", 1e6), cache: "hot" as const }];
  assertEquals(await sampleWork(work, machine.options()), [undefined]);
});

Deno.test("sampleWork() visits in random order, equal for equal seeds", async () => {
  const order = async (seed: number): Promise<string> => {
    const machine = new FakeMachine();
    const names = ["a", "b", "c", "d"];
    const visits: number[] = [];
    const work = names.map((name) => ({ run: machine.span(name, 20e6), cache: "hot" as const }));
    await sampleWork(work, machine.options({ seed, visit: (index) => visits.push(index) }));
    const rounds = visits.slice(4); // the first four choose repeats
    for (let i = 0; i + 4 <= 40; i += 4) {
      assertEquals(rounds.slice(i, i + 4).sort(), [0, 1, 2, 3]); // each once per round
    }
    return rounds.join("");
  };
  assertEquals(await order(1), await order(1));
  assert(await order(1) !== await order(2));
  assert(!/^(0123)+$/.test(await order(1)));
});

Deno.test("sampleWork() flags the samples of a slow phase and keeps them", async () => {
  const machine = new FakeMachine();
  const noise = randomUniform({ seed: 5, length: 4096, minimum: 0.97, maximum: 1.03 });
  let i = 0;
  // From 2 to 5 s, the machine runs at 60 % of its speed.
  const slow = (): boolean => machine.now > 2e9 && machine.now < 5e9;
  machine.slowness = () => noise[i++ % 4096]! / (slow() ? 0.6 : 1);
  const [result] = data(
    await sampleWork(
      [{ run: machine.span("a", 20e6), cache: "hot" }],
      machine.options({
        rule: { ...rule, targetHalfWidth: 0, minimumSamples: 200, maximumSamples: 200 },
      }),
    ),
  );
  const { samples, driftingSamples, throttleSamples, stopReason } = result!;
  assertEquals(stopReason, "samples");
  assertEquals(samples.length, 200);
  const slowSamples = samples.flatMap((sample, i) => sample > 25e6 ? [i] : []);
  assert(slowSamples.length >= 20, `${slowSamples.length} slow samples`);
  // Each visit takes one sample here. The reference kernel runs at every sixth visit, and a single
  // slow run of it does not count. So each end of the slow phase may be noticed two runs of the
  // reference kernel too early or too late, which is 12 samples at each end and 24 in all.
  const missed = slowSamples.filter((i) => !driftingSamples.includes(i));
  const wrong = driftingSamples.filter((i) => !slowSamples.includes(i));
  assert(missed.length <= 24 && wrong.length <= 24, `${missed} / ${wrong}`);
  assert(slowSamples.length - missed.length >= 10);
  assert(throttleSamples.some((time) => time > 1.5e6) && throttleSamples.length > 30);
});

Deno.test("sampleWork() hands over what it has when it is interrupted", async () => {
  const machine = new FakeMachine();
  let visits = 0;
  const finished: number[] = [];
  const results = await sampleWork([
    { run: machine.span("a", 20e6), cache: "hot" },
    { run: machine.span("b", 20e6), cache: "hot" },
  ], {
    ...machine.options(),
    visit: () => visits++,
    interrupted: () => visits >= 8,
    finish: (index) => finished.push(index),
  });
  for (const { samples, stopReason } of data(results)) {
    assertEquals(stopReason, "interrupted");
    assert(samples.length >= 2 && samples.length <= 4);
  }
  assertEquals(finished.sort(), [0, 1]);
});

Deno.test("sampleWork() keeps to each job's budget", async () => {
  const machine = new FakeMachine();
  let i = 0;
  machine.slowness = () => 1 + (i++ % 7) / 7; // never precise
  const [result] = data(
    await sampleWork(
      [{ run: machine.span("a", 100e6), cache: "hot" }],
      machine.options({ rule: { ...rule, budget: 2e9, maximumSamples: 1000 } }),
    ),
  );
  assertEquals(result!.stopReason, "budget");
  const spent = result!.samples.reduce((a, b) => a + b);
  assert(spent >= 2e9 && spent <= 2.2e9, `${spent}`);
});

Deno.test("sampleWork() drops beaten candidates from the third round on", async () => {
  const machine = new FakeMachine();
  const noisy = (name: string, time: number): Span => {
    let run = 0;
    return (pass) => machine.span(name, time * (1 + 0.05 * (++run % 3)))(pass);
  };
  const work = [noisy("slow", 400e6), noisy("fast", 100e6), noisy("close", 102e6)]
    .map((run) => ({ run, cache: "hot" as const }));
  const race = { ...rule, targetHalfWidth: 1e-6, maximumSamples: 24 };
  const results = await sampleWork(work, {
    ...machine.options({ rule: race }),
    beaten: beatenCandidates,
  });
  const [slow, fast, close] = results;
  assertEquals([slow!.stopReason, slow!.samples.length], ["beaten", 3]);
  assertEquals(fast!.stopReason, "samples");
  assert(close!.samples.length > 6);
});

Deno.test("sampleWork() drops no candidate for one slow moment", async () => {
  const machine = new FakeMachine();
  const work = [2e6, 1e6].map((time, i) => ({
    run: machine.span(`${i}`, time),
    cache: "hot" as const,
  }));
  const results = await sampleWork(work, {
    ...machine.options({
      rule: { ...rule, targetHalfWidth: 0, minimumSamples: 90, maximumSamples: 90 },
    }),
    beaten: beatenCandidates,
  });
  const [slow] = results;
  assertEquals([slow!.stopReason, slow!.rounds.length], ["beaten", 3]);
  assert(slow!.samples.length > 6); // several per round
});

Deno.test("driftingReadings() ignores single slow readings and finds phases", () => {
  assertEquals([...driftingReadings([])], []);
  assertEquals([...driftingReadings([9, 9, 9])], []);
  assertEquals([...driftingReadings([10, 10, 90, 10, 10, 10])], []);
  assertEquals([...driftingReadings([10, 10, 10, 10, 14, 14, 14, 10, 10])], [4, 5, 6]);
  // The first four readings are slow. The lower quartile of all readings is the usual time, so even
  // slow readings at the beginning show.
  assertEquals([...driftingReadings([14, 14, 14, 14, 10, 10, 10, 10])], [0, 1, 2, 3]);
});

Deno.test("sampleWork() waits the given time before each visit", async () => {
  const machine = new FakeMachine();
  const work = [{ run: machine.span("a", 1e6), cache: "hot" as const }];
  const paused = Promise.withResolvers<void>();
  let asked = 0;
  const samples = sampleWork(
    work,
    machine.options({
      ready: () => ++asked === 2 ? paused.promise : Promise.resolve(),
    }),
  );
  while (asked < 2) await new Promise((resolve) => setTimeout(resolve));
  const runs = machine.log.length;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(machine.log.length, runs, "nothing runs while it waits");
  paused.resolve();
  assert(data(await samples)[0]!.samples.length >= 10);
  assert(machine.log.length > runs);
});
