/**
 * Seeded random arrays that are the same on every machine and in every JavaScript engine.
 *
 * The bits come from xoroshiro128+ (npm:pure-rand). The rest uses only additions, multiplications,
 * divisions and square roots, which IEEE 754 rounds correctly. `Math.log`, `Math.sin` and
 * `Math.cos` are not used: their last bit may differ between engines. All values are float32
 * numbers, so a GPU and a float64 computation see identical inputs.
 */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";

type Generator = ReturnType<typeof xoroshiro128plus>;

/** Options of {@linkcode randomNormal}. */
export interface RandomNormalOptions {
  /**
   * Any safe integer. With equal seeds, arrays are equal, or the longer begins with the shorter.
   */
  readonly seed: number;
  /** How many values. */
  readonly length: number;
  /** The mean of the distribution. Default 0. */
  readonly mean?: number;
  /** The standard deviation of the distribution, at least 0. Default 1. */
  readonly standardDeviation?: number;
}

/** Options of {@linkcode randomUniform}. */
export interface RandomUniformOptions {
  /**
   * Any safe integer. With equal seeds, arrays are equal, or the longer begins with the shorter.
   */
  readonly seed: number;
  /** How many values. */
  readonly length: number;
  /** The smallest value that can be drawn. Default 0. */
  readonly minimum?: number;
  /** The end of the interval, which is never drawn. Default 1. */
  readonly maximum?: number;
}

/** MurmurHash3's finalizer: every bit of the input affects every bit of the output. */
export function mix(word: number): number {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function createGenerator(seed: number): Generator {
  // Neighboring seeds must not give correlated arrays. So all 53 bits of the seed are hashed, and
  // the first 32 outputs are dropped, because the initial state is too regular: -1, 0, the hash
  // and its complement. The constant, 2^32 / golden ratio, keeps the hash of seed 0 from being 0.
  const high = Math.floor(seed / 2 ** 32);
  const generator = xoroshiro128plus(mix(seed ^ mix(high + 0x9e3779b9)));
  for (let i = 0; i < 32; i++) generator.next();
  return generator;
}

const float64 = new Float64Array(1);
const words = new BigUint64Array(float64.buffer);

/**
 * The natural logarithm of a normal number in (0, 1], from correctly rounded operations only:
 * log(m 2^e) = e log 2 + 2 artanh(s) with s = (m − 1)/(m + 1) and m in [√½, √2]. Then |s| < 0.172,
 * and twelve terms of artanh's series leave an error below 2^-60.
 */
function portableLog(x: number): number {
  float64[0] = x;
  const bits = words[0]!;
  let exponent = Number((bits >> 52n) & 0x7ffn) - 1023;
  words[0] = (bits & 0xfffffffffffffn) | (1023n << 52n);
  let mantissa = float64[0]!;
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  let series = 0;
  for (let k = 23; k >= 1; k -= 2) series = series * (s * s) + 1 / k;
  return exponent * Math.LN2 + 2 * s * series;
}

function checkDraw(operation: string, options: { seed: number; length: number }): void {
  if (!Number.isSafeInteger(options.seed)) {
    throw new RangeError(`${operation}: seed is ${options.seed}, wanted a safe integer`);
  }
  if (!Number.isSafeInteger(options.length) || options.length < 0) {
    throw new RangeError(
      `${operation}: length is ${options.length}, wanted a non-negative integer`,
    );
  }
}

/**
 * Draws normally distributed float32 values (Marsaglia's polar method, rounded from float64).
 *
 * @param options The seed, the length, and the distribution's mean and standard deviation.
 * @returns `length` values.
 * @throws {RangeError} If the seed is not a safe integer, the length not a non-negative integer,
 * the mean not finite, or the standard deviation not a finite number of at least 0.
 *
 * @example
 * ```ts
 * import { randomNormal } from "./random.ts";
 *
 * const weights = randomNormal({ seed: 7, length: 512, standardDeviation: 0.02 });
 * console.log(weights.length); // 512
 * ```
 */
export function randomNormal(options: RandomNormalOptions): Float32Array<ArrayBuffer> {
  checkDraw("randomNormal", options);
  const { seed, length, mean = 0, standardDeviation = 1 } = options;
  if (!Number.isFinite(mean)) {
    throw new RangeError(`randomNormal: mean is ${mean}, wanted a finite number`);
  }
  if (!Number.isFinite(standardDeviation) || standardDeviation < 0) {
    throw new RangeError(
      `randomNormal: standardDeviation is ${standardDeviation}, wanted a finite number of at least 0`,
    );
  }
  const generator = createGenerator(seed);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    let x: number, y: number, squared: number;
    do {
      x = 2 * uniformFloat64(generator) - 1;
      y = 2 * uniformFloat64(generator) - 1;
      squared = x * x + y * y;
    } while (squared >= 1 || squared === 0);
    const factor = Math.sqrt(-2 * portableLog(squared) / squared);
    values[i] = mean + standardDeviation * (x * factor);
    if (i + 1 < length) values[i + 1] = mean + standardDeviation * (y * factor);
  }
  return values;
}

/**
 * Draws uniformly distributed float32 values from [minimum, maximum).
 *
 * @param options The seed, the length, and the interval.
 * @returns `length` values.
 * @throws {RangeError} If the seed is not a safe integer, the length not a non-negative integer, a
 * bound not finite, or the interval empty once its bounds are rounded to float32.
 *
 * @example
 * ```ts
 * import { randomUniform } from "./random.ts";
 *
 * const gains = randomUniform({ seed: 7, length: 64, minimum: 0.5, maximum: 2 });
 * console.log(gains.every((gain) => gain >= 0.5 && gain < 2)); // true
 * ```
 */
export function randomUniform(options: RandomUniformOptions): Float32Array<ArrayBuffer> {
  checkDraw("randomUniform", options);
  const { seed, length, minimum = 0, maximum = 1 } = options;
  const low = Math.fround(minimum);
  const high = Math.fround(maximum);
  if (!Number.isFinite(low) || !Number.isFinite(high) || !(low < high)) {
    throw new RangeError(
      `randomUniform: the interval is [${minimum}, ${maximum}), wanted finite float32 bounds with minimum < maximum`,
    );
  }
  const generator = createGenerator(seed);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let value: number;
    // Rounding to float32 can reach the excluded end; such a value is drawn again.
    do value = Math.fround(low + (high - low) * uniformFloat64(generator)); while (value >= high);
    values[i] = value;
  }
  return values;
}
