import { type RunState, TimeLeft } from "../../../src/measure/bench_run/time_left.ts";
import { processesWithin } from "../../../src/measure/rounds.ts";
import type { Measurement } from "../../../src/measure/result_file.ts";
import { near } from "../../support/assert/near.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

/** The number of rows, each of which every process measures once. */
const rows = 28;

/** A simulated run of the bench. Its clock `now` is in seconds. */
class Run {
  now = 0;
  readonly left = new TimeLeft({ software: true, inTurns: false, now: () => 1000 * this.now });
  readonly #budget: number;
  done = 0;

  constructor(budget: number, { ceilings = 0 } = {}) {
    this.#budget = budget;
    this.left.ceilings = ceilings;
    this.left.processes = processesWithin(budget, rows);
  }

  state(): RunState {
    const processes = (count: number) =>
      Array.from({ length: count }, (_, round) => ({ round, samples: 1, throttleSamples: 0 }));
    const [whole, part] = [Math.floor(this.done / rows), this.done % rows];
    const measurements = Array.from({ length: rows }, (_, row) =>
      ({
        samples: [1],
        processes: processes(whole + (row < part ? 1 : 0)),
      }) as unknown as Measurement);
    return { measurements, perProcess: rows, end: 1000 * this.#budget };
  }

  /** Measures four more of the rows. */
  batch(seconds: number, share: number): void {
    this.now += seconds;
    this.done += 4;
    this.left.addBatch(4, { seconds, share });
  }

  get secondsLeft(): number {
    return this.left.progress(this.state()).secondsLeft;
  }
}

Deno.test("TimeLeft is the rest of the budget if the budget is enough", () => {
  const run = new Run(180, { ceilings: 2 });
  assertEquals(run.secondsLeft, 180);
  run.left.beginCeilings();
  run.now = 25;
  run.left.endCeilings();
  assertEquals(run.secondsLeft, 155);
  assertEquals(run.left.ceilings, 1);
  run.batch(3, 0.4);
  assertEquals(run.secondsLeft, 152);
});

Deno.test("TimeLeft exceeds a budget that is not enough, from the start on, and learns from each batch", () => {
  const run = new Run(10);
  // By the assumed times, three processes take 46.5 s: each starts in 1.5 s, and takes 0.5 s for
  // each of 28 rows.
  const first = run.secondsLeft;
  assert(first > 21 && first < 60, `${first}`);
  // This machine takes 0.8 s for each row, longer than the assumed 0.5 s.
  run.batch(3.2, 0.1);
  const second = run.secondsLeft;
  assert(second > first, `${second}`);
  while (run.done < 2 * rows) run.batch(3.2, 0.1);
  // After 56 measurements the assumed 0.5 s hardly affects the estimate.
  near(run.secondsLeft, 28 * 0.8 + 1.5, 0.05);
  run.batch(3.2, 0.1);
  near(run.secondsLeft, 24 * 0.8, 0.05);
});

Deno.test("TimeLeft follows the pace if the run ends before the budget", () => {
  const run = new Run(1000);
  run.left.processes = 4;
  while (run.done < 2 * rows) run.batch(2, 5);
  near(run.secondsLeft, 2 * rows * 0.5 + 2 * 1.5, 1e-9);
});

Deno.test("TimeLeft beyond the budget counts the round that has begun, and the ceilings at the end", () => {
  const run = new Run(40, { ceilings: 1 });
  run.left.processes = 4;
  while (run.done < 3 * rows + 8) run.batch(2, 0.1);
  assert(run.now > 40);
  near(run.secondsLeft, 20 * 0.5 + 12, 0.01);
  while (run.done < 4 * rows) run.batch(2, 0.1);
  assertEquals(run.left.progress(run.state()), { done: 112, total: 112, secondsLeft: 12 });
  run.left.beginCeilings();
  run.now += 5;
  assertEquals(run.secondsLeft, 7);
  run.now += 50;
  assertEquals(run.secondsLeft, 0);
});
