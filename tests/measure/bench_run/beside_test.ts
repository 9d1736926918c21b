import { BesideSession, type RunSession } from "../../../src/measure/bench_run/beside.ts";
import type { Batch } from "../../../src/measure/child/session.ts";
import type { Job } from "../../../src/measure/jobs.ts";
import { shapesOf } from "../../../src/measure/workloads/shapes.ts";
import { assert, assertEquals, assertRejects } from "../../support/assert/assert.ts";
import { fromOneProcess } from "../synthetic.ts";

const [shape] = shapesOf("rms-norm", { software: true });

function jobOf(id: number, variant: string): Job {
  return {
    ...{ id, kernel: "rms-norm", pass: id === 2 ? "backward" : "forward", shape: shape! },
    ...{ dtype: "f32", variant, cache: "hot", chosen: true },
  } as Job;
}

/**
 * A session that waits for its turns and measures each job. A `broken` session fails at job 2. One
 * that `dies` throws after its preparation. `asked` lists the batches that it was given.
 */
function fakeSession(name: string, { broken = false, dies = false } = {}) {
  const asked: Batch[] = [];
  const session: RunSession = {
    ceilings: () => Promise.resolve({ ceilings: {}, warnings: [name] }),
    renew: () => Promise.resolve(),
    async measure(batch) {
      asked.push(batch);
      const { jobs, turn, result } = batch;
      const plan = { repeats: 1, spansPerSample: 1, samplesPerVisit: 1 };
      const plans = jobs.map(({ id }) => [id, plan] as const);
      let given = await turn!({ type: "waiting", after: "preparation" });
      if (dies) throw new Error(`${name} cannot open the adapter again`);
      if (given.step === "calibrate") {
        given = await turn!({ type: "waiting", after: "calibration", plans });
      }
      while (given.step === "visit") {
        given = await turn!({ type: "waiting", after: "visit", time: 1 });
      }
      for (const job of jobs) {
        const failed = broken && job.id === 2;
        await result(
          job,
          fromOneProcess({
            ...{ pass: job.pass, variant: job.variant, shape: job.shape.dimensions },
            ...{ kernel: job.kernel, cache: job.cache },
            ...failed
              ? { status: "failed", samples: [] }
              : { correctness: { error: 0, tolerance: 1 } },
          }),
        );
      }
    },
  };
  return { session, asked };
}

const jobs = [jobOf(1, "tile"), jobOf(2, "tile")];
const partners = new Map([[1, jobOf(1, "portable")], [2, jobOf(2, "tile")]]);
const rule = { targetHalfWidth: 0.01, minimumSamples: 6, maximumSamples: 12, budget: 1e7 };

function batch(round: number, results: string[], own = jobs): Batch {
  return {
    ...{ jobs: own, rule, seed: 1, round, checked: [], skipped: () => {} },
    result: (job) => Promise.resolve(void results.push(`${job.id} ${job.variant}`)),
  };
}

Deno.test("BesideSession keeps both sides' measurements apart, checks each job once, and does not retry a failed one", async () => {
  const [own, beside] = [fakeSession("own"), fakeSession("beside", { broken: true })];
  const interrupt = new AbortController();
  const joint = new BesideSession({
    ...{ sessions: [own.session, beside.session], partners, interrupt: interrupt.signal },
  });
  assertEquals((await joint.ceilings()).warnings, ["own"]);
  const results: string[] = [];
  await joint.measure(batch(0, results));
  await joint.measure(batch(1, results));
  assertEquals(results, ["1 tile", "2 tile", "1 tile", "2 tile"], "the run hears of its own only");
  const found = joint.measurements.map(({ variant, status = "ok", processes }) =>
    [variant, status, processes?.map(({ round }) => round).join() ?? ""].join(" ")
  );
  assertEquals(found, ["portable ok 0,1", "tile failed "]);
  assertEquals(beside.asked.map((each) => each.jobs.map(({ id }) => id)), [[1, 2], [1]]);
  assertEquals(beside.asked.map(({ checked }) => checked), [[], [1]]);
  // A job without a partner is measured alone.
  await joint.measure(batch(2, results, [jobOf(3, "tile")]));
  assertEquals(beside.asked.at(-1)!.jobs, []);
});

Deno.test("BesideSession ends the wait when a side fails or an interrupt comes", async () => {
  const interrupt = new AbortController();
  const sessions = [fakeSession("own").session, fakeSession("beside", { dies: true }).session];
  const joint = new BesideSession({
    ...{ sessions: [sessions[0]!, sessions[1]!], partners, interrupt: interrupt.signal },
  });
  await assertRejects(() => joint.measure(batch(0, [])), Error, "beside cannot open");
  const two = new BesideSession({
    sessions: [fakeSession("own").session, fakeSession("beside").session],
    ...{ partners, interrupt: interrupt.signal },
  });
  const slow = { ...batch(0, []), rule: { ...rule, targetHalfWidth: 0, budget: 1e12 }, rounds: 1 };
  const all = two.measure(slow);
  interrupt.abort();
  await all;
  assert(interrupt.signal.aborted);
});
