import { BenchRun, resultFileName } from "../../src/measure/bench_run.ts";
import type { Job } from "../../src/measure/jobs.ts";
import { ChildReports } from "../../src/measure/child/reports.ts";
import {
  type Batch,
  type MeasuringSession,
  NO_CEILINGS,
  type OpenedAdapter,
} from "../../src/measure/child/session.ts";
import type { Measurement, ResultFile } from "../../src/measure/result_file.ts";
import { parseResultFile } from "../../src/measure/result_file/parse.ts";
import { shapesOf } from "../../src/measure/workloads/shapes.ts";
import text from "../../fixtures/lavapipe-deno.json" with { type: "text" };
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";

const fixture = parseResultFile(text, "fixture");
// The answer of a child: a measurement by one process, which does not list processes.
const { processes: _, ...single } = fixture.measurements[0]!;
const opened = {
  type: "opened",
  info: { software: true },
  timer: fixture.measurements[0]!.timer,
  warnings: [],
} as unknown as OpenedAdapter;

function jobsOf(count: number): Job[] {
  return shapesOf("rms-norm", { grid: "full", software: true }).slice(0, count).map((
    shape,
    id,
  ) => ({
    ...{ id, kernel: "rms-norm", pass: "forward", shape, dtype: "f32", variant: "portable" },
    ...{ cache: "hot", chosen: true },
  } as Job));
}

/**
 * A session that measures without delay, takes the jobs in reverse order, and skips job 1. `asked`
 * records its calls: for a batch the round, the jobs, and the jobs that need no check.
 */
function fakeSession({ during = () => {} }: { readonly during?: () => void } = {}) {
  const asked: string[] = [];
  const session = {
    ceilings() {
      asked.push("ceilings");
      during();
      return Promise.resolve(
        asked.length > 1
          ? { ceilings: fixture.ceilings, warnings: ["a warning"] }
          : { ceilings: {}, warnings: [`${NO_CEILINGS}the process ended by SIGTERM`] },
      );
    },
    renew: () => Promise.resolve(void asked.push("renew")),
    async measure({ jobs, result, skipped, rule, round, checked }: Batch) {
      asked.push(`${round} ${jobs.map(({ id }) => id).sort()} ${checked}`);
      assert(rule.budget > 0);
      for (const job of jobs.toReversed()) {
        if (job.id === 1) skipped(job, "too long");
        else {
          await result(job, {
            ...single,
            ...{ kernel: job.kernel, pass: job.pass, variant: job.variant, cache: job.cache },
            shape: job.shape.dimensions,
          });
        }
      }
    },
  };
  return { session: session as unknown as MeasuringSession, asked };
}

async function run(
  budget: number,
  { warnings = [], interrupted = false, measurements = [] }: {
    readonly warnings?: readonly string[];
    readonly interrupted?: boolean;
    readonly measurements?: ResultFile["measurements"];
  } = {},
) {
  const interrupt = new AbortController();
  const { session, asked } = fakeSession({ during: () => interrupted && interrupt.abort() });
  const kept: ResultFile[] = [];
  const skipped: string[] = [];
  const jobs = jobsOf(3);
  const bench = new BenchRun({
    file: {
      ...{ ...fixture, measurements, ceilings: {}, status: "incomplete", warnings },
      settings: { processes: 4 },
    },
    opened,
    jobs,
    seed: 1,
    budget,
    keep: (file) => void kept.push(file),
    progress: () => {},
    skipped: ({ id }, reason) => skipped.push(`${id} ${reason}`),
  });
  await bench.measure(session, interrupt.signal);
  return { bench, kept, asked, skipped, jobs };
}

Deno.test("BenchRun measures ceilings before and after, and keeps rows in the order of the jobs", async () => {
  const { bench, kept, asked, skipped, jobs } = await run(180);
  assertEquals(asked.filter((each) => each === "ceilings").length, 2);
  assertEquals(skipped, ["1 too long"]);
  const shapes = bench.file.measurements.map(({ shape }) => shape);
  assertEquals(shapes, [jobs[0]!.shape.dimensions, jobs[2]!.shape.dimensions]);
  assertEquals(bench.file.status, "complete");
  assertEquals(bench.file.warnings, ["a warning"], "the first failure was made good");
  // Each round has one process. Later rounds skip the checks that the jobs passed in the first
  // round.
  assertEquals(asked, [
    ...["ceilings", "0 0,1,2 ", "renew", "1 0,2 0,2", "renew", "2 0,2 0,2", "renew", "3 0,2 0,2"],
    "ceilings",
  ]);
  for (const { processes, samples } of bench.file.measurements) {
    assertEquals(processes?.map(({ round }) => round), [0, 1, 2, 3]);
    assertEquals(samples.length, 4 * fixture.measurements[0]!.samples.length);
  }
  // BenchRun kept a file after each step, and each file is valid.
  assert(kept.length >= 5);
  for (const file of kept) parseResultFile(JSON.stringify(file), "kept");
  assertEquals(kept.at(-2)!.status, "incomplete");
});

Deno.test("BenchRun resumes in the middle of the rounds, and keeps the number of processes", async () => {
  const whole = (await run(180)).bench.file;
  const [first, second] = whole.measurements;
  // An interrupt in round 2 leaves a file like this: one row has all samples of three processes; in
  // another row the third process was cut short.
  const cut = (measurement: Measurement, count: number, stopReason: "budget" | "interrupted") => ({
    ...measurement,
    ...{
      stopReason,
      samples: measurement.samples.slice(0, measurement.samples.length / 4 * count),
    },
    ...{ processes: measurement.processes!.slice(0, count) },
    rounds: measurement.rounds!.slice(0, measurement.rounds!.length / 4 * count),
    cpuSamples: measurement.cpuSamples!.slice(0, measurement.samples.length / 4 * count),
    throttleSamples: measurement.throttleSamples!
      .slice(0, measurement.throttleSamples!.length / 4 * count),
    driftingSamples: [],
  });
  const { bench, asked } = await run(5, {
    measurements: [cut(first!, 3, "budget"), cut(second!, 3, "interrupted")],
  });
  const rounds = asked.filter((each) => /^\d/.test(each));
  assertEquals(rounds.map((each) => each.replace(/ .*/, "")), ["0", "2", "3"]);
  assertEquals(rounds.slice(1).map((each) => each.split(" ")[1]), ["2", rounds[2]!.split(" ")[1]]);
  assertEquals(bench.file.status, "complete");
  for (const { processes } of bench.file.measurements) {
    assertEquals(processes?.map(({ round }) => round), [0, 1, 2, 3]);
  }
});

Deno.test("BenchRun ends after three processes if there is no time for more", async () => {
  const { bench, asked } = await run(1e-9);
  assertEquals(asked.filter((each) => /^\d/.test(each)).map((each) => each[0]), ["0", "1", "2"]);
  assertEquals([bench.file.settings.processes, bench.file.status], [3, "complete"]);
});

Deno.test("BenchRun skips the ceilings, and says so, if the time is too short to measure them well", async () => {
  const { asked, bench } = await run(5);
  assert(!asked.includes("ceilings"));
  assertEquals(bench.file.ceilings, {});
  assertStringIncludes(bench.file.warnings?.[0] ?? "", "no ceilings with --budget=5");
});

Deno.test("BenchRun warns of missing ceilings neither after an interrupt nor once they are measured", async () => {
  const interrupted = await run(180, { interrupted: true });
  assertEquals(interrupted.bench.file.warnings, []);
  assertEquals(interrupted.bench.file.status, "incomplete");
  const resumed = await run(180, { warnings: [`${NO_CEILINGS}the process ended`, "another"] });
  assertEquals(resumed.bench.file.warnings, ["another", "a warning"]);
});

Deno.test("resultFileName() is a name on every system, whatever the adapter is called", () => {
  const file: ResultFile = {
    ...fixture,
    label: "../../etc/<b>",
    adapter: { vendor: "x", description: "GPU\u202e/\\:*?".repeat(40) },
  };
  assert(/^[\dT-]+-[a-z0-9-]{1,80}$/.test(resultFileName(file)), resultFileName(file));
});

Deno.test("ChildReports returns reports in order, tells silence from the end, and can be hurried", async () => {
  const reports = new ChildReports();
  reports.add({ type: "idle" });
  const broken = { type: "broken", reason: "it broke" } as const;
  reports.add(broken);
  assertEquals([await reports.next(10), await reports.next(10)], [{ type: "idle" }, broken]);
  assertEquals(await reports.next(5), { type: "silent" });
  const late = reports.next(60_000);
  reports.add({ type: "idle" });
  assertEquals(await late, { type: "idle" });
  const hurried = reports.next(60_000);
  reports.hurry(5);
  assertEquals(await hurried, { type: "silent" });
  reports.add({ type: "idle" });
  reports.end("killed");
  reports.end("once more");
  // Reports sent before the end still arrive.
  assertEquals(await reports.next(10), { type: "idle" });
  assertEquals(await reports.next(10), { type: "ended", reason: "killed" });
});
