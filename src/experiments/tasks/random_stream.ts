/**
 * Random numbers determined by a seed and a step. They do not depend on what earlier steps drew, so
 * a resumed run sees the same batches as one that was not stopped.
 */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus";
import { mix } from "../../random.ts";

type Generator = ReturnType<typeof xoroshiro128plusFromState>;

/** The integer weights of a distribution add up to 2^24, so a draw by weight takes 24 bits. */
export const WEIGHT_BITS = 24;

/**
 * A stream of random numbers.
 *
 * @example
 * ```ts
 * import { RandomStream } from "./random_stream.ts";
 *
 * const stream = new RandomStream([7, 1000]); // seed 7, step 1,000
 * console.log(stream.integer(6) + 1); // a die
 * ```
 */
export class RandomStream {
  readonly #generator: Generator;

  /**
   * @param place safe integers of at least 0, such as seed and step, that identify the stream. If
   *   their order or their number changes, so does the stream
   * @throws {RangeError} if `place` contains anything but such integers
   */
  constructor(place: readonly number[]) {
    // The first 128 bits of π's fraction; any other constants would do too.
    const state = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
    const words = [place.length, ...place.flatMap(wordsOf)];
    for (const word of words) {
      for (let i = 0; i < 4; i++) {
        state[i] = mix(state[i]! + Math.imul(word ^ state[(i + 1) % 4]!, 0x9e3779b1) + i);
      }
    }
    state[0]! |= 1; // The all-zero state is a fixed point of the generator.
    this.#generator = xoroshiro128plusFromState(state);
    for (let i = 0; i < 8; i++) this.#generator.next();
  }

  /** 32 random bits, unsigned. */
  bits(): number {
    return this.#generator.next() >>> 0;
  }

  /** A uniform integer below 2^24, for a lookup among cumulative weights. */
  weight(): number {
    return this.bits() >>> (32 - WEIGHT_BITS);
  }

  /**
   * An integer between 0 and `limit − 1`, all equally likely.
   *
   * @param limit at least 1, at most 2^32
   */
  integer(limit: number): number {
    // `end` is the largest multiple of `limit` up to 2^32. Draw again if a number is `end` or more:
    // such numbers would make small results more likely.
    const end = 2 ** 32 - 2 ** 32 % limit;
    let drawn: number;
    do drawn = this.bits(); while (drawn >= end);
    return drawn % limit;
  }

  /** Uniform in [0, 1), 53 bits. */
  uniform(): number {
    return uniformFloat64(this.#generator);
  }

  /** By Marsaglia's polar method. */
  normal(): number {
    let x: number, squared: number;
    do {
      x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      squared = x * x + y * y;
    } while (squared >= 1 || squared === 0);
    return x * Math.sqrt(-2 * Math.log(squared) / squared);
  }

  /** Fisher and Yates's shuffle. */
  permutation(length: number): Uint32Array<ArrayBuffer> {
    const order = Uint32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}

function wordsOf(value: number): [number, number] {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(
      `RandomStream: place holds ${value}, wanted safe integers of at least 0`,
    );
  }
  return [value % 2 ** 32 | 0, Math.floor(value / 2 ** 32)];
}
