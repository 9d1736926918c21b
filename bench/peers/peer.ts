/** A peer: a library, such as this project, that computes the comparison's works. */
import type { Numbers, Work } from "./works.ts";

/** Work that a library has prepared. */
export interface PreparedWork {
  /** The library's way of doing the work, if it has several. */
  readonly way?: string;
  /** Enqueues one run. It may discard the previous run's results. */
  run(): void | Promise<void>;
  /** Waits until everything enqueued is computed. */
  finish(): Promise<void>;
  /** Reads the last run's results, row-major in the work's shapes, such as `[H, T, D]`. */
  read(): Promise<Numbers>;
}

/** A library that has been loaded and has found its adapter. */
export interface Peer {
  /** For example `{ "@jax-js/jax": "0.1.25" }`. */
  readonly versions: Readonly<Record<string, string>>;
  /**
   * Prepares a work, in several ways if the library has several.
   *
   * @returns the ways; none if the library cannot do the work
   */
  prepare(work: Work, inputs: Numbers): Promise<readonly PreparedWork[]>;
}

/** Exchanges the first two axes of a row-major tensor: `[H, T, D]` to `[T, H, D]`. */
export function exchangeAxes(
  numbers: Float32Array,
  [first, second, last]: readonly [number, number, number],
): Float32Array<ArrayBuffer> {
  const exchanged = new Float32Array(numbers.length);
  for (let i = 0; i < first; i++) {
    for (let j = 0; j < second; j++) {
      const row = numbers.subarray((i * second + j) * last, (i * second + j + 1) * last);
      exchanged.set(row, (j * first + i) * last);
    }
  }
  return exchanged;
}
