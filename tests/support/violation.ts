/**
 * Violations: by how much an identity or a bound is missed.
 *
 * An equality's violation is |left − right| over a stated scale, the sum of the magnitudes that
 * were added up, so that float32 results come out at a small multiple of 2^-24 if no logit is
 * large. An inequality's violation is (left − right)/right, or over another stated scale: negative
 * where it holds, 0 where it is attained.
 */

/** How far something is from what must hold. */
export interface Violation {
  /** The largest violation; Infinity where a NaN or a nonzero number over a scale of 0 came up. */
  readonly worst: number;
  /** The element or row of the violation. */
  readonly where: string;
  /** How many comparisons were made: to be asserted positive. */
  readonly compared: number;
}

/** Keeps the largest violation seen. */
export class Worst {
  #worst = -Infinity;
  #where = "nothing was compared";
  #compared = 0;

  /** Records excess/scale; a scale of 0 demands an excess of at most 0. */
  see(excess: number, scale: number, where: string): void {
    this.#compared++;
    const ratio = excess === 0 ? 0 : scale === 0 && excess < 0 ? 0 : excess / scale;
    const violation = Number.isNaN(ratio) ? Infinity : ratio;
    if (violation > this.#worst) {
      this.#worst = violation;
      this.#where = where;
    }
  }

  /** What was seen. */
  result(): Violation {
    return { worst: this.#worst, where: this.#where, compared: this.#compared };
  }
}
