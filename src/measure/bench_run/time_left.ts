/**
 * How far a run of the bench is, and how long the rest takes. That is what is left of the budget,
 * except where the least that has to be done takes longer, or all that may be done takes less time.
 */
import { sum } from "../../statistics/mean.ts";
import type { Measurement } from "../result_file.ts";
import { LEAST_PROCESSES, MEASUREMENT_COST, PROCESS_COST, processesOf } from "../rounds.ts";

/**
 * A measurement gets at least this long in each process, in seconds, however little of the budget
 * is left.
 */
export const LEAST_SECONDS = 0.1;
/**
 * What a measurement takes at least in each process, in seconds, until a run has measured its own.
 * On software seen on lavapipe, two cores and three busy threads; on hardware samples are short.
 */
const LEAST_COST = { software: 0.5, hardware: MEASUREMENT_COST + LEAST_SECONDS };
/** Ceilings take about this long, in seconds, until a run has measured its own. */
const CEILINGS_COST = 12;
/** The cost that is assumed counts as much as that of this many measurements. */
const PRIOR = 4;

/** Where a run stands. */
export interface RunState {
  readonly measurements: readonly Measurement[];
  /** How many measurements a process makes. */
  readonly perProcess: number;
  /** When the budget ends, in ms. */
  readonly end: number;
}

/** Learns from the batches of a run how long the rest of it takes. */
export class TimeLeft {
  readonly #now: () => number;
  readonly #prior: number;
  #least = 0;
  #seconds = 0;
  #measurements = 0;
  #ceilings = CEILINGS_COST;
  #ceilingsSince: number | undefined;
  /** How many processes there will be, as far as is known. */
  processes = LEAST_PROCESSES;
  /** How many times the ceilings are still to be measured. */
  ceilings = 0;

  /**
   * Assumes what was seen elsewhere.
   *
   * @param options.software whether the adapter computes on the CPU
   * @param options.inTurns whether two processes take each measurement
   * @param options.now milliseconds. Default `performance.now`
   */
  constructor({ software, inTurns, now = () => performance.now() }: {
    readonly software: boolean;
    readonly inTurns: boolean;
    readonly now?: () => number;
  }) {
    this.#prior = (inTurns ? 2 : 1) * (software ? LEAST_COST.software : LEAST_COST.hardware);
    this.#now = now;
  }

  /**
   * Adds a batch.
   *
   * @param measurements how many it has
   * @param options.seconds how long it took
   * @param options.share seconds of sampling that each measurement was allowed
   */
  addBatch(
    measurements: number,
    { seconds, share }: { readonly seconds: number; readonly share: number },
  ): void {
    // What it would have taken with the least share.
    const least = seconds - measurements * Math.max(0, share - LEAST_SECONDS);
    this.#least += Math.max(LEAST_SECONDS * measurements, least);
    this.#seconds += seconds;
    this.#measurements += measurements;
  }

  /** The ceilings are measured from now on. */
  beginCeilings(): void {
    this.#ceilingsSince = this.#now();
  }

  /** The ceilings are measured. */
  endCeilings(): void {
    this.#ceilings = (this.#now() - this.#ceilingsSince!) / 1000;
    this.#ceilingsSince = undefined;
    this.ceilings--;
  }

  /**
   * Tells how far the run is.
   *
   * @returns the measurements of single processes that are done and that there will be, and the
   *   seconds until the run ends
   */
  progress({ measurements, perProcess, end }: RunState): {
    readonly done: number;
    readonly total: number;
    readonly secondsLeft: number;
  } {
    const total = this.processes * perProcess;
    // What has no samples failed, and is done with.
    const counts = measurements.map((each) =>
      each.samples.length === 0 ? this.processes : processesOf(each).length
    );
    const done = Math.min(total, sum(counts));
    // A round that has begun is finished, whatever the budget.
    const begun = Math.ceil(done / Math.max(1, perProcess)) * perProcess;
    const required = Math.max(LEAST_PROCESSES * perProcess, begun) - done;
    const cost = (count: number, each: number): number =>
      count === 0 ? 0 : count * each + PROCESS_COST * Math.floor(count / perProcess);
    const ceilings = this.#ceilingsLeft();
    const least = (PRIOR * this.#prior + this.#least) / (PRIOR + this.#measurements);
    const pace = this.#measurements === 0 ? Infinity : this.#seconds / this.#measurements;
    const most = Math.min((end - this.#now()) / 1000, ceilings + cost(total - done, pace));
    return { done, total, secondsLeft: Math.max(ceilings + cost(required, least), most) };
  }

  #ceilingsLeft(): number {
    const since = this.#ceilingsSince;
    const spent = since === undefined ? 0 : (this.#now() - since) / 1000;
    return this.#ceilings * this.ceilings - Math.min(this.#ceilings, spent);
  }
}
