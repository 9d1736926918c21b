/**
 * What a bootstrap over sequences draws from: sums of vectors over small groups of sequences, so
 * that memory and time stay bounded however many sequences are measured.
 */
/**
 * At most this many groups; reaching it joins them in pairs, so that at least half as many stay.
 */
const MOST_UNITS = 128;

/**
 * Adds up a vector of every sequence, group by group. All that take the same sequences in the same
 * order have the same groups, so that they can be resampled together.
 */
export class SequenceUnits {
  readonly #length: number;
  #units: Float32Array<ArrayBuffer>[] = [];
  /** Sequences in a group, and in the last one so far. */
  #size = 1;
  #filled = 0;

  /** @param length of a sequence's vector */
  constructor(length: number) {
    this.#length = length;
  }

  /** The groups' sums. */
  get sums(): readonly Float32Array<ArrayBuffer>[] {
    return this.#units;
  }

  /** The sum that the next sequence is to be added to. */
  next(): Float32Array<ArrayBuffer> {
    if (this.#units.length > 0 && this.#filled < this.#size) {
      this.#filled++;
      return this.#units.at(-1)!;
    }
    if (this.#units.length === MOST_UNITS) this.#join();
    this.#filled = 1;
    const unit = new Float32Array(this.#length);
    this.#units.push(unit);
    return unit;
  }

  #join(): void {
    const joined = [];
    for (let i = 0; i < this.#units.length; i += 2) {
      const [sum, other] = [this.#units[i]!, this.#units[i + 1]!];
      for (let k = 0; k < sum.length; k++) sum[k]! += other[k]!;
      joined.push(sum);
    }
    this.#units = joined;
    this.#size *= 2;
  }
}
