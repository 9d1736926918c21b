/** Measures one batch of jobs in a measuring process: prepares, checks and samples each. */
import type { Gpu } from "../../gpu/gpu.ts";
import { GpuError } from "../../gpu/gpu_error.ts";
import { referenceKernel, scrubPlan } from "../ceilings/candidates.ts";
import { describeJob, type Job } from "../jobs.ts";
import type { Measurement, MeasurementStatus, Timer } from "../result_file.ts";
import { type SampledWork, sampleWork, type WorkSamples } from "../sampling.ts";
import { beatenCandidates } from "../sampling/race.ts";
import { sampleInTurns } from "../sampling/turns.ts";
import type { GpuTimer } from "../timing.ts";
import type { Workload, WorkloadOptions } from "../workloads.ts";
import { operatorNamed, passNamed } from "../workloads/operators.ts";
import type { CheckResult } from "../workloads/samples.ts";
import { predictRun } from "./limit.ts";
import type { ChildRequest } from "./protocol.ts";
import { messageOf, nextTurn, rest, type Service } from "./service.ts";

const NO_TIME = "no time was left for it";

interface Batch extends Extract<ChildRequest, { type: "batch" }> {
  readonly gpu: Gpu;
  readonly timer: GpuTimer;
}

/** A workload that passed its check, and the jobs that time it. */
interface Checked {
  readonly workload: Workload;
  /** Absent if an earlier process checked the workload. */
  readonly correctness?: CheckResult;
  readonly jobs: readonly Job[];
}

/**
 * Measures a batch of jobs and reports each result as soon as it is known.
 *
 * @throws {GpuError} if the GPU fails
 */
export async function measureBatch(service: Service, batch: Batch): Promise<void> {
  const { gpu, timer, jobs, rule, seed, round = 0 } = batch;
  const { race = false, turns = false, preparation = Infinity } = batch;
  const start = service.clocks.wall();
  const reference = referenceKernel(gpu, service.size);
  const scrub = jobs.some(({ cache }) => cache === "cold") ? scrubPlan(gpu) : undefined;
  const checked: Checked[] = [];
  try {
    for (const group of groups(jobs)) {
      await rest(service);
      if (service.stopped) return;
      if (service.clocks.wall() - start > 1e6 * preparation) {
        for (const { id } of group) service.report({ type: "skipped", id, reason: NO_TIME });
        continue;
      }
      const prepared = await prepare(service, { ...batch, jobs: group });
      if (prepared !== undefined) checked.push(prepared);
    }
    const visits = checked.flatMap((each) => each.jobs.map((job) => ({ ...each, job })));
    const work = visits.map(({ workload, job }): SampledWork => ({
      run: (pass) => workload.plan.encode(pass),
      cache: job.cache,
    }));
    gpu.run([reference.plan, ...scrub === undefined ? [] : [scrub]]);
    await gpu.sync();
    const how = {
      timer,
      reference: (pass: GPUComputePassEncoder) => reference.plan.encode(pass),
      ...scrub === undefined ? {} : { scrub: (pass: GPUComputePassEncoder) => scrub.encode(pass) },
      interrupted: () => service.stopped,
      visit: (index: number) =>
        service.report({ type: "at", id: visits[index]!.job.id, step: "taking samples" }),
      finish(index: number, samples: WorkSamples) {
        const { job, ...known } = visits[index]!;
        const measurement = describe(job, { ...known, timer: timer.timer, samples });
        service.report({ type: "measured", id: job.id, measurement });
      },
    };
    const samples = turns
      ? await sampleInTurns(work, {
        ...how,
        maximumSamples: rule.maximumSamples,
        turn: (state) => nextTurn(service, { state, jobs: visits.map(({ job }) => job) }),
      })
      : await sampleWork(work, {
        ...how,
        rule,
        seed: seed + round,
        ready: () => rest(service),
        ...race ? { beaten: beatenCandidates } : {},
      });
    await gpu.sync();
    if (service.stopped) return;
    visits.forEach(({ job, ...known }, index) => {
      if (samples[index] !== undefined) return;
      const measurement = describe(job, { ...known, timer: timer.timer });
      const warning = job.cache === "cold"
        ? "no data: the clock is too coarse for single runs"
        : "no data: the clock gave no times";
      service.report({
        type: "measured",
        id: job.id,
        measurement: { ...measurement, warnings: [warning] },
      });
    });
  } finally {
    for (const { workload } of checked) workload.dispose();
    reference.dispose();
    scrub?.dispose();
  }
}

// Groups jobs by workload: jobs that differ only in the cache's state share one.
function groups(jobs: readonly Job[]): Job[][] {
  const byWork = new Map<string, Job[]>();
  for (const job of jobs) {
    const key = JSON.stringify([job.kernel, job.pass, job.shape, job.dtype, job.variant]);
    byWork.set(key, [...byWork.get(key) ?? [], job]);
  }
  return [...byWork.values()];
}

// Prepares a group's workload, and checks its answers unless an earlier process did.
async function prepare(service: Service, batch: Batch): Promise<Checked | undefined> {
  const { gpu, jobs, timer, seed, checked = [] } = batch;
  const job = jobs[0]!;
  const isChecked = jobs.every(({ id }) => checked.includes(id));
  const fail = (status: MeasurementStatus, reason: string, workload?: Workload): undefined => {
    for (const job of jobs) {
      const measurement = describe(job, { timer: timer.timer, ...workload && { workload } });
      service.report({
        type: "measured",
        id: job.id,
        measurement: { ...measurement, status, reason },
      });
    }
  };
  service.report({ type: "at", id: job.id, step: "preparing" });
  const tooLong = await overlong(service, { ...batch, jobs });
  if (tooLong !== undefined) {
    for (const { id } of jobs) service.report({ type: "skipped", id, reason: tooLong });
    return undefined;
  }
  let workload: Workload;
  try {
    const { kernel, pass, shape, variant } = job;
    workload = service.createWorkload(gpu, { kernel, pass, shape, variant, seed });
  } catch (error) {
    if (error instanceof GpuError) throw error;
    if (error instanceof RangeError && !job.chosen && job.variant !== "portable") {
      for (const { id } of jobs) service.report({ type: "skipped", id, reason: messageOf(error) });
      return undefined;
    }
    return fail("failed", messageOf(error));
  }
  const step = isChecked ? "compiling" : "compiling and checking";
  service.report({ type: "at", id: job.id, step });
  let correctness: CheckResult | undefined;
  try {
    if (!isChecked) correctness = await workload.check();
    else {
      gpu.run(workload.plan);
      await gpu.sync();
    }
  } catch (error) {
    if (!(error instanceof GpuError) && operatorNamed(job.kernel).digest !== undefined) {
      fail("failed", messageOf(error), workload); // A custom operator's twin failed.
      return void workload.dispose();
    }
    workload.dispose();
    throw error;
  }
  if (correctness === undefined) return { workload, jobs };
  if (correctness.error <= correctness.tolerance) return { workload, correctness, jobs };
  const { output, error, tolerance } = correctness;
  const found = Number.isFinite(error) ? `an error of ${error.toPrecision(3)}` : "no number";
  fail("wrong", `${output} has ${found}, allowed is ${tolerance.toPrecision(3)}`, workload);
  workload.dispose();
  return undefined;
}

/** The parts of a job's measurement that are known so far. */
interface Known {
  readonly timer: Timer;
  readonly workload?: Workload;
  readonly correctness?: CheckResult;
  readonly samples?: WorkSamples;
}

// Returns the reason to skip a group's jobs: a run, or the forward pass that computes its inputs,
// would last too long. Otherwise returns undefined.
async function overlong(
  { createWorkload, longestRun: limit }: Service,
  { gpu, timer, jobs, seed }: Batch,
): Promise<string | undefined> {
  if (limit === undefined) return undefined;
  const { kernel, pass, shape, variant } = jobs[0]!;
  const work: WorkloadOptions[] = [{ kernel, pass, shape, variant, seed }];
  const { inputsFrom } = passNamed(kernel, pass);
  if (inputsFrom !== undefined) work.unshift({ kernel: inputsFrom, pass: "forward", shape, seed });
  for (const each of work) {
    let time: number | undefined;
    try {
      time = await predictRun(gpu, each, { timer, createWorkload, limit });
    } catch (error) {
      if (error instanceof GpuError) throw error;
      return undefined; // `prepare` goes on and reports what is wrong.
    }
    if (time === undefined) continue;
    const seconds = (nanoseconds: number): string => `${(nanoseconds / 1e9).toPrecision(2)} s`;
    return `one call would take about ${seconds(time)} here, and drivers end calls that last ` +
      `long: the limit is ${seconds(limit)}`;
  }
  return undefined;
}

function describe(job: Job, { timer, workload, correctness, samples }: Known): Measurement {
  return {
    ...describeJob(job),
    flops: workload?.cost.flops ?? 0,
    bytes: workload?.cost.bytes ?? 0,
    cache: job.cache,
    timer,
    samples: [],
    ...samples,
    ...correctness === undefined ? {} : { correctness },
  };
}
