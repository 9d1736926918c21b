/**
 * Attention's kernels that keep tiles in f16 agree with the float64 twin, for gradients of every
 * size.
 */
import fc from "fast-check";
import type { Gpu } from "../../../../mod.ts";
import {
  type AttentionCase,
  type AttentionDescription,
  attentionDescription,
  BACKWARD_ONLY,
  describeAttention,
  drawAttention,
  FULL,
} from "../../attention/cases.ts";
import { checkCases, type PropertyOptions } from "../../check_cases.ts";
import type { HalfRounding } from "../../half_rounding.ts";
import type { Numbers } from "../../on_gpu.ts";
import type { Report } from "../../report.ts";
import { checkBackwardAgainstTwin, checkForwardAgainstTwin } from "./twin.ts";
import { elementwise } from "../../model/cases.ts";

export interface HalfDescription extends AttentionDescription, HalfRounding {
  /**
   * The standard deviation of outputGradient. The kernels scale gradients, because f16's numbers
   * range only from 6e-8 to 65,504.
   */
  readonly gradientSize: number;
}

export interface HalfOptions extends PropertyOptions<HalfDescription> {
  /** The variant to run. Default: the variant that the operator chooses. */
  readonly variant?: string;
}

/** D of all cases: three vec4f columns. */
export const HEAD_DIM = 12;

// In half of the cases f16 cannot represent the queries and keys. Rounding them moves the logits,
// and the wide bounds that this needs hide other errors. In the other half, f16 represents queries
// and keys, so every error shows. All cases share one head dimension, so that a kernel compiles
// once.
const description: fc.Arbitrary<HalfDescription> = fc.tuple(
  attentionDescription,
  fc.record({
    operands: fc.constantFrom("representable" as const, "rounded" as const),
    gradientSize: fc.constantFrom(1, 1e-6, 1e-9, 1e-15, 1e7),
  }),
).map(([drawn, half]) => ({ ...drawn, headDim: HEAD_DIM, ...half }))
  // Rounding queries and keys to f16 moves logits of 10,000 by about 10, too much for a useful
  // bound.
  .filter(({ pattern, operands }) => pattern !== "huge logits" || operands === "representable");

/**
 * A case with the given fields. By default f16 represents its queries and keys, and the elements
 * of outputGradient are about 1.
 */
export function describeHalf(description: Partial<HalfDescription>): HalfDescription {
  return {
    ...describeAttention({ headDim: HEAD_DIM, ...description }),
    operands: "representable",
    gradientSize: 1,
    ...description,
  };
}

const halfCases: readonly Partial<HalfDescription>[] = [
  // This case has groups, two batch entries, several tiles, an odd length, and gradients as small
  // as in a trained model.
  { batch: 2, keyHeads: 2, group: 2, length: 69, seed: 801, gradientSize: 1e-9 },
  { batch: 2, length: 33, seed: 802, operands: "rounded" },
  // Queries attend mostly to the first key. There ⟨g, v⟩ and ⟨g, y⟩ are nearly equal, so little is
  // left of their difference in ∂L/∂z.
  { keyHeads: 2, length: 97, seed: 803, pattern: "sink", scale: 1 },
  // Some masked keys have larger logits than all visible keys, and the weights range from 1 down to
  // numbers that f16 cannot represent.
  { length: 97, seed: 804, pattern: "hundreds", gradientSize: 1e-6 },
  { keyHeads: 2, length: 65, seed: 805, scale: -0.4, gradientSize: 1e7, vScale: FULL },
  { length: 41, seed: 806, gradientSize: 1e-6, vScale: BACKWARD_ONLY },
  { keyHeads: 2, length: 2, seed: 807, vScale: FULL },
];
export const halfExamples = halfCases.map(describeHalf);

function drawHalf({ operands, gradientSize, ...description }: HalfDescription): AttentionCase {
  const drawn = drawAttention(description);
  const toHalf = (numbers: Numbers) => elementwise(numbers, Math.f16round);
  return {
    ...drawn,
    outputGradient: elementwise(drawn.outputGradient, (x) => gradientSize * x),
    ...operands === "rounded" ? {} : { query: toHalf(drawn.query), key: toHalf(drawn.key) },
  };
}

type HalfProperty = (gpu: Gpu, options?: HalfOptions) => Promise<Report>;

export const attentionForwardMatchesTwinInHalf: HalfProperty = (
  gpu,
  { variant, ...options } = {},
) =>
  checkCases(gpu, {
    name: "attentionForward in f16 vs twin",
    arbitrary: description,
    examples: halfExamples,
    seed: 811,
    runs: 20,
    check: (rounding, tally) =>
      checkForwardAgainstTwin(gpu, drawHalf(rounding), { tally, rounding, variant }),
  }, options);

export const attentionBackwardMatchesTwinInHalf: HalfProperty = (
  gpu,
  { variant, ...options } = {},
) =>
  checkCases(gpu, {
    name: "attentionBackward in f16 vs twin",
    arbitrary: description,
    examples: halfExamples,
    seed: 812,
    runs: 20,
    check: (rounding, tally) =>
      checkBackwardAgainstTwin(gpu, drawHalf(rounding), { tally, rounding, variant }),
  }, options);
