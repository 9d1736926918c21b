/**
 * The variants of cross-entropy forward: `row-per-invocation` for adapters that compute on the CPU,
 * where barriers cost more than they save; `portable` for GPUs, with one workgroup per row.
 */
import forwardSource from "../../../kernels/model/cross_entropy_forward.wgsl" with { type: "text" };
import forwardRowsSource from "../../../kernels/model/cross_entropy_forward_rows.wgsl" with {
  type: "text",
};
import rowSource from "../../../kernels/model/cross_entropy_row.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { notANumber, workgroupSum } from "../shared/parts.ts";
import type { RowShape } from "../rows/parts.ts";
import { spreadWorkgroups } from "../shared/validation.ts";
import type { Variant, VariantPlan } from "../shared/variants.ts";

const row: KernelPart = { file: "model/cross_entropy_row.wgsl", source: rowSource };

/** A checked call of cross-entropy forward, with its output tensors. */
export interface CrossEntropyForwardCall {
  readonly shape: RowShape;
  readonly logits: Tensor;
  readonly targets: Tensor;
  readonly firstColumn: number;
  readonly loss: Tensor;
  readonly logSumExp: Tensor;
}

function planKernel(
  gpu: Gpu,
  { shape, logits, targets, firstColumn, loss, logSumExp }: CrossEntropyForwardCall,
  { kernel, workgroups }: { readonly kernel: Kernel; readonly workgroups: number },
): VariantPlan {
  return {
    scratch: [],
    dispatches: [{
      kernel,
      parameters: [{ u32: shape.rows }, { u32: shape.columns }, { u32: firstColumn }],
      buffers: [logits, targets, loss, logSumExp],
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
      kernel: {
        parts: [notANumber, row, {
          file: "model/cross_entropy_forward_rows.wgsl",
          source: forwardRowsSource,
        }],
      },
      workgroups: Math.ceil(call.shape.rows / 8),
    }),
};

const portable: Variant<RowShape, CrossEntropyForwardCall> = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan: (gpu, call) =>
    planKernel(gpu, call, {
      kernel: {
        parts: [workgroupSum, notANumber, row, {
          file: "model/cross_entropy_forward.wgsl",
          source: forwardSource,
        }],
      },
      workgroups: call.shape.rows,
    }),
};

/** The variants of cross-entropy forward, in order of preference. */
export const crossEntropyForwardVariants: readonly Variant<RowShape, CrossEntropyForwardCall>[] = [
  rowPerInvocation,
  portable,
];
