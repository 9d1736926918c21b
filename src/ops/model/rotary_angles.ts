/** The angles of RoPE. */
import { checkFinite, checkInteger } from "../shared/validation.ts";

/** Options of {@linkcode rotaryAngles}. */
export interface RotaryOptions {
  /** T */
  readonly sequenceLength: number;
  /** D, even. */
  readonly headDim: number;
  /** The base of the angles: at position 1, angle i is base^(−2i/D) radians. Default: 10000. */
  readonly base?: number;
  /** The D/2 angles at position 1, in radians. Default: those of `base`. */
  readonly frequencies?: ArrayLike<number>;
}

/**
 * Cosines and sines of RoPE's angles, `t · base^(−2i/D)` or t times given frequencies. For every
 * position t come D/2 cosines, then D/2 sines.
 *
 * Source: Su et al., arXiv 2104.09864.
 *
 * @param options the lengths, and the base or the frequencies
 * @returns `[T, D]` numbers, computed in float64
 * @throws {TypeError} for an option that is not a number
 * @throws {RangeError} for lengths that are not integers from 1 to 2²⁴, an odd D, a base that is
 *   not positive and finite, or frequencies that are not D/2 finite numbers
 *
 * @example
 * ```ts
 * import { rotaryAngles } from "@gradsink/gradsink";
 *
 * console.log(rotaryAngles({ sequenceLength: 2, headDim: 2 })); // 1, 0, cos 1, sin 1
 * ```
 */
export function rotaryAngles(
  { sequenceLength, headDim, base = 10000, frequencies }: RotaryOptions,
): Float32Array<ArrayBuffer> {
  const operator = "rotaryAngles";
  const limits = { operator, minimum: 1, maximum: 2 ** 24 };
  checkInteger(sequenceLength, { ...limits, name: "sequenceLength" });
  checkInteger(headDim, { ...limits, name: "headDim" });
  checkFinite(base, { operator, name: "base", above: 0 });
  if (headDim % 2 !== 0) {
    throw new RangeError(`${operator}: headDim is ${headDim}, wanted an even number`);
  }
  const half = headDim / 2;
  if (frequencies !== undefined && frequencies.length !== half) {
    throw new RangeError(
      `${operator}: frequencies has ${frequencies.length} numbers, wanted half of the head's ${headDim}`,
    );
  }
  const steps = Float64Array.from(
    { length: half },
    (_, i) => frequencies?.[i] ?? base ** (-i / half),
  );
  steps.forEach((step, i) => checkFinite(step, { operator, name: `frequencies[${i}]` }));
  const angles = new Float32Array(sequenceLength * headDim);
  for (let t = 0; t < sequenceLength; t++) {
    for (let i = 0; i < half; i++) {
      const angle = t * steps[i]!;
      angles[t * headDim + i] = Math.cos(angle);
      angles[t * headDim + half + i] = Math.sin(angle);
    }
  }
  return angles;
}
