/** The measurements of a run under way, by their jobs. */
import { type Job, jobKey, measurementKey } from "../jobs.ts";
import type { Measurement } from "../result_file.ts";
import { addProcess } from "../rounds.ts";

/** Collects what processes measure, one round after the other. */
export class Measured {
  readonly #keys: ReadonlyMap<number, string>;
  readonly #places: ReadonlyMap<string, number>;
  readonly #measurements: Map<string, Measurement>;

  /**
   * Begins with what a file holds.
   *
   * @param jobs all of the run
   * @param measurements of earlier rounds
   */
  constructor(jobs: readonly Job[], measurements: readonly Measurement[] = []) {
    const keys = jobs.map((job) => [job.id, jobKey(job)] as const);
    this.#keys = new Map(keys);
    this.#places = new Map(keys.map(([, key], place) => [key, place]));
    this.#measurements = new Map(measurements.map((each) => [measurementKey(each), each]));
  }

  /** What is known of a job, if anything is. */
  of({ id }: Job): Measurement | undefined {
    return this.#measurements.get(this.#keys.get(id)!);
  }

  /** Adds what a process measured in a round. */
  add(job: Job, found: { readonly round: number; readonly measurement: Measurement }): void {
    this.#measurements.set(this.#keys.get(job.id)!, addProcess(this.of(job), found));
  }

  /** All of them, in the order of the jobs, whatever the order of measuring was. */
  get list(): readonly Measurement[] {
    const place = (key: string): number => this.#places.get(key) ?? -1;
    return [...this.#measurements].sort(([a], [b]) => place(a) - place(b)).map(([, each]) => each);
  }
}
