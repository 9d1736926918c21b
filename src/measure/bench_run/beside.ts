/**
 * Joins two measuring sessions that take samples in turns into one session. The first measures the
 * run's jobs. The second measures the same work with another version of the project, for a
 * second result file.
 */
import type { Batch, MeasuringSession } from "../child/session.ts";
import type { Job } from "../jobs.ts";
import type { MeasuredCeilings } from "../ceilings.ts";
import type { Measurement } from "../result_file.ts";
import { Measured } from "./measured.ts";
import { type Side, Turns } from "./turns.ts";

export type RunSession = Pick<MeasuringSession, "ceilings" | "measure" | "renew">;

/** Options of {@linkcode BesideSession}. */
export interface BesideOptions {
  /** The run's own session and the other version's session. Both have opened their adapters. */
  readonly sessions: readonly [own: RunSession, beside: RunSession];
  /** The second session's jobs by id. Each has the id of the first session's matching job. */
  readonly partners: ReadonlyMap<number, Job>;
  /** Ends the measuring after the current sample. */
  readonly interrupt: AbortSignal;
}

/** The most visits of a job in all rounds together. In a visit a process takes a few samples. */
const MOST_VISITS = 400;
/** Each round may visit a job this often, even if all rounds together then exceed `MOST_VISITS`. */
const ALLOWED_VISITS = 16;
/** The most samples per visit: few, so that a file with many visits keeps its usual size. */
const SAMPLES_PER_VISIT = 8;

export class BesideSession implements RunSession {
  readonly #options: BesideOptions;
  readonly #measured: Measured;

  /** Measures nothing yet. */
  constructor(options: BesideOptions) {
    this.#options = options;
    this.#measured = new Measured([...options.partners.values()]);
  }

  ceilings(): Promise<MeasuredCeilings> {
    return this.#options.sessions[0].ceilings();
  }

  async renew(): Promise<void> {
    await Promise.all(this.#options.sessions.map((session) => session.renew()));
  }

  /** The second session's measurements, in the order of the jobs. */
  get measurements(): readonly Measurement[] {
    return this.#measured.list;
  }

  /**
   * Measures the first session's jobs and the second session's matching jobs in turns.
   *
   * @param batch the first session's jobs; `batch.result` gets only the results of these
   * @throws {Error} if a new child cannot open the adapter again, or a child leaves out a result
   */
  async measure(batch: Batch): Promise<void> {
    const { sessions, interrupt } = this.#options;
    const { jobs, rule, seed, round = 0 } = batch;
    const rounds = batch.rounds ?? 1;
    const turns = new Turns({
      targetHalfWidth: rule.targetHalfWidth,
      sweeps: Math.max(ALLOWED_VISITS, Math.ceil(MOST_VISITS / rounds)),
      end: performance.now() + rule.budget / 1e6 * jobs.length,
      seed: seed + round,
    });
    const stop = (): void => turns.stop();
    interrupt.addEventListener("abort", stop);
    if (interrupt.aborted) stop();
    const partners = jobs.flatMap(({ id }) => this.#options.partners.get(id) ?? [])
      // A job that failed once is not tried again.
      .filter((job) => this.#measured.of(job)?.samples.length !== 0);
    const beside: Batch = {
      ...batch,
      jobs: partners,
      checked: partners.filter((job) => this.#measured.of(job)?.correctness !== undefined)
        .map(({ id }) => id),
      result: (job, measurement) =>
        Promise.resolve(this.#measured.add(job, { round, measurement })),
      skipped: () => {},
    };
    const measure = async (side: Side, own: Batch): Promise<void> => {
      try {
        await sessions[side].measure({
          ...own,
          rule: { ...rule, maximumSamples: 8 * SAMPLES_PER_VISIT },
          turn: (said) => turns.next(side, said),
        });
      } catch (error) {
        turns.stop(); // The other session must not wait.
        throw error;
      } finally {
        turns.leave(side);
      }
    };
    try {
      const ends = [turns.conduct(), measure(0, batch), measure(1, beside)];
      const failed = (await Promise.allSettled(ends)).find(({ status }) => status === "rejected");
      if (failed?.status === "rejected") throw failed.reason;
    } finally {
      interrupt.removeEventListener("abort", stop);
    }
  }
}
