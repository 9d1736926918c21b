import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel } from "../../gpu/pipelines.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { crossEntropyForwardKernel, crossEntropyForwardRowsKernel } from "./kernels.ts";
import type { RowShape } from "../rows/parts.ts";
import { spreadWorkgroups } from "../shared/validation.ts";
import type { Variant, VariantPlan } from "../shared/variants.ts";

/** A checked call of cross-entropy forward, with its output tensors. */
export interface CrossEntropyForwardCall {
  readonly shape: RowShape;
  readonly logits: Tensor;
  readonly targets: Tensor;
  readonly loss: Tensor;
  readonly logSumExp: Tensor;
}

function planKernel(
  gpu: Gpu,
  { shape, logits, targets, loss, logSumExp }: CrossEntropyForwardCall,
  { kernel, workgroups }: { readonly kernel: Kernel; readonly workgroups: number },
): VariantPlan {
  return {
    scratch: [],
    dispatches: [{
      kernel,
      parameters: [{ u32: shape.rows }, { u32: shape.columns }],
      buffers: [logits, targets, loss, logSumExp].map((tensor) => tensor.binding),
      workgroups: spreadWorkgroups(gpu, workgroups),
    }],
  };
}

const rowPerInvocation: Variant<RowShape, CrossEntropyForwardCall> = {
  name: "row-per-invocation",
  forCpu: true,
  unfit: () => undefined,
  suits: (gpu) => gpu.info.software,
  plan: (gpu, call) =>
    planKernel(gpu, call, {
      kernel: crossEntropyForwardRowsKernel,
      workgroups: Math.ceil(call.shape.rows / 8),
    }),
};

const portable: Variant<RowShape, CrossEntropyForwardCall> = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan: (gpu, call) =>
    planKernel(gpu, call, { kernel: crossEntropyForwardKernel, workgroups: call.shape.rows }),
};

/** The kernels of cross-entropy forward, in order of preference. */
export const crossEntropyForwardVariants: readonly Variant<RowShape, CrossEntropyForwardCall>[] = [
  rowPerInvocation,
  portable,
];
