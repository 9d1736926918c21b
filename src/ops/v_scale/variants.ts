/**
 * The variants of V-scale. Their kernels share the WGSL of each pass, but have different parts in
 * front of it, which assign rows to lanes.
 *
 * | variant    | for                               | why                                         |
 * | ---------- | --------------------------------- | ------------------------------------------- |
 * | `subgroup` | GPUs; CPU: rows of 64+ elements   | neighboring lanes read neighboring elements |
 * | `portable` | everything else                   | one lane walks its row: no sum across lanes |
 *
 * An element is four numbers if D is a multiple of 4, else one.
 */
import backwardSource from "../../../kernels/v_scale/backward.wgsl" with { type: "text" };
import forwardSource from "../../../kernels/v_scale/forward.wgsl" with { type: "text" };
import lanesSingleSource from "../../../kernels/v_scale/lanes_single.wgsl" with { type: "text" };
import lanesSubgroupSource from "../../../kernels/v_scale/lanes_subgroup.wgsl" with {
  type: "text",
};
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import type { Dispatch } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { rowElement, type RowShape } from "../rows/parts.ts";
import { range } from "../shared/parts.ts";
import { unfitForSubgroups } from "../shared/unfit.ts";
import { spreadWorkgroups } from "../shared/validation.ts";
import type { Variant } from "../shared/variants.ts";
import { sumConstantTerms } from "./constant_gradient.ts";

// Each pass's own parts, which go last.
type Pass = readonly KernelPart[];
const forwardPass: Pass = [{ file: "v_scale/forward.wgsl", source: forwardSource }];
const backwardPass: Pass = [range, { file: "v_scale/backward.wgsl", source: backwardSource }];

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

/** How a variant assigns rows to invocations. */
interface Form {
  readonly name: string;
  unfit(gpu: Gpu): string | undefined;
  suits(gpu: Gpu, shape: VScaleShape): boolean;
  /** How many invocations share a row. */
  lanesPerRow(gpu: Gpu, shape: VScaleShape): number;
  /** Makes the kernel of `pass` for rows of `columns` numbers. */
  kernel(pass: Pass, columns: number, lanesPerRow: number): Kernel;
}

const subgroup: Form = {
  name: "subgroup",
  unfit: unfitForSubgroups,
  // On the CPU, `subgroup` suits rows of 64 elements or more. If elements are vec4f, the 64 rows of
  // a workgroup of `portable` then exceed the first-level cache. If elements are single numbers, a
  // lane of `portable` reads only one number at a time.
  suits: (gpu, { columns }) => !gpu.info.software || rowElement(columns).elements >= 64,
  // As many lanes as the row has elements, rounded up to a power of two, but at most the smallest
  // subgroup's size and at most 64.
  lanesPerRow(gpu, { columns }) {
    const wanted = 2 ** Math.ceil(Math.log2(rowElement(columns).elements));
    return Math.min(wanted, gpu.info.subgroupSize?.minimum ?? 1, 64);
  },
  kernel: (pass, columns, lanesPerRow) => ({
    parts: [
      rowElement(columns).part,
      { file: "v_scale/lanes_subgroup.wgsl", source: lanesSubgroupSource },
      ...pass,
    ],
    constants: { LANES_PER_ROW: lanesPerRow },
    features: ["unchecked-subgroups"],
  }),
};

const portable: Form = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  lanesPerRow: () => 1,
  kernel: (pass, columns) => ({
    parts: [
      rowElement(columns).part,
      { file: "v_scale/lanes_single.wgsl", source: lanesSingleSource },
      ...pass,
    ],
  }),
};

const forms: readonly Form[] = [subgroup, portable];

function dispatchRows(
  gpu: Gpu,
  { form, pass, shape, buffers }: {
    readonly form: Form;
    readonly pass: Pass;
    readonly shape: VScaleShape;
    readonly buffers: Dispatch["buffers"];
  },
): Dispatch {
  const { rows, columns, keyValueHeads, sequenceLength } = shape;
  const lanesPerRow = form.lanesPerRow(gpu, shape);
  return {
    kernel: form.kernel(pass, columns, lanesPerRow),
    parameters: [rows, columns, keyValueHeads, sequenceLength].map((u32) => ({ u32 })),
    buffers,
    workgroups: spreadWorkgroups(gpu, Math.ceil(rows * lanesPerRow / 64)),
  };
}

function forwardVariant(form: Form): Variant<VScaleShape, VScaleForwardCall> {
  const { name, unfit, suits } = form;
  return {
    name,
    unfit,
    suits,
    plan(gpu, { shape, value, constant, scaledValue }) {
      const buffers = [value, constant, scaledValue];
      return {
        scratch: [],
        dispatches: [dispatchRows(gpu, { form, pass: forwardPass, shape, buffers })],
      };
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
      const constantTerm = gpu.storage(8 * shape.rows);
      const buffers = [value, constant, scaledValueGradient, valueGradient, constantTerm];
      return {
        scratch: [constantTerm],
        dispatches: [
          dispatchRows(gpu, { form, pass: backwardPass, shape, buffers }),
          sumConstantTerms(shape, constantTerm, call.constantGradient),
        ],
      };
    },
  };
}

/** The variants of V-scale forward, in order of preference. */
export const vScaleForwardVariants: readonly Variant<VScaleShape, VScaleForwardCall>[] = forms.map(
  forwardVariant,
);

/** The variants of V-scale backward, in order of preference. */
export const vScaleBackwardVariants: readonly Variant<VScaleShape, VScaleBackwardCall>[] = forms
  .map(backwardVariant);
