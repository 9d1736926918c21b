import vScaleBackwardRowsSource from "../../../kernels/v_scale/backward_rows.wgsl" with {
  type: "text",
};
import vScaleBackwardSubgroupSource from "../../../kernels/v_scale/backward_subgroup.wgsl" with {
  type: "text",
};
import vScaleClusterSource from "../../../kernels/v_scale/cluster.wgsl" with { type: "text" };
import vScaleForwardRowsSource from "../../../kernels/v_scale/forward_rows.wgsl" with {
  type: "text",
};
import vScaleForwardSubgroupSource from "../../../kernels/v_scale/forward_subgroup.wgsl" with {
  type: "text",
};
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import type { Dispatch } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import {
  vScaleBackwardKernel,
  vScaleConstantGradientKernel,
  vScaleForwardKernel,
} from "../shared/kernels.ts";
import { rowElement, type RowShape } from "../rows/parts.ts";
import { unfitForSubgroups } from "../shared/unfit.ts";
import { spreadWorkgroups } from "../shared/validation.ts";
import type { Variant } from "../shared/variants.ts";

/** The rows of a value tensor `[B, Hkv, T, D]`. */
export interface VScaleShape extends RowShape {
  readonly batches: number;
  readonly keyValueHeads: number;
  readonly sequenceLength: number;
}

/** A checked call of V-scale forward, with its output tensor. */
export interface VScaleForwardCall {
  readonly shape: VScaleShape;
  readonly value: Tensor;
  readonly constant: Tensor;
  readonly scaledValue: Tensor;
}

/** A checked call of V-scale backward, with its output tensors. */
export interface VScaleBackwardCall {
  readonly shape: VScaleShape;
  readonly value: Tensor;
  readonly constant: Tensor;
  readonly scaledValueGradient: Tensor;
  readonly valueGradient: Tensor;
  readonly constantGradient: Tensor;
}

/** How a variant deals rows to invocations; the kernels of all variants have the same bindings. */
interface Form {
  readonly name: string;
  unfit(gpu: Gpu): string | undefined;
  suits(gpu: Gpu, shape: VScaleShape): boolean;
  /** Invocations that share a row. */
  lanesPerRow(gpu: Gpu, shape: VScaleShape): number;
  forward(lanesPerRow: number, columns: number): Kernel;
  backward(lanesPerRow: number, columns: number): Kernel;
}

const rowPerInvocation: Form = {
  name: "row-per-invocation",
  unfit: () => undefined,
  suits: (gpu) => gpu.info.software,
  lanesPerRow: () => 1,
  forward: (_lanes, columns) => ({
    parts: [rowElement(columns).part, {
      file: "v_scale/forward_rows.wgsl",
      source: vScaleForwardRowsSource,
    }],
  }),
  backward: (_lanes, columns) => ({
    parts: [rowElement(columns).part, {
      file: "v_scale/backward_rows.wgsl",
      source: vScaleBackwardRowsSource,
    }],
  }),
};

function clustered(part: KernelPart, lanes: number, columns: number): Kernel {
  return {
    parts: [
      rowElement(columns).part,
      { file: "v_scale/cluster.wgsl", source: vScaleClusterSource },
      part,
    ],
    constants: { CLUSTER: lanes },
    features: ["subgroups"],
  };
}

const subgroup: Form = {
  name: "subgroup",
  unfit: unfitForSubgroups,
  // On the CPU for rows too long to stay in its first cache, or not to be read four numbers at a time.
  suits: (gpu, { columns }) => !gpu.info.software || rowElement(columns).elements >= 64,
  // The power of two that holds the row, as far as the smallest subgroup and the workgroup reach.
  lanesPerRow(gpu, { columns }) {
    const wanted = 2 ** Math.ceil(Math.log2(rowElement(columns).elements));
    return Math.min(wanted, gpu.info.subgroupSize?.minimum ?? 1, 64);
  },
  forward: (lanes, columns) =>
    clustered(
      { file: "v_scale/forward_subgroup.wgsl", source: vScaleForwardSubgroupSource },
      lanes,
      columns,
    ),
  backward: (lanes, columns) =>
    clustered(
      { file: "v_scale/backward_subgroup.wgsl", source: vScaleBackwardSubgroupSource },
      lanes,
      columns,
    ),
};

const portable: Form = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  lanesPerRow: () => 1,
  forward: () => vScaleForwardKernel,
  backward: () => vScaleBackwardKernel,
};

const forms: readonly Form[] = [subgroup, rowPerInvocation, portable];

function dispatchRows(
  gpu: Gpu,
  shape: VScaleShape,
  { kernel, lanes, buffers }: {
    readonly kernel: Kernel;
    readonly lanes: number;
    readonly buffers: readonly GPUBuffer[];
  },
): Dispatch {
  const { rows, columns, keyValueHeads, sequenceLength } = shape;
  return {
    kernel,
    parameters: [rows, columns, keyValueHeads, sequenceLength].map((u32) => ({ u32 })),
    buffers,
    workgroups: spreadWorkgroups(gpu, Math.ceil(rows * lanes / 64)),
  };
}

function forwardVariant(form: Form): Variant<VScaleShape, VScaleForwardCall> {
  const { name, unfit, suits } = form;
  return {
    name,
    unfit,
    suits,
    plan(gpu, { shape, value, constant, scaledValue }) {
      const lanes = form.lanesPerRow(gpu, shape);
      const kernel = form.forward(lanes, shape.columns);
      const buffers = [value.buffer, constant.buffer, scaledValue.buffer];
      return { scratch: [], dispatches: [dispatchRows(gpu, shape, { kernel, lanes, buffers })] };
    },
  };
}

function backwardVariant(form: Form): Variant<VScaleShape, VScaleBackwardCall> {
  const { name, unfit, suits } = form;
  return {
    name,
    unfit,
    suits,
    plan(gpu, call) {
      const { shape, value, constant, scaledValueGradient, valueGradient } = call;
      const lanes = form.lanesPerRow(gpu, shape);
      const kernel = form.backward(lanes, shape.columns);
      const constantTerm = gpu.storage(8 * shape.rows);
      const buffers = [value, constant, scaledValueGradient, valueGradient]
        .map((tensor) => tensor.buffer);
      return {
        scratch: [constantTerm],
        dispatches: [
          dispatchRows(gpu, shape, { kernel, lanes, buffers: [...buffers, constantTerm] }),
          {
            kernel: vScaleConstantGradientKernel,
            parameters: [shape.batches, shape.keyValueHeads, shape.sequenceLength]
              .map((u32) => ({ u32 })),
            buffers: [constantTerm, call.constantGradient.buffer],
            workgroups: [shape.keyValueHeads],
          },
        ],
      };
    },
  };
}

/** The kernels of V-scale forward, in order of preference. */
export const vScaleForwardVariants: readonly Variant<VScaleShape, VScaleForwardCall>[] = forms.map(
  forwardVariant,
);

/** The kernels of V-scale backward, in order of preference. */
export const vScaleBackwardVariants: readonly Variant<VScaleShape, VScaleBackwardCall>[] = forms
  .map(backwardVariant);
