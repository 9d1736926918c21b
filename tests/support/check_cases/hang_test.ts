/**
 * Tests of the check for hanging cases: a busy machine must not set it off, a case that hangs must.
 */
import fc from "fast-check";
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { assertEquals, assertRejects } from "../assert/assert.ts";
import { checkCases } from "../check_cases.ts";
import { HangError, type HangOptions, unlessHanging } from "./hang.ts";
import { softwareInfo } from "../tuned_choice.ts";

/**
 * Clocks of a process that gets `share` of a core. Each reading of the wall clock advances it by
 * `step` s.
 */
function machine({ share, step = 10 }: { share: number; step?: number }): HangOptions {
  let wall = 0;
  const clocks = { wall: () => wall += 1000 * step, cpu: () => share * wall };
  return { clocks, period: 0 };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

const forever = () => new Promise<void>(() => {});

Deno.test("unlessHanging() lets work end that a busy machine makes slow", async () => {
  // 20 turns of the event loop take at least 5,000 s by the clock of `machine`. The process gets a
  // share of 4 % of a core, as beside 25 busy threads per core.
  await unlessHanging(() => turns(20), machine({ share: 0.04, step: 250 }));
});

Deno.test("unlessHanging() ends a wait for what never comes, and an endless computation", async () => {
  const waiting = machine({ share: 0 }), computing = machine({ share: 2 });
  await assertRejects(() => unlessHanging(forever, waiting), HangError, "of CPU time and 610 s");
  await assertRejects(() => unlessHanging(forever, computing), HangError, "0 s without any");
});

Deno.test("unlessHanging() notices idleness after work, and the CPU time of other tests", async () => {
  let wall = 0;
  // The process is busy for the first 300 s, then idle.
  const clocks = { wall: () => wall += 10_000, cpu: () => Math.min(wall, 300_000) };
  await assertRejects(() => unlessHanging(forever, { clocks, period: 0 }), HangError);
  // 16 threads of other tests use 600 s of CPU time within 38 s. That must not count as endless.
  await unlessHanging(() => turns(3), machine({ share: 16, step: 20 }));
});

Deno.test("unlessHanging() passes on an error and takes no longer than the work", async () => {
  const fail = () => Promise.reject(new TypeError("wrong"));
  await assertRejects(() => unlessHanging(fail, {}), TypeError, "wrong");
  await unlessHanging(() => Promise.resolve());
});

Deno.test("checkCases() reports the case that hangs as it was drawn, at once", async () => {
  using gpu = createDryGpu(softwareInfo);
  const checked: number[] = [];
  const run = () =>
    checkCases(gpu, {
      name: "hang",
      arbitrary: fc.integer({ min: 0, max: 1000 }),
      examples: [3, 700, 5],
      runs: 10,
      seed: 1,
      check(drawn) {
        checked.push(drawn);
        return drawn > 100 ? forever() : Promise.resolve();
      },
    }, { hang: machine({ share: 0 }) });
  await assertRejects(run, Error, "Counterexample: [700]");
  assertEquals(checked, [3, 700]);
});
