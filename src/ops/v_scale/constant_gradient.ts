/**
 * The last stage of V-scale's backward pass, which adds up constantGradient. `vScaleBackward` and
 * the backward pass of attention with V-scale share this stage.
 */
import constantGradientSource from "../../../kernels/v_scale/constant_gradient.wgsl" with {
  type: "text",
};
import type { Dispatch } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { workgroupSum } from "../shared/parts.ts";

/** The lengths of a value tensor `[B, Hkv, T, D]` that constantGradient depends on. */
interface ValueShape {
  readonly batches: number;
  readonly keyValueHeads: number;
  readonly sequenceLength: number;
}

/**
 * Plans the sum of each head's terms over batch and positions.
 *
 * @param terms `[B, Hkv, T]` of pairs (term, unused)
 * @param constantGradient `[Hkv]`, receives the sums
 */
export function sumConstantTerms(
  { batches, keyValueHeads, sequenceLength }: ValueShape,
  terms: GPUBuffer,
  constantGradient: Tensor,
): Dispatch {
  return {
    kernel: {
      parts: [
        workgroupSum,
        { file: "v_scale/constant_gradient.wgsl", source: constantGradientSource },
      ],
    },
    parameters: [batches, keyValueHeads, sequenceLength].map((u32) => ({ u32 })),
    buffers: [terms, constantGradient],
    workgroups: [keyValueHeads],
  };
}
