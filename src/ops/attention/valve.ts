/**
 * V-scale fused into attention: the numbers that attention's kernels need for every value row.
 * V-scale acts as a valve on value rows: it is nearly closed for rows of small norm, and open for
 * rows of large norm.
 */
import throughValveSource from "../../../kernels/attention/panels/valve.wgsl" with { type: "text" };
import squaredNormSource from "../../../kernels/v_scale/squared_norm.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { AttentionShape, AttentionVScale } from "./shape.ts";
import { range } from "../shared/parts.ts";
import type { Dispatch } from "../../gpu/plan.ts";
import type { VariantPlan } from "../shared/variants.ts";
import { spreadWorkgroups } from "../shared/validation.ts";

export interface ValvePlan extends VariantPlan {
  /** `[B, Hkv, T]` of (‖v‖², C). Without V-scale, a small buffer that only fills the binding. */
  readonly valve: GPUBuffer;
}

/**
 * Plans the kernel that writes (‖v‖², C) of every value row. Attention's kernels compute V-scale's
 * factors from these numbers.
 *
 * @param tensors `value` [B, Hkv, T, D], and `vScale` if the kernels compute its factors; if it is
 *   undefined, no kernel runs
 */
export function planValve(
  gpu: Gpu,
  shape: AttentionShape,
  { value, vScale }: { readonly value: Tensor; readonly vScale: AttentionVScale | undefined },
): ValvePlan {
  if (vScale === undefined) {
    const valve = gpu.storage(8);
    return { valve, dispatches: [], scratch: [valve] };
  }
  const rows = shape.batches * shape.keyValueHeads * shape.sequenceLength;
  const valve = gpu.storage(8 * rows);
  return {
    valve,
    scratch: [valve],
    dispatches: [{
      kernel: {
        parts: [range, { file: "v_scale/squared_norm.wgsl", source: squaredNormSource }],
      },
      parameters: [
        { u32: rows },
        { u32: shape.headDim },
        { u32: shape.keyValueHeads },
        { u32: shape.sequenceLength },
      ],
      buffers: [value, vScale.constant, valve],
      workgroups: spreadWorkgroups(gpu, Math.ceil(rows / 64)),
    }],
  };
}

/**
 * Multiplies the gradient of the scaled values by V-scale's Jacobian, in place. In `valve` it
 * replaces every row's (‖v‖², C) with (the row's term of the constant's gradient, 0).
 *
 * @param tensors `value` and `valueGradient` [B, Hkv, T, D], and their rows' `valve`
 */
export function throughValve(
  gpu: Gpu,
  { batches, keyValueHeads, sequenceLength, headDim }: AttentionShape,
  { value, valve, valueGradient }: {
    readonly value: Tensor;
    readonly valve: GPUBuffer;
    readonly valueGradient: Tensor;
  },
): Dispatch {
  const rows = batches * keyValueHeads * sequenceLength;
  return {
    kernel: {
      parts: [{ file: "attention/panels/valve.wgsl", source: throughValveSource }],
    },
    parameters: [{ u32: rows }, { u32: headDim / 4 }],
    buffers: [value, valve, valueGradient],
    workgroups: spreadWorkgroups(gpu, Math.ceil(rows / 64)),
  };
}
