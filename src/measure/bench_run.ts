/**
 * A run of the bench under way: ceilings, then jobs in batches within a budget, then the ceilings
 * once more, and the result file as it stands after each step. The command and the browser's page
 * share it; where the file is kept is theirs.
 */
import { mergeCeilings } from "./ceilings.ts";
import { type MeasuringSession, NO_CEILINGS, type OpenedAdapter } from "./child/session.ts";
import type { Job } from "./jobs.ts";
import type { Measurement, ResultFile } from "./result_file.ts";
import { batchJobs, isOf } from "./jobs.ts";
import type { StoppingRule } from "./sampling/stopping.ts";

/** A run's progress. */
export interface RunProgress {
  readonly done: number;
  readonly total: number;
  /** What is being done. */
  readonly text: string;
}

/** What a {@linkcode BenchRun} is made of. */
export interface BenchRunOptions {
  /** Without measurements, or incomplete. */
  readonly file: ResultFile;
  readonly opened: OpenedAdapter;
  readonly jobs: readonly Job[];
  readonly seed: number;
  /** Seconds for the whole run; undefined leaves it to the adapter. */
  readonly budget: number | undefined;
  /** Keeps the file as it stands; waited for. */
  readonly keep: (file: ResultFile) => void | Promise<void>;
  readonly progress: (progress: RunProgress) => void;
  /** Called with the jobs that this adapter cannot run, and why. */
  readonly skipped?: (job: Job, reason: string) => void;
}

const BUDGET = { hardware: 240, software: 180 };
/** The least budget, in seconds, that has time for ceilings that can be trusted. */
const CEILINGS_BUDGET = 30;
/** A measurement gets at least this long, in seconds, however little of the budget is left. */
const LEAST_SECONDS = 0.5;

/** Measures jobs into a result file. */
export class BenchRun {
  readonly #options: BenchRunOptions;
  #jobs: readonly Job[];
  #file: ResultFile;
  #text = "";

  /** Measures nothing yet. */
  constructor(options: BenchRunOptions) {
    this.#options = options;
    this.#jobs = options.jobs;
    const { file } = options;
    // What an interrupt cut short is measured again.
    const measurements = file.measurements.filter((each) => each.stopReason !== "interrupted");
    this.#file = { ...file, measurements };
  }

  /** The result file as it stands. */
  get file(): ResultFile {
    return this.#file;
  }

  /**
   * Tells where the run stands.
   *
   * @param step what is being done
   * @param job for which job, if for one
   */
  show(step: string, job?: Job): void {
    if (job !== undefined) this.#text = `${job.kernel} ${job.pass} ${job.shape.name}`;
    const text = job === undefined ? step : `${this.#text}, ${step}`;
    this.#options.progress({ done: this.#done.length, total: this.#jobs.length, text });
  }

  get #done(): readonly Job[] {
    return this.#jobs.filter((job) => this.#file.measurements.some((each) => isOf(each, job)));
  }

  /**
   * Measures what is left.
   *
   * @param session with its adapter open
   * @param interrupt ends the run in good order
   * @throws {Error} if a new child cannot open the adapter again, or the file cannot be kept
   */
  async measure(session: MeasuringSession, interrupt: AbortSignal): Promise<void> {
    const { seed, budget, opened: { info: { software } }, skipped } = this.#options;
    const start = performance.now();
    const seconds = budget ?? (software ? BUDGET.software : BUDGET.hardware);
    const base = {
      targetHalfWidth: software ? 0.02 : 0.01,
      minimumSamples: 10,
      maximumSamples: 200,
    };
    const { settings } = this.#file;
    await this.#change({
      settings: {
        ...settings,
        targetHalfWidth: base.targetHalfWidth,
        maximumSamples: base.maximumSamples,
        budgetSeconds: seconds,
      },
    });
    const withCeilings = seconds >= CEILINGS_BUDGET;
    if (withCeilings) await this.#measureCeilings(session, interrupt);
    else {
      await this.warn(
        `no ceilings with --budget=${seconds}: they take time, so shares of the roofline are left ` +
          `out; --budget=${CEILINGS_BUDGET} or more measures them`,
      );
    }
    const done = this.#done;
    const left = this.#jobs.filter((job) => !done.includes(job));
    let waiting = left.length;
    for (const jobs of batchJobs(left, seed)) {
      if (interrupt.aborted) break;
      const spent = (performance.now() - start) / 1000;
      const share = Math.max(LEAST_SECONDS, (seconds - spent) / waiting);
      const rule: StoppingRule = { ...base, budget: 1e9 * share };
      waiting -= jobs.length;
      await session.measure({
        jobs,
        rule,
        seed,
        result: (_job, measurement) => this.#add(measurement),
        skipped: (job, reason) => {
          this.#jobs = this.#jobs.filter((other) => other !== job);
          skipped?.(job, reason);
        },
      });
    }
    // Once more: whatever else the machine did at the beginning, it may have ended since.
    if (!interrupt.aborted && left.length > 0 && withCeilings) {
      await this.#measureCeilings(session, interrupt);
    }
    const complete = this.#done.length === this.#jobs.length &&
      this.#file.measurements.every((each) => each.stopReason !== "interrupted");
    await this.#change({ status: complete ? "complete" : "incomplete" });
  }

  /** Adds what the reader of the file should know. */
  async warn(warning: string): Promise<void> {
    await this.#change({ warnings: [...new Set([...this.#file.warnings ?? [], warning])] });
  }

  async #measureCeilings(session: MeasuringSession, interrupt: AbortSignal): Promise<void> {
    const found = await session.ceilings();
    const ceilings = mergeCeilings(this.#file.ceilings, found.ceilings);
    const measured = Object.keys(ceilings).length > 0;
    // What an interrupt ended is measured when the run goes on, and a warning that no longer holds
    // is none.
    const warnings = [...new Set([...this.#file.warnings ?? [], ...found.warnings])]
      .filter((each) => !(each.startsWith(NO_CEILINGS) && (measured || interrupt.aborted)));
    await this.#change({ ceilings, warnings });
  }

  async #add(measurement: Measurement): Promise<void> {
    const measurements = [...this.#file.measurements, measurement];
    // In the order of the jobs, whatever the order of measuring was.
    const place = (each: Measurement): number => this.#jobs.findIndex((job) => isOf(each, job));
    measurements.sort((a, b) => place(a) - place(b));
    await this.#change({ measurements });
    this.show("done");
  }

  async #change(changes: Partial<ResultFile>): Promise<void> {
    this.#file = { ...this.#file, ...changes };
    await this.#options.keep(this.#file);
  }
}

/**
 * The default name of a result file.
 *
 * @param file the run
 * @returns for example `2026-11-24T20-15-00-llvmpipe-deno`
 */
export function resultFileName(file: ResultFile): string {
  const date = file.date.replace(/\..*/, "").replaceAll(":", "-");
  const adapter = file.adapter.description || file.adapter.vendor;
  const name = [adapter, file.runtime.name, file.label ?? ""].join(" ").toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "").slice(0, 80);
  return `${date}-${name}`;
}

/**
 * What a result file says of an opened adapter.
 *
 * @param opened what the child said of it
 */
export function describeAdapter({ info }: OpenedAdapter): ResultFile["adapter"] {
  const { runtime: _, ...adapter } = info;
  return adapter;
}
