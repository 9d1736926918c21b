/**
 * Measures jobs in child processes. One child serves many jobs. A job that hangs or crashes the
 * child is reported as timed out or failed, and the other jobs continue in a new child.
 */
import type { OpenGpuOptions } from "../../ops/open_gpu_options.ts";
import type {
  ChildConnection,
  ChildEvent,
  ChildReport,
  ChildRequest,
  ChildTurn,
  WaitingChild,
} from "./protocol.ts";
import type { MeasuredCeilings } from "../ceilings.ts";
import type { Measurement, MeasurementStatus } from "../result_file.ts";
import { type AdapterChoice, describeJob, type Job } from "../jobs.ts";
import type { VariantQuestion } from "../workloads/variants.ts";

/** What a child reports about the adapter that it opened. */
export type OpenedAdapter = Extract<ChildReport, { type: "opened" }>;

/** Options of {@linkcode MeasuringSession}. */
export interface SessionOptions {
  /** Starts a measuring process; called again for each new one, such as after a crash. */
  readonly start: () => ChildConnection;
  readonly adapter: OpenGpuOptions;
  /** The longest run, in ns; a job with a longer run is reported as skipped. Default: no limit. */
  readonly longestRun?: number;
  /** The longest silence of a child, in ms, before it counts as hanging. */
  readonly deadline: number;
  /** Ends the measuring after the current sample. */
  readonly interrupt: AbortSignal;
  /** Called with each step that begins. */
  readonly progress?: (step: string, job: Job | undefined) => void;
}

/** Jobs to measure, in random order. */
export interface Batch extends Omit<Extract<ChildRequest, { type: "batch" }>, "type" | "turns"> {
  /** The number of rounds, if known. */
  readonly rounds?: number;
  /** Waits for a child's next turn. Absent if the child does not measure in turns with another. */
  readonly turn?: (waiting: WaitingChild) => Promise<ChildTurn>;
  /** Called with each result as soon as it is known. */
  readonly result: (job: Job, measurement: Measurement) => Promise<void>;
  /** Called with each skipped job, and the reason. */
  readonly skipped: (job: Job, reason: string) => void;
}

/** The beginning of the warning that a process failed to measure the ceilings. */
export const NO_CEILINGS = "no ceilings: ";

/** The longest wait for an adapter, in ms: a driver may have to be fetched first. */
const OPEN_DEADLINE = 600_000;
/** The longest wait, in ms, for a child's results after an interrupt, or for a child's end. */
const STOP_DEADLINE = 3_000;

/** A series of children that measure on one adapter. */
export class MeasuringSession {
  readonly #options: SessionOptions;
  #child: ChildConnection | undefined;
  #opened: OpenedAdapter | undefined;
  #at: { readonly id: number | null; readonly step: string } = { id: null, step: "starting" };
  #paused = false;
  readonly #stop: () => void;

  /** Starts no child yet. */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.#stop = () => {
      this.#child?.send({ type: "stop" });
      this.#child?.hurry(STOP_DEADLINE);
    };
    options.interrupt.addEventListener("abort", this.#stop);
  }

  /**
   * Starts a child and lets it open the adapter.
   *
   * @throws {Error} if the child cannot be started, or cannot open the adapter
   */
  async open(): Promise<OpenedAdapter> {
    const child = this.#child = this.#options.start();
    this.#at = { id: null, step: "opening the adapter" };
    const { adapter: options, longestRun } = this.#options;
    this.#request({ type: "open", options, ...longestRun === undefined ? {} : { longestRun } });
    while (true) {
      const event = await this.#next(child, OPEN_DEADLINE);
      if (event.type === "opened") this.#opened = event;
      else if (event.type === "idle" && this.#opened !== undefined) {
        if (this.#paused) this.#request({ type: "pause" }); // A new child is not paused yet.
        return this.#opened;
      } else if (event.type !== "at") {
        await this.#drop();
        throw new Error(reasonOf(event, { step: this.#at.step, deadline: OPEN_DEADLINE }));
      }
    }
  }

  /**
   * Asks which variant runs by default on this adapter, and which named variants cannot run.
   *
   * @param questions operators, passes and shapes
   * @param named the names of the variants that may be unable to run
   * @returns the answers, in the same order
   * @throws {Error} if the child cannot be started, or gives no answer
   */
  async choose(
    questions: readonly VariantQuestion[],
    named: readonly string[] = [],
  ): Promise<readonly AdapterChoice[]> {
    const child = await this.#running();
    this.#at = { id: null, step: "choosing variants" };
    this.#request({ type: "choose", questions, named });
    let found: Extract<ChildEvent, { type: "chosen" }> = { type: "chosen", names: [] };
    while (true) {
      const event = await this.#next(child, this.#options.deadline);
      if (event.type === "chosen") found = event;
      else if (event.type === "idle" && found.names.length === questions.length) {
        const { names, tuned = [], unfit = [], known } = found;
        return names.map((chosen, i) => ({
          chosen,
          tuned: tuned[i] ?? false,
          unfit: unfit[i] ?? {},
          ...known === undefined ? {} : { known: known[i] ?? [] },
        }));
      } else if (event.type !== "at") throw new Error(this.#reason(event));
    }
  }

  /**
   * Measures the ceilings.
   *
   * @returns the ceilings; if the child fails or gives no answer, a warning instead
   * @throws {Error} if a new child cannot open the adapter
   */
  async ceilings(): Promise<MeasuredCeilings> {
    const child = await this.#running();
    this.#request({ type: "ceilings" });
    let found: MeasuredCeilings = { ceilings: {}, warnings: [] };
    while (true) {
      const event = await this.#next(child, this.#options.deadline);
      if (event.type === "at") this.#options.progress?.(event.step, undefined);
      else if (event.type === "ceilings") found = event;
      else if (event.type === "idle") return found;
      else {
        const reason = this.#reason(event);
        await this.#drop();
        return { ceilings: {}, warnings: [`${NO_CEILINGS}${reason}`] };
      }
    }
  }

  /**
   * Measures jobs.
   *
   * @throws {Error} if a new child cannot open the adapter again, or a child leaves out a result
   */
  async measure({ jobs, result, skipped, turn, rounds: _, ...how }: Batch): Promise<void> {
    const { interrupt, progress, deadline } = this.#options;
    const left = new Map(jobs.map((job) => [job.id, job]));
    while (left.size > 0 && !interrupt.aborted) {
      const child = await this.#running();
      this.#at = { id: null, step: "starting" };
      const inTurns = turn === undefined ? {} : { turns: true };
      this.#request({ type: "batch", jobs: [...left.values()], ...how, ...inTurns });
      while (true) {
        const event = await this.#next(child, deadline);
        if (event.type === "at") {
          progress?.(event.step, left.get(event.id ?? -1));
          continue;
        }
        if (event.type === "waiting" && turn !== undefined) {
          this.#request({ type: "turn", turn: await turn(event) });
          continue;
        }
        if (event.type === "measured") {
          const job = left.get(event.id);
          if (job === undefined) continue;
          left.delete(event.id);
          await result(job, event.measurement);
          continue;
        }
        if (event.type === "skipped") {
          const job = left.get(event.id);
          if (job === undefined) continue;
          left.delete(event.id);
          skipped(job, event.reason);
          continue;
        }
        if (event.type === "idle") {
          if (!interrupt.aborted && left.size > 0) {
            throw new Error("a job was left without a result");
          }
          return;
        }
        const reason = this.#reason(event);
        await this.#drop();
        if (interrupt.aborted) return;
        // If the last step belonged to no job, blame the first job left: otherwise this loop could
        // go on forever.
        const culprit = left.get(this.#at.id ?? -1) ?? [...left.values()][0];
        if (culprit === undefined) return;
        const status = event.type === "silent" ? "timed-out" : "failed";
        for (const job of sameWork(culprit, left.values())) {
          left.delete(job.id);
          await result(job, this.#lost(job, { status, reason }));
        }
        break;
      }
    }
  }

  /** Ends the child; a new one serves the next request. */
  async renew(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    await child?.close(STOP_DEADLINE);
  }

  /** Pauses before the next sample. */
  pause(): void {
    this.#paused = true;
    this.#request({ type: "pause" });
  }

  /** Resumes after {@linkcode MeasuringSession.pause}. */
  resume(): void {
    this.#paused = false;
    this.#request({ type: "resume" });
  }

  /** Ends the child. */
  async close(): Promise<void> {
    this.#options.interrupt.removeEventListener("abort", this.#stop);
    await this.#child?.close(STOP_DEADLINE);
    this.#child = undefined;
  }

  async #running(): Promise<ChildConnection> {
    if (this.#child === undefined) await this.open();
    return this.#child!;
  }

  async #drop(): Promise<void> {
    await this.#child?.kill();
    this.#child = undefined;
  }

  #request(request: ChildRequest): void {
    this.#child?.send(request);
  }

  async #next(child: ChildConnection, deadline: number): Promise<ChildEvent> {
    const event = await child.next(deadline);
    if (event.type === "at") this.#at = event;
    return event;
  }

  #reason(event: ChildEvent): string {
    return reasonOf(event, { step: this.#at.step, deadline: this.#options.deadline });
  }

  #lost(
    job: Job,
    { status, reason }: { readonly status: MeasurementStatus; readonly reason: string },
  ): Measurement {
    return {
      ...describeJob(job),
      flops: 0,
      bytes: 0,
      cache: job.cache,
      status,
      reason,
      timer: this.#opened!.timer,
      samples: [],
    };
  }
}

// The jobs with the culprit's work, hot or cold: they would crash or hang the child too.
function sameWork(culprit: Job, jobs: Iterable<Job>): Job[] {
  const name = ({ kernel, pass, shape, dtype, variant }: Job): string =>
    JSON.stringify([kernel, pass, shape, dtype, variant]);
  return [...jobs].filter((job) => name(job) === name(culprit));
}

function reasonOf(
  event: ChildEvent,
  { step, deadline }: { readonly step: string; readonly deadline: number },
): string {
  if (event.type === "silent") return `no answer for ${deadline / 1000} s while ${step}`;
  if (event.type === "broken") return event.reason;
  if (event.type === "ended") return `${event.reason}, while ${step}`;
  return `an answer out of turn (${event.type}) while ${step}`;
}
