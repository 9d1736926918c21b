import rmsNormForwardCooperativeSource from "../../kernels/rms_norm_forward_cooperative.wgsl" with {
  type: "text",
};
import { rmsNormForwardRows } from "../../kernels/rms_norm_forward_rows.wgsl.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/pipelines.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { rmsNormForwardKernel } from "./kernels.ts";
import {
  rowElement,
  type RowShape,
  type RowSum,
  subgroupSum,
  unfitForSubgroups,
  workgroupSum,
} from "./row_parts.ts";
import { spreadWorkgroups } from "./validation.ts";
import type { Variant, VariantPlan } from "./variants.ts";

/** A checked call of RMSNorm forward, with its output tensors. */
export interface RmsNormForwardCall {
  readonly shape: RowShape;
  readonly epsilon: number;
  readonly input: Tensor;
  readonly gain: Tensor;
  readonly output: Tensor;
  readonly inverseRms: Tensor;
}

type ForwardVariant = Variant<RowShape, RmsNormForwardCall>;

function planKernel(
  gpu: Gpu,
  { shape, epsilon, input, gain, output, inverseRms }: RmsNormForwardCall,
  { kernel, workgroups }: { readonly kernel: Kernel; readonly workgroups: number },
): VariantPlan {
  return {
    scratch: [],
    dispatches: [{
      kernel,
      parameters: [{ u32: shape.rows }, { u32: shape.columns }, { f32: epsilon }],
      buffers: [input, gain, output, inverseRms].map((tensor) => tensor.buffer),
      workgroups: spreadWorkgroups(gpu, workgroups),
    }],
  };
}

function planCooperative(gpu: Gpu, call: RmsNormForwardCall, sum: RowSum): VariantPlan {
  const kernel: Kernel = {
    parts: [rowElement(call.shape.columns).part, sum.part, {
      file: "rms_norm_forward_cooperative.wgsl",
      source: rmsNormForwardCooperativeSource,
    }],
    constants: sum.constants,
    features: sum.features,
  };
  return planKernel(gpu, call, { kernel, workgroups: call.shape.rows });
}

/** Rows of an invocation of `row-per-invocation`: more share the gain's loads, but take longer to compile. */
const ROWS = 4;

const rowPerInvocation: ForwardVariant = {
  name: "row-per-invocation",
  unfit: () => undefined,
  // Fewer rows than one workgroup has leave most of its lanes idle, which a long row makes worse than barriers do.
  suits: (gpu, { rows }) => gpu.info.software && rows >= 8 * ROWS,
  plan(gpu, call) {
    const kernel: Kernel = {
      parts: [rowElement(call.shape.columns).part, {
        file: "rms_norm_forward_rows.wgsl.ts",
        source: rmsNormForwardRows(ROWS),
      }],
    };
    return planKernel(gpu, call, { kernel, workgroups: Math.ceil(call.shape.rows / (8 * ROWS)) });
  },
};

const subgroup: ForwardVariant = {
  name: "subgroup",
  unfit: unfitForSubgroups,
  suits: () => true,
  plan(gpu, call) {
    const { elements } = rowElement(call.shape.columns);
    // On the CPU a barrier costs more than a lane that walks far.
    const most = gpu.info.software ? Infinity : 8;
    return planCooperative(gpu, call, subgroupSum(gpu, elements, most));
  },
};

const vectorised: ForwardVariant = {
  name: "vectorised",
  unfit: () => undefined,
  suits: () => false,
  plan: (gpu, call) =>
    planCooperative(gpu, call, workgroupSum(rowElement(call.shape.columns).elements)),
};

const portable: ForwardVariant = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan: (gpu, call) =>
    planKernel(gpu, call, { kernel: rmsNormForwardKernel, workgroups: call.shape.rows }),
};

/** The kernels of RMSNorm forward, in order of preference. */
export const rmsNormForwardVariants: readonly ForwardVariant[] = [
  rowPerInvocation,
  subgroup,
  vectorised,
  portable,
];
