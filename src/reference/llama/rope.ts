/**
 * RoPE's frequencies, plain or stretched for longer contexts. At position t, RoPE rotates the point
 * whose coordinates are columns i and i + D/2 of a head by the angle t times frequency i.
 *
 * Sources: Su et al., arXiv 2104.09864; for the scaling, `modeling_rope_utils.py` of Hugging Face's
 * transformers.
 */

/** How a model stretches RoPE's frequencies base^(−2i/D). */
export type RopeScaling =
  | {
    /** Divides every frequency by the factor. */
    readonly type: "linear";
    readonly factor: number;
  }
  | {
    /**
     * Llama 3's scaling. It depends on n = originalPositions × frequency / 2π, the number of full
     * turns over the original context. A frequency whose n is below `lowFrequencyFactor` is divided
     * by the factor. A frequency whose n is above `highFrequencyFactor` stays unchanged. Between
     * these two limits, the divided and the unchanged frequency are mixed, linearly in n.
     */
    readonly type: "llama3";
    readonly factor: number;
    readonly lowFrequencyFactor: number;
    readonly highFrequencyFactor: number;
    /** The context length in training, before the frequencies were stretched. */
    readonly originalPositions: number;
  };

/** Arguments of {@linkcode ropeFrequencies}. */
export interface RopeOptions {
  /** D, the width of a head; even. */
  readonly headDim: number;
  readonly ropeBase: number;
  /** How the frequencies are stretched. Default: unstretched. */
  readonly ropeScaling?: RopeScaling | undefined;
}

/**
 * RoPE's frequencies in radians per position.
 *
 * @param options the head's dimension, the base and the scaling
 * @returns [D/2]
 *
 * @example
 * ```ts
 * import { ropeFrequencies } from "./rope.ts";
 *
 * console.log(ropeFrequencies({ headDim: 4, ropeBase: 10_000 })); // 1 and 0.01
 * ```
 */
export function ropeFrequencies({ headDim, ropeBase, ropeScaling }: RopeOptions): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = ropeBase ** (-2 * i / headDim);
    return ropeScaling === undefined ? frequency : scaled(frequency, ropeScaling);
  });
}

function scaled(frequency: number, scaling: RopeScaling): number {
  const slow = frequency / scaling.factor;
  if (scaling.type === "linear") return slow;
  const { lowFrequencyFactor: low, highFrequencyFactor: high, originalPositions } = scaling;
  const turns = originalPositions * frequency / (2 * Math.PI);
  const share = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return (1 - share) * slow + share * frequency;
}

/**
 * Says what is wrong with a scaling.
 *
 * @returns the first wrong field, its value and what is wanted; undefined if the scaling is valid
 */
export function ropeScalingProblem(
  scaling: RopeScaling,
): { readonly field: string; readonly given: unknown; readonly wanted: string } | undefined {
  const above = (field: string, given: number, least: number) =>
    Number.isFinite(given) && given > least
      ? undefined
      : { field: `ropeScaling.${field}`, given, wanted: `a finite number above ${least}` };
  const { type, factor } = scaling;
  if (type !== "linear" && type !== "llama3") {
    return { field: "ropeScaling.type", given: type, wanted: "linear or llama3" };
  }
  const problem = above("factor", factor, 0);
  if (problem !== undefined || type === "linear") return problem;
  const { lowFrequencyFactor, highFrequencyFactor, originalPositions } = scaling;
  return above("lowFrequencyFactor", lowFrequencyFactor, 0) ??
    above("highFrequencyFactor", highFrequencyFactor, lowFrequencyFactor) ??
    above("originalPositions", originalPositions, 0);
}
