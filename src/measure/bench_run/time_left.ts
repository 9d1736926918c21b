/**
 * Estimates a bench run's progress and remaining time. The estimate is the rest of the budget. It
 * is longer if the measurements that the run must still take need longer, and shorter if all
 * remaining measurements need less.
 */
import { sum } from "../../statistics/mean.ts";
import type { Measurement } from "../result_file.ts";
import { LEAST_PROCESSES, MEASUREMENT_COST, PROCESS_COST, processesOf } from "../rounds.ts";

/** A measurement may sample for at least this many seconds per process, even beyond the budget. */
export const LEAST_SECONDS = 0.1;
/**
 * The least time that a measurement is assumed to take in each process, in seconds. As the run
 * measures its own times, this assumption counts less and less. The software value was measured on
 * lavapipe with two cores and three busy threads.
 */
const LEAST_COST = { software: 0.5, hardware: MEASUREMENT_COST + LEAST_SECONDS };
/** The assumed time for measuring the ceilings, in seconds, until a run has done it once. */
const CEILINGS_COST = 12;
/** In the mean cost of a measurement, the assumed cost counts as this many measured costs. */
const PRIOR = 4;

/** A run's state. */
export interface RunState {
  readonly measurements: readonly Measurement[];
  /** The number of measurements in each process. */
  readonly perProcess: number;
  /** The end of the budget, in ms on the same clock as `now`. */
  readonly end: number;
}

export class TimeLeft {
  readonly #now: () => number;
  readonly #prior: number;
  #least = 0;
  #seconds = 0;
  #measurements = 0;
  #ceilings = CEILINGS_COST;
  #ceilingsSince: number | undefined;
  /** The expected number of processes. */
  processes = LEAST_PROCESSES;
  /** How many more times the ceilings will be measured. */
  ceilings = 0;

  /**
   * Starts with assumed costs.
   *
   * @param options.software whether the adapter computes on the CPU
   * @param options.inTurns whether two processes take each measurement
   * @param options.now returns the time in milliseconds. Default `performance.now`
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
   * Adds a finished batch to the measured costs.
   *
   * @param measurements the number of the batch's measurements
   * @param options.seconds the batch's duration
   * @param options.share the seconds of sampling that each measurement was allowed
   */
  addBatch(
    measurements: number,
    { seconds, share }: { readonly seconds: number; readonly share: number },
  ): void {
    // How long the batch would have taken if each measurement had sampled for `LEAST_SECONDS` only.
    const least = seconds - measurements * Math.max(0, share - LEAST_SECONDS);
    this.#least += Math.max(LEAST_SECONDS * measurements, least);
    this.#seconds += seconds;
    this.#measurements += measurements;
  }

  /** Marks the start of measuring the ceilings. */
  beginCeilings(): void {
    this.#ceilingsSince = this.#now();
  }

  /** Marks the end of measuring the ceilings. */
  endCeilings(): void {
    this.#ceilings = (this.#now() - this.#ceilingsSince!) / 1000;
    this.#ceilingsSince = undefined;
    this.ceilings--;
  }

  /**
   * Estimates the run's progress. A row that three processes measure counts as three measurements.
   *
   * @returns the number of finished measurements, the number of all measurements, and the seconds
   *   that remain
   */
  progress({ measurements, perProcess, end }: RunState): {
    readonly done: number;
    readonly total: number;
    readonly secondsLeft: number;
  } {
    const total = this.processes * perProcess;
    // A measurement without samples is not tried again, so all its processes count as finished.
    const counts = measurements.map((each) =>
      each.samples.length === 0 ? this.processes : processesOf(each).length
    );
    const done = Math.min(total, sum(counts));
    // A round that has begun goes on to its end, even beyond the budget.
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
