/**
 * The units that a bootstrap over sequences draws: small groups of sequences, each with the sum of
 * its sequences' vectors. Groups bound memory and time for any number of sequences.
 */
/**
 * The most groups. When all are full, pairs of groups are joined, so 64 remain.
 */
const MOST_UNITS = 128;

/**
 * Adds up one vector per sequence, group by group. Several `SequenceUnits` that get the same
 * sequences in the same order form the same groups, so they can be resampled together.
 */
export class SequenceUnits {
  readonly #length: number;
  #units: Float32Array<ArrayBuffer>[] = [];
  /** How many sequences fill a group, and how many the last group has so far. */
  #size = 1;
  #filled = 0;

  /** @param length the length of a sequence's vector */
  constructor(length: number) {
    this.#length = length;
  }

  /** The groups' sums. */
  get sums(): readonly Float32Array<ArrayBuffer>[] {
    return this.#units;
  }

  /** Counts one more sequence, and returns the sum to which the caller must add its vector. */
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
