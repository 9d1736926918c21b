/**
 * Runs the bench: measures all jobs in rounds, within a budget of time. It measures the ceilings
 * before and after the rounds, unless the budget is short or two versions are measured in turns.
 *
 * Each round is a new process (in a browser: a Worker with a new device) and measures every job in
 * a new random order. All samples of a process share its memory layout, its compiled code and the
 * other programs that run at that time. So comparisons need several processes.
 *
 * Source: T. Kalibera, R. Jones, Rigorous benchmarking in reasonable time (2013).
 */
import { mergeCeilings } from "./ceilings.ts";
import { NO_CEILINGS, type OpenedAdapter } from "./child/session.ts";
import type { Job } from "./jobs.ts";
import type { Measurement, ResultFile } from "./result_file.ts";
import type { RunSession } from "./bench_run/beside.ts";
import { Measured } from "./bench_run/measured.ts";
import { LEAST_SECONDS, TimeLeft } from "./bench_run/time_left.ts";
import { batchJobs } from "./jobs.ts";
import { hasRound, LEAST_PROCESSES, processesWithin, withoutInterrupted } from "./rounds.ts";
import type { StoppingRule } from "./sampling/stopping.ts";

/** A run's progress. */
export interface RunProgress {
  /** The number of finished measurements. A row that three processes measured counts as three. */
  readonly done: number;
  /** The number of measurements expected in the whole run. It falls if processes are slow. */
  readonly total: number;
  /** The current step. */
  readonly text: string;
  /** About how many seconds remain. */
  readonly secondsLeft: number;
}

/** Options of {@linkcode BenchRun}. */
export interface BenchRunOptions {
  /** The file to fill: a new one without measurements, or an incomplete one to continue. */
  readonly file: ResultFile;
  readonly opened: OpenedAdapter;
  readonly jobs: readonly Job[];
  readonly seed: number;
  /** Seconds for the whole run; undefined for the adapter's default. */
  readonly budget: number | undefined;
  /** Whether each round has two processes that measure in turns. Default false. */
  readonly inTurns?: boolean;
  /** Stores the current file. The run waits until the returned promise resolves. */
  readonly keep: (file: ResultFile) => void | Promise<void>;
  readonly progress: (progress: RunProgress) => void;
  readonly skipped?: (job: Job, reason: string) => void;
}

const BUDGET = { hardware: 240, software: 180 };
/** The least budget, in seconds, that leaves time for reliable ceilings. */
const CEILINGS_BUDGET = 30;
/** The most time kept for the ceilings' second measurement, as a share of the budget. */
const CLOSING_SHARE = 0.25;

/**
 * The file is stored after measurements, but not so often that storing takes more than about this
 * share of the time. Storing is slow, because it checks each of thousands of samples.
 */
const KEEPING_SHARE = 0.05;

/** Measures jobs into a result file. */
export class BenchRun {
  readonly #options: BenchRunOptions;
  #jobs: readonly Job[];
  #file: ResultFile;
  readonly #measured: Measured;
  /**
   * A measurement that ends before this time, on the clock of `performance.now()`, does not cause
   * the file to be stored; the next store includes it.
   */
  #keepFrom = 0;
  #text = "";
  #processes: number;
  readonly #timeLeft: TimeLeft;
  /** The end of the budget, on the clock of `performance.now()`. */
  #end = Infinity;

  /** Measures nothing yet. */
  constructor(options: BenchRunOptions) {
    this.#options = options;
    this.#jobs = options.jobs;
    const { opened: { info: { software } }, inTurns = false } = options;
    this.#timeLeft = new TimeLeft({ software, inTurns });
    this.#processes = options.file.settings.processes ?? LEAST_PROCESSES;
    const measurements = options.file.measurements.flatMap(withoutInterrupted);
    this.#measured = new Measured(options.jobs, measurements);
    this.#file = { ...options.file, measurements };
  }

  /** The current result file. */
  get file(): ResultFile {
    return this.#file;
  }

  /** Reports the run's progress. */
  show(step: string, job?: Job): void {
    if (job !== undefined) this.#text = `${job.kernel} ${job.pass} ${job.shape.name}`;
    const text = job === undefined ? step : `${this.#text}, ${step}`;
    const { done, total, secondsLeft } = this.#timeLeft.progress({
      measurements: this.#file.measurements,
      perProcess: this.#jobs.length,
      end: this.#end,
    });
    this.#options.progress({ done, total, text, secondsLeft });
  }

  // The jobs that a round still has to measure. A job that failed once is not tried again.
  #waiting(round: number): Job[] {
    return this.#jobs.filter((job) => {
      const measurement = this.#measured.of(job);
      return measurement === undefined || !hasRound(measurement, round);
    });
  }

  /**
   * Measures the remaining jobs.
   *
   * @param session a session with an open adapter
   * @param interrupt ends the run after the current sample
   * @throws {Error} if a new child cannot open the adapter again, if a child leaves out a result,
   *   or if the file cannot be stored
   */
  async measure(session: RunSession, interrupt: AbortSignal): Promise<void> {
    const { budget, opened: { info: { software } }, inTurns = false } = this.#options;
    const start = performance.now();
    const seconds = budget ?? (software ? BUDGET.software : BUDGET.hardware);
    this.#end = start + 1000 * seconds;
    const { settings } = this.#file;
    // A continued file keeps its number of processes.
    const processes = this.#processes = this.#timeLeft.processes = settings.processes ??
      processesWithin(seconds / (inTurns ? 2 : 1), this.#jobs.length);
    const rule = {
      targetHalfWidth: software ? 0.02 : 0.01,
      minimumSamples: 6,
      maximumSamples: Math.max(12, Math.ceil(200 / processes)),
    };
    await this.#change({
      settings: {
        ...settings,
        targetHalfWidth: rule.targetHalfWidth,
        maximumSamples: rule.maximumSamples,
        budgetSeconds: seconds,
        processes,
      },
    });
    const withCeilings = seconds >= CEILINGS_BUDGET && !inTurns;
    this.#timeLeft.ceilings = withCeilings ? 2 : 0;
    if (withCeilings) await this.#measureCeilings(session, interrupt);
    else if (inTurns) {
      await this.warn(
        "no ceilings with --beside, because the comparison takes the time: shares of the roofline are " +
          "left out; a run without --beside has them",
      );
    } else {
      await this.warn(
        `no ceilings with --budget=${seconds}, because they take more time: shares of the roofline are ` +
          `left out; a run with --budget=${CEILINGS_BUDGET} or more has them`,
      );
    }
    const spent = performance.now() - start;
    const closing = withCeilings ? Math.min(spent, CLOSING_SHARE * 1000 * seconds) : 0;
    let rounds = 0;
    let shortest = 0;
    for (let round = 0; round < processes && !interrupt.aborted; round++) {
      if (this.#waiting(round).length === 0) continue;
      const now = performance.now();
      const left = this.#end - closing - now;
      // On a busy machine rounds take longer than expected. Leave out the remaining rounds if the
      // time left is less than half of the shortest round's.
      if (round >= LEAST_PROCESSES && left < shortest / 2) {
        this.#processes = round;
        await this.#change({ settings: { ...this.#file.settings, processes: round } });
        break;
      }
      if (rounds++ > 0) await session.renew();
      if (shortest > 0) {
        const further = Math.max(LEAST_PROCESSES - round, Math.round(left / shortest));
        this.#timeLeft.processes = Math.min(processes, round + further);
      }
      const end = now + left / (processes - round);
      await this.#measureRound(session, { round, rule, end, interrupt });
      const taken = performance.now() - now;
      shortest = shortest === 0 ? taken : Math.min(shortest, taken);
    }
    // Measure the ceilings again: other programs that slowed the machine at the beginning may have
    // ended.
    if (!interrupt.aborted && rounds > 0 && withCeilings) {
      await this.#measureCeilings(session, interrupt);
    }
    const rest = Array.from({ length: this.#processes }, (_, round) => this.#waiting(round)).flat();
    const complete = rest.length === 0 &&
      this.#file.measurements.every((each) => each.stopReason !== "interrupted");
    await this.#change({ status: complete ? "complete" : "incomplete" });
  }

  async #measureRound(
    session: RunSession,
    { round, rule, end, interrupt }: {
      readonly round: number;
      readonly rule: Omit<StoppingRule, "budget">;
      readonly end: number;
      readonly interrupt: AbortSignal;
    },
  ): Promise<void> {
    const { seed, skipped } = this.#options;
    const left = this.#waiting(round);
    const checked = this.#jobs
      .filter((job) => this.#measured.of(job)?.correctness !== undefined).map(({ id }) => id);
    let waiting = left.length;
    for (const jobs of batchJobs(left, seed + round)) {
      if (interrupt.aborted) break;
      const start = performance.now();
      const share = Math.max(LEAST_SECONDS, (end - start) / 1000 / waiting);
      waiting -= jobs.length;
      await session.measure({
        jobs,
        rule: { ...rule, budget: 1e9 * share },
        seed,
        round,
        rounds: this.#processes,
        checked,
        result: (job, measurement) => this.#add(job, { round, measurement }),
        skipped: (job, reason) => {
          this.#jobs = this.#jobs.filter((other) => other !== job);
          skipped?.(job, reason);
        },
      });
      this.#timeLeft.addBatch(jobs.length, { seconds: (performance.now() - start) / 1000, share });
      await this.#change({});
    }
  }

  /** Adds a warning to the file. */
  async warn(warning: string): Promise<void> {
    await this.#change({ warnings: [...new Set([...this.#file.warnings ?? [], warning])] });
  }

  async #measureCeilings(session: RunSession, interrupt: AbortSignal): Promise<void> {
    this.#timeLeft.beginCeilings();
    const found = await session.ceilings();
    this.#timeLeft.endCeilings();
    const ceilings = mergeCeilings(this.#file.ceilings, found.ceilings);
    const measured = Object.keys(ceilings).length > 0;
    // Drop the warning about missing ceilings if the file has ceilings now. Drop it also after an
    // interrupt, because a continued run measures the ceilings.
    const warnings = [...new Set([...this.#file.warnings ?? [], ...found.warnings])]
      .filter((each) => !(each.startsWith(NO_CEILINGS) && (measured || interrupt.aborted)));
    await this.#change({ ceilings, warnings });
  }

  async #add(
    job: Job,
    { round, measurement }: { readonly round: number; readonly measurement: Measurement },
  ): Promise<void> {
    this.#measured.add(job, { round, measurement });
    this.#file = { ...this.#file, measurements: this.#measured.list };
    if (performance.now() >= this.#keepFrom) await this.#change({});
    this.show("done");
  }

  async #change(changes: Partial<ResultFile>): Promise<void> {
    this.#file = { ...this.#file, ...changes };
    const start = performance.now();
    await this.#options.keep(this.#file);
    const end = performance.now();
    this.#keepFrom = end + (end - start) / KEEPING_SHARE;
  }
}

/**
 * The default name of a result file.
 *
 * @returns for example `2026-11-24T20-15-00-llvmpipe-deno`
 */
export function resultFileName(file: ResultFile): string {
  const date = file.date.replace(/\..*/, "").replaceAll(":", "-");
  const adapter = file.adapter.description || file.adapter.vendor;
  const name = [adapter, file.runtime.name, file.label ?? ""].join(" ").toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "").slice(0, 80);
  return `${date}-${name}`;
}

export function describeAdapter({ info }: OpenedAdapter): ResultFile["adapter"] {
  const { runtime: _, ...adapter } = info;
  return adapter;
}
