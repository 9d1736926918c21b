/** The measurements of a current run, by job. */
import { type Job, jobKey, measurementKey } from "../jobs.ts";
import type { Measurement } from "../result_file.ts";
import { addProcess } from "../rounds.ts";

/** Holds one measurement per job, and adds to it the samples of each round's process. */
export class Measured {
  readonly #keys: ReadonlyMap<number, string>;
  readonly #places: ReadonlyMap<string, number>;
  readonly #measurements: Map<string, Measurement>;

  /** Starts with the measurements of earlier rounds. */
  constructor(jobs: readonly Job[], measurements: readonly Measurement[] = []) {
    const keys = jobs.map((job) => [job.id, jobKey(job)] as const);
    this.#keys = new Map(keys);
    this.#places = new Map(keys.map(([, key], place) => [key, place]));
    this.#measurements = new Map(measurements.map((each) => [measurementKey(each), each]));
  }

  of({ id }: Job): Measurement | undefined {
    return this.#measurements.get(this.#keys.get(id)!);
  }

  /** Adds the measurement of a job that the process of a round took. */
  add(job: Job, found: { readonly round: number; readonly measurement: Measurement }): void {
    this.#measurements.set(this.#keys.get(job.id)!, addProcess(this.of(job), found));
  }

  /** All measurements, in the order of the jobs. */
  get list(): readonly Measurement[] {
    const place = (key: string): number => this.#places.get(key) ?? -1;
    return [...this.#measurements].sort(([a], [b]) => place(a) - place(b)).map(([, each]) => each);
  }
}
