import { type Side, Turns, type TurnsOptions } from "../../../src/measure/bench_run/turns.ts";
import type { ChildTurn, WaitingChild } from "../../../src/measure/child/protocol.ts";
import type { VisitPlan } from "../../../src/measure/sampling/visits.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

const plan: VisitPlan = { repeats: 1, spansPerSample: 1, samplesPerVisit: 4 };

/** The two processes that measure a batch in turns, one for each side. `log` lists what they do. */
class FakeProcesses {
  readonly turns: Turns;
  readonly log: string[] = [];
  /** For each side, the turn that told its process to end. */
  readonly ends: ChildTurn[] = [];
  /** The number of processes at work. At most one may be. */
  #busy = 0;

  constructor(options: Partial<TurnsOptions> = {}) {
    this.turns = new Turns({ targetHalfWidth: 0, sweeps: 4, end: Infinity, seed: 1, ...options });
  }

  /** Measures a side's batch. `crash` names the job and the sweep during which the process ends. */
  async measure(
    side: Side,
    { jobs, prepare = 0, plans = () => plan, time = () => 1, crash, crashesAtEnd = false }: {
      readonly jobs: readonly number[];
      readonly prepare?: number;
      readonly plans?: (id: number) => VisitPlan;
      readonly time?: (id: number, sweep: number) => number | undefined;
      readonly crash?: { readonly id: number; readonly sweep: number };
      /** Whether the first process ends before it hands over its results. */
      readonly crashesAtEnd?: boolean;
    },
  ): Promise<void> {
    let left = jobs;
    let crashes = crashesAtEnd;
    let said: WaitingChild = { type: "waiting", after: "preparation" };
    await pause(prepare);
    this.log.push(`${side} prepared`);
    while (left.length > 0) {
      const turn = await this.turns.next(side, said);
      if (turn.step === "end" && crashes) {
        crashes = false;
        said = { type: "waiting", after: "preparation" };
        continue;
      }
      if (turn.step === "end") {
        this.ends[side] = turn;
        break;
      }
      assertEquals(this.#busy++, 0, "only one process is at work");
      await pause(1);
      this.#busy--;
      if (turn.step === "calibrate") {
        const found = left.map((id) => [id, plans(id)] as const);
        said = { type: "waiting", after: "calibration", plans: found };
      } else {
        const { id, sweep, plan } = turn;
        if (id === crash?.id && sweep === crash.sweep && left.includes(id)) {
          left = left.filter((other) => other !== id);
          await pause(5); // a new process prepares the rest
          this.log.push(`${side} crashed at ${id}`);
          said = { type: "waiting", after: "preparation" };
          continue;
        }
        this.log.push(`${side} ${id} ${sweep} ${plan.repeats}x${plan.samplesPerVisit}`);
        const found = time(id, sweep);
        said = { type: "waiting", after: "visit", ...found === undefined ? {} : { time: found } };
      }
    }
    this.turns.leave(side);
  }

  /**
   * A side's visits in order. `1 0` is the visit to job 1 in sweep 0, where a sweep visits every
   * job once.
   */
  visits(side: Side): string[] {
    return this.log.filter((line) => new RegExp(`^${side} \\d`).test(line))
      .map((line) => line.split(" ").slice(1, 3).join(" "));
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

Deno.test("Turns has both sides visit the same job one after the other once both are ready", async () => {
  const fake = new FakeProcesses();
  await Promise.all([
    fake.turns.conduct(),
    fake.measure(0, { jobs: [1, 2, 3] }),
    fake.measure(1, { jobs: [1, 2, 3], prepare: 20 }),
  ]);
  assertEquals(fake.log.slice(0, 2), ["0 prepared", "1 prepared"], "nobody began before");
  const visits = fake.log.slice(2).map((line) => line.split(" "));
  assertEquals(visits.length, 2 * 3 * 4);
  for (let i = 0; i < visits.length; i += 2) {
    const [first, second] = [visits[i]!, visits[i + 1]!];
    assertEquals(first.slice(1), second.slice(1), "the same work, sweep and size");
    const begins = Number(first[2]) % 2;
    assertEquals([first[0], second[0]], [`${begins}`, `${1 - begins}`], "who begins alternates");
  }
  const orders = [0, 1, 2, 3].map((sweep) =>
    fake.visits(0).filter((visit) => visit.endsWith(` ${sweep}`)).map((visit) => visit[0]).join("")
  );
  assert(new Set(orders).size > 1, `the order is random: ${orders}`);
  for (const end of fake.ends) {
    assertEquals(end, { step: "end", reasons: [[1, "budget"], [2, "budget"], [3, "budget"]] });
  }
});

Deno.test("Turns gives both sides the larger number of runs and the smaller number of samples", async () => {
  const fake = new FakeProcesses({ sweeps: 1 });
  const plans = (repeats: number, samplesPerVisit: number) => () => ({
    ...{ repeats, spansPerSample: 1, samplesPerVisit },
  });
  await Promise.all([
    fake.turns.conduct(),
    fake.measure(0, { jobs: [1], plans: plans(3, 2) }),
    fake.measure(1, { jobs: [1], plans: plans(2, 8) }),
  ]);
  assertEquals(fake.log.slice(2), ["0 1 0 3x2", "1 1 0 3x2"]);
});

Deno.test("Turns stops once the ratio is precise, even if both times vary together", async () => {
  const fake = new FakeProcesses({ targetHalfWidth: 0.01, sweeps: 30 });
  // Job 1 flips between two speeds on both sides at once. Job 2 flips on one side only; on the
  // other side it slows down with every sweep.
  const slow = (sweep: number): number => sweep % 3 === 0 ? 2 : 1;
  await Promise.all([
    fake.turns.conduct(),
    fake.measure(0, { jobs: [1, 2], time: (_, sweep) => slow(sweep) }),
    fake.measure(1, { jobs: [1, 2], time: (id, sweep) => id === 1 ? slow(sweep) : 1 + sweep }),
  ]);
  const counts = [1, 2].map((id) => fake.visits(0).filter((each) => each[0] === `${id}`).length);
  assertEquals(counts, [6, 30]);
  assertEquals(fake.ends[0], { step: "end", reasons: [[1, "precise"], [2, "budget"]] });
});

Deno.test("Turns ends when its time is over, but not before three sweeps, nor sooner than the preparation took", async () => {
  // The preparation lasts from `began` to 100 ms, and each sweep takes 10 ms.
  for (const [end, began, sweeps] of [[0, 100, 3], [170, 100, 7], [0, 20, 8]] as const) {
    let now = began;
    const fake = new FakeProcesses({ targetHalfWidth: -1, sweeps: 100, end, now: () => now });
    await Promise.all([
      fake.turns.conduct(),
      fake.measure(0, { jobs: [1], plans: () => (now = 100, plan), time: () => (now += 10, 1) }),
      fake.measure(1, { jobs: [1] }),
    ]);
    assertEquals(fake.visits(0).length, sweeps, `${end} ${began}`);
  }
});

Deno.test("after a process crashes, its side loses the job and the other jobs stay paired", async () => {
  const fake = new FakeProcesses({ sweeps: 6 });
  await Promise.all([
    fake.turns.conduct(),
    fake.measure(0, { jobs: [1, 2], crash: { id: 2, sweep: 2 } }),
    fake.measure(1, { jobs: [1, 2] }),
  ]);
  const [own, other] = [fake.visits(0), fake.visits(1)];
  assertEquals(own.filter((visit) => visit.startsWith("2")), ["2 0", "2 1"]);
  assertEquals(other.filter((visit) => visit.startsWith("2")).length, 6);
  // The other side measures nothing while the new process prepares.
  const ones = (list: readonly string[]) => list.filter((visit) => visit.startsWith("1"));
  assertEquals(ones(own), ones(other));
  assertEquals(ones(own).length, 6);
});

Deno.test("Turns goes on with one side alone, and gives a late process its turns", async () => {
  const fake = new FakeProcesses({ sweeps: 2 });
  await Promise.all([
    fake.turns.conduct(),
    fake.measure(0, { jobs: [] }),
    fake.measure(1, { jobs: [1], crashesAtEnd: true }),
  ]);
  // The process ends before it hands over sweeps 0 and 1. The next process gets sweeps 2 and 3.
  assertEquals(fake.visits(1), ["1 0", "1 1", "1 2", "1 3"]);
});

Deno.test("Turns can be stopped while one process waits and the other works", async () => {
  const fake = new FakeProcesses({ sweeps: 1e9 });
  const all = Promise.all([
    fake.turns.conduct(),
    fake.measure(0, { jobs: [1] }),
    fake.measure(1, { jobs: [1] }),
  ]);
  await pause(20);
  fake.turns.stop();
  await all;
  assertEquals(fake.ends.map((end) => end.step), ["end", "end"]);
  assertEquals((await fake.turns.next(0, { type: "waiting", after: "visit" })).step, "end");
});
