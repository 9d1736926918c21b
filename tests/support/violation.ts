/**
 * Violations: by how much numbers miss an identity or a bound.
 *
 * The violation of an equality is |left − right| over a stated scale, the sum of the terms'
 * magnitudes. float32 results violate an identity by a few times 2^-24, unless a logit is large.
 * The violation of left ≤ right is (left − right)/right, or (left − right) over another stated
 * scale. It is negative if the inequality holds, and 0 if it is attained.
 */

export interface Violation {
  /** The largest violation. A NaN, or a positive excess over a scale of 0, counts as Infinity. */
  readonly worst: number;
  /** The element or row with the largest violation. */
  readonly where: string;
  /** The number of comparisons. A test must check that it is positive. */
  readonly compared: number;
}

export class Worst {
  #worst = -Infinity;
  #where = "nothing was compared";
  #compared = 0;

  /** Records excess/scale. If the scale is 0, records Infinity for a positive excess, else 0. */
  see(excess: number, scale: number, where: string): void {
    this.#compared++;
    const ratio = excess === 0 ? 0 : scale === 0 && excess < 0 ? 0 : excess / scale;
    const violation = Number.isNaN(ratio) ? Infinity : ratio;
    if (violation > this.#worst) {
      this.#worst = violation;
      this.#where = where;
    }
  }

  result(): Violation {
    return { worst: this.#worst, where: this.#where, compared: this.#compared };
  }
}
