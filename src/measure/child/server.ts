/**
 * The measuring side of a child process: opens a GPU, measures what it is asked, reports each
 * result as soon as it is known, and says before every step what it is at, since a kernel may take
 * the process with it.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { GpuError } from "../../gpu/gpu_error.ts";
import type { OpenGpuOptions } from "../../ops/open_gpu_options.ts";
import {
  ceilingCandidates,
  type CeilingSize,
  referenceKernel,
  scrubPlan,
  usualCeilingSize,
} from "../ceilings/candidates.ts";
import { measureCeilings } from "../ceilings.ts";
import type { OperatorOutline } from "../custom_operator/outline.ts";
import { type ChildReport, type ChildRequest, type ChildTurn, TURNS } from "./protocol.ts";
import { describeJob, type Job } from "../jobs.ts";
import type { Measurement, MeasurementStatus, Timer } from "../result_file.ts";
import { operatorNamed, passNamed } from "../workloads/operators.ts";
import { ceilingSizeWithin, predictRun } from "./limit.ts";
import { type SampledWork, sampleWork, type WorkSamples } from "../sampling.ts";
import { GpuTimer, type HostClocks } from "../timing.ts";
import { beatenCandidates } from "../sampling/race.ts";
import { sampleInTurns, type Turn, type TurnState } from "../sampling/turns.ts";
import type { Workload, WorkloadOptions } from "../workloads.ts";
import type { CheckResult } from "../workloads/samples.ts";
import {
  chosenVariant,
  namedVariantsOf,
  tunedVariant,
  unfitVariants,
  variantsOf,
} from "../workloads/variants.ts";

/** What a child process measures with: its parent's requests, clocks, a GPU, and workloads. */
export interface ServeOptions {
  readonly requests: AsyncIterable<ChildRequest>;
  /** Writes a line at once: the process may die in the next moment. */
  readonly write: (line: string) => void;
  readonly clocks: HostClocks;
  readonly openGpu: (options: OpenGpuOptions) => Promise<Gpu>;
  readonly createWorkload: (gpu: Gpu, options: WorkloadOptions) => Workload;
  /** Runs the file of a custom operator and adds the operator; called at most once. */
  readonly loadOperator?: () => Promise<OperatorOutline>;
}

/** Why a job without time left was skipped. */
export const NO_TIME = "no time was left for it";

interface Service extends ServeOptions {
  readonly report: (report: ChildReport) => void;
  /** The custom operator, once it is loaded. */
  outline?: OperatorOutline | undefined;
  gpu?: Gpu;
  timer?: GpuTimer;
  /** The size of the ceilings' kernels. */
  size?: CeilingSize;
  /** The longest run allowed, in ns. */
  longestRun?: number | undefined;
  stopped: boolean;
  paused: boolean;
  /** The turn that was given and has not begun. */
  turn: ChildTurn | undefined;
  /** Ends a rest early. */
  wake: () => void;
}

/**
 * Serves requests until they end, or until the GPU has failed.
 *
 * @param options the streams, the clocks, and what makes workloads
 */
export async function serve(options: ServeOptions): Promise<void> {
  const service: Service = {
    ...options,
    stopped: false,
    paused: false,
    turn: undefined,
    wake: () => {},
    report: (report) => options.write(JSON.stringify(report) + "\n"),
  };
  const queue: ChildRequest[] = [];
  let wake: () => void = () => {};
  let ended = false;
  // Read beside the work, so that a stop, or the end of the bench, is noticed between two samples.
  void (async () => {
    for await (const request of options.requests) {
      if (request.type === "stop") service.stopped = true;
      else if (request.type === "pause") service.paused = true;
      else if (request.type === "resume") service.paused = false;
      else if (request.type === "turn") service.turn = request.turn;
      else queue.push(request);
      wake();
      service.wake();
    }
    ended = true;
    service.stopped = true;
    wake();
  })();
  while (!ended) {
    const request = service.stopped ? undefined : queue.shift();
    if (request === undefined) {
      if (service.stopped) break;
      await new Promise<void>((resolve) => wake = resolve);
      continue;
    }
    try {
      await answer(service, request);
      service.report({ type: "idle" });
    } catch (error) {
      service.report({ type: "broken", reason: messageOf(error) });
      break;
    }
  }
  service.timer?.dispose();
  service.gpu?.dispose();
}

async function answer(service: Service, request: ChildRequest): Promise<void> {
  if (request.type === "describe" || request.type === "open") {
    // Loaded before the adapter opens, because opening it reads the tuned choices of known
    // operators.
    service.outline ??= await service.loadOperator?.();
  }
  if (request.type === "describe") {
    if (service.outline === undefined) throw new Error("there is no custom operator");
    service.report({ type: "described", outline: service.outline });
    return;
  }
  if (request.type === "open") {
    service.report({ type: "at", id: null, step: "opening the adapter" });
    const gpu = service.gpu = await service.openGpu(request.options);
    service.report({ type: "at", id: null, step: "calibrating the clock" });
    const timer = service.timer = await GpuTimer.open(gpu, { clocks: clocksFor(gpu, service) });
    const limit = service.longestRun = request.longestRun;
    service.size = limit === undefined
      ? usualCeilingSize(gpu)
      : await ceilingSizeWithin(gpu, { timer, limit });
    const warnings = timer.warning === undefined ? [] : [timer.warning];
    const opened = { info: gpu.info, timer: timer.timer, warnings, turns: TURNS };
    service.report({ type: "opened", ...opened });
    return;
  }
  const { gpu, timer } = service;
  if (gpu === undefined || timer === undefined) throw new Error("the adapter is not open");
  if (request.type === "choose") {
    const chosen = request.questions.map((question) => {
      const { kernel, pass } = question;
      let known: readonly string[] = [];
      try {
        known = [...variantsOf(kernel, pass), ...namedVariantsOf(kernel, pass)];
        const name = chosenVariant(gpu, question);
        const unfit = unfitVariants(gpu, question, request.named ?? []);
        return { name, tuned: tunedVariant(gpu, question) === name, unfit, known };
      } catch {
        // The preparation that follows says what is wrong with the shape.
        return { name: "portable", tuned: false, unfit: {}, known };
      }
    });
    service.report({
      type: "chosen",
      names: chosen.map(({ name }) => name),
      tuned: chosen.map(({ tuned }) => tuned),
      unfit: chosen.map(({ unfit }) => unfit),
      known: chosen.map(({ known }) => known),
    });
  } else if (request.type === "ceilings") {
    const found = await measureCeilings(gpu, {
      timer,
      groups: ceilingCandidates(gpu, service.size),
      async progress({ name }) {
        await rest(service);
        service.report({ type: "at", id: null, step: `ceiling ${name}` });
      },
    });
    service.report({ type: "ceilings", ...found });
  } else if (request.type === "batch") {
    await measureBatch(service, { ...request, gpu, timer });
  }
}

// During a pause: tells the waiting bench that an answer will come.
async function rest(service: Service): Promise<void> {
  while (service.paused && !service.stopped) {
    service.report({ type: "at", id: null, step: "paused" });
    const { promise, resolve } = Promise.withResolvers<void>();
    service.wake = resolve;
    const timer = setTimeout(resolve, 1000);
    await promise;
    clearTimeout(timer);
  }
}

// Says that it waits, and sleeps until it is given its turn, or stopped.
async function nextTurn(
  service: Service,
  { state: { after, plans, time }, jobs }: {
    readonly state: TurnState;
    readonly jobs: readonly Job[];
  },
): Promise<Turn> {
  service.report({
    type: "waiting",
    after,
    ...plans && { plans: [...plans].map(([index, plan]) => [jobs[index]!.id, plan] as const) },
    ...time === undefined ? {} : { time },
  });
  while (service.turn === undefined && !service.stopped) {
    await new Promise<void>((resolve) => service.wake = resolve);
  }
  const { turn } = service;
  service.turn = undefined;
  if (turn === undefined) return { step: "end", reasons: new Map() };
  const indexOf = (id: number): number => jobs.findIndex((job) => job.id === id);
  if (turn.step === "calibrate") return turn;
  if (turn.step === "visit") {
    const { step, id, sweep, plan } = turn;
    return { step, index: indexOf(id), sweep, plan };
  }
  return { step: "end", reasons: new Map(turn.reasons.map(([id, why]) => [indexOf(id), why])) };
}

// The process's CPU time is the driver's where the driver computes on the CPU; elsewhere it says
// nothing.
function clocksFor(gpu: Gpu, { clocks }: Service): HostClocks {
  return gpu.info.software ? clocks : { wall: clocks.wall };
}

interface Batch extends Extract<ChildRequest, { type: "batch" }> {
  readonly gpu: Gpu;
  readonly timer: GpuTimer;
}

/** A workload that passed its check, and the jobs that time it. */
interface Checked {
  readonly workload: Workload;
  /** Absent if an earlier process checked it. */
  readonly correctness?: CheckResult;
  readonly jobs: readonly Job[];
}

async function measureBatch(service: Service, batch: Batch): Promise<void> {
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

// Jobs that differ in the cache's state only share a workload.
function groups(jobs: readonly Job[]): Job[][] {
  const byWork = new Map<string, Job[]>();
  for (const job of jobs) {
    const key = JSON.stringify([job.kernel, job.pass, job.shape, job.dtype, job.variant]);
    byWork.set(key, [...byWork.get(key) ?? [], job]);
  }
  return [...byWork.values()];
}

// Speed is reported of right answers only.
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
      fail("failed", messageOf(error), workload); // a fault of a custom operator's twin
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

/** What is known of a job's measurement. */
interface Known {
  readonly timer: Timer;
  readonly workload?: Workload;
  readonly correctness?: CheckResult;
  readonly samples?: WorkSamples;
}

// Why a run, or the forward pass before it, would last too long; undefined if it would not.
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
      return undefined; // what is wrong with the shape shows when the whole is prepared
    }
    if (time === undefined) continue;
    const seconds = (nanoseconds: number): string => `${(nanoseconds / 1e9).toPrecision(2)} s`;
    return `a run of it would take about ${seconds(time)} here, and drivers end what lasts long: ` +
      `the limit is ${seconds(limit)}`;
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

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, " ").slice(0, 1900);
}
