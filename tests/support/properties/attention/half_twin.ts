/**
 * Attention's kernels that keep tiles in f16 against the float64 twin, with gradients of every
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

/** A case for f16. */
export interface HalfDescription extends AttentionDescription, HalfRounding {
  /**
   * The standard deviation of outputGradient: f16 ends at 65,504 and, for numbers as they are, at
   * 6e-8.
   */
  readonly gradientSize: number;
}

/** What a property of f16 takes besides. */
export interface HalfOptions extends PropertyOptions<HalfDescription> {
  /** The kernel. Default: the one that the operator chooses, which a test can have rewritten. */
  readonly variant?: string;
}

/** D of all cases: three vec4f columns. */
export const HEAD_DIM = 12;

// Rounded queries and keys move logits; where f16 holds them as they are, an error of any other
// kind shows. One head dimension, so that a kernel is compiled once.
const description: fc.Arbitrary<HalfDescription> = fc.tuple(
  attentionDescription,
  fc.record({
    operands: fc.constantFrom("representable" as const, "rounded" as const),
    gradientSize: fc.constantFrom(1, 1e-6, 1e-9, 1e-15, 1e7),
  }),
).map(([drawn, half]) => ({ ...drawn, headDim: HEAD_DIM, ...half }))
  // Rounding moves logits of ten thousands by tens: no error bound holds there.
  .filter(({ pattern, operands }) => pattern !== "huge logits" || operands === "representable");

/** A case of representable queries and keys and gradients about 1, unless said otherwise. */
export function describeHalf(description: Partial<HalfDescription>): HalfDescription {
  return {
    ...describeAttention({ headDim: HEAD_DIM, ...description }),
    operands: "representable",
    gradientSize: 1,
    ...description,
  };
}

/** The shapes and sizes that matter most. */
const halfCases: readonly Partial<HalfDescription>[] = [
  // Groups, two batches, more tiles than one, an odd length, gradients as small as those of a
  // trained model.
  { batch: 2, keyHeads: 2, group: 2, length: 69, seed: 801, gradientSize: 1e-9 },
  { batch: 2, length: 33, seed: 802, operands: "rounded" },
  // Most of what a query attends to cancels.
  { keyHeads: 2, length: 97, seed: 803, pattern: "sink", scale: 1 },
  // Masked keys that are liked better than all that is seen, and weights from 1 down to nothing.
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

/**
 * attentionForward's results are within the bounds of the error analysis, with what f16 rounds in
 * them.
 */
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

/**
 * attentionBackward's gradients are within the bounds of the error analysis, with what f16 rounds
 * in them.
 */
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
