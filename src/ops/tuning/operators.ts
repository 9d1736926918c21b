/**
 * Describes all operators with several variants in one form: the lengths of a call, which calls
 * share a tuned choice, and how to plan a call. This is all that tuning needs, and all that
 * `openGpu` needs to apply tuned choices.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Plan } from "../../gpu/plan.ts";
import { planAttentionBackward, planAttentionForward } from "../attention.ts";
import {
  attentionBackwardHalfVariants,
  attentionBackwardVariants,
} from "../attention/backward_variants.ts";
import {
  attentionForwardHalfVariants,
  attentionForwardVariants,
} from "../attention/forward_variants.ts";
import { type AttentionShape, attentionShapeClass } from "../attention/shape.ts";
import { planMatmul } from "../matmul.ts";
import { type MatmulShape, matmulShapeClass } from "../matmul/shape.ts";
import { matmulHalfVariants, matmulVariants } from "../matmul/variants.ts";
import { planRmsNormBackward, planRmsNormForward } from "../rms_norm.ts";
import { rmsNormBackwardVariants } from "../rms_norm/backward_variants.ts";
import { rmsNormForwardVariants } from "../rms_norm/forward_variants.ts";
import { type RowShape, rowShapeClass } from "../rows/parts.ts";
import { planVScaleBackward, planVScaleForward } from "../v_scale.ts";
import {
  vScaleBackwardVariants,
  vScaleForwardVariants,
  type VScaleShape,
} from "../v_scale/variants.ts";
import { chooseVariant, unfitUnnamed, type Variant } from "../shared/variants.ts";

/** Lengths by name, such as `{ B, Hq, Hkv, T, D }`. */
export type Dimensions = Readonly<Record<string, number>>;

/** An operator with several variants. */
export interface TunableOperator {
  /** For example `attentionForward`. */
  readonly operator: string;
  /**
   * The digest of a custom operator's source. Only the process that runs this source can plan its
   * kernels, so `candidatesHash` uses the digest instead.
   */
  readonly digest?: string;
  /**
   * The names of a call's lengths. A length is an integer of at least 1. Names that begin with
   * `transpose` are switches instead: 1 or 0. Leaving out a switch means 0.
   */
  readonly dimensionNames: readonly string[];
  /** The names of the variants, in order of preference. */
  readonly variants: readonly string[];
  /** The names of variants that run only if named: those that round to f16. */
  readonly namedOnly: readonly string[];
  /** The class of calls that share a tuned choice, for example `D=64 T<=1024`. */
  shapeClass(dimensions: Dimensions): string;
  /**
   * Calls that together run every kernel that calls of this class run. The first is the given call,
   * with fewer heads, sequences or positions if more would run the same kernels. The others differ
   * from it so that the remaining kernels run: `vScale: 1, sink: 1`, for example, adds V-scale and
   * learned sinks. Planning all these calls takes milliseconds for any lengths.
   */
  kernelCalls(dimensions: Dimensions): readonly Dimensions[];
  /**
   * Why a variant cannot run on this adapter or for this shape; undefined if it can. `named` means
   * that a caller names the variant: hardware then also runs variants that are made for the CPU.
   */
  unfit(
    gpu: Gpu,
    dimensions: Dimensions,
    variant: string,
    options?: { readonly named?: boolean },
  ): string | undefined;
  /** The variant that runs by default: the tuned choice, else the first suitable one. */
  choose(gpu: Gpu, dimensions: Dimensions): string;
  /**
   * Plans a call on new tensors with undefined contents, by default with the variant of `choose`.
   * For attention, `vScale: 1` among the lengths adds V-scale, and `sink: 1` adds learned sinks.
   *
   * @throws {RangeError} for a variant that cannot run here, or sizes beyond the adapter's limits
   */
  plan(gpu: Gpu, dimensions: Dimensions, variant?: string): Plan;
}

interface Description<Shape, Call> {
  readonly names: readonly string[];
  readonly variants: readonly Variant<Shape, Call>[];
  readonly namedOnly?: readonly Variant<Shape, Call>[];
  readonly shape: (dimensions: Dimensions) => Shape;
  readonly shapeClass: (shape: Shape) => string;
  readonly kernelCalls: (dimensions: Dimensions) => readonly Dimensions[];
  readonly plan: (
    gpu: Gpu,
    dimensions: Dimensions,
    variant: { readonly variant?: string },
  ) => Plan;
}

function tunable<Shape, Call>(
  operator: string,
  { names, variants, namedOnly = [], shape: toShape, shapeClass: toClass, kernelCalls, plan }:
    Description<Shape, Call>,
): TunableOperator {
  return {
    operator,
    dimensionNames: names,
    variants: variants.map(({ name }) => name),
    namedOnly: namedOnly.map(({ name }) => name),
    shapeClass: (dimensions) => toClass(toShape(dimensions)),
    kernelCalls,
    unfit(gpu, dimensions, name, { named = false } = {}) {
      const variant = [...variants, ...namedOnly].find((each) => each.name === name);
      if (variant === undefined) return `${operator} has no variant ${JSON.stringify(name)}`;
      const shape = toShape(dimensions);
      return named ? variant.unfit(gpu, shape) : unfitUnnamed(gpu, variant, shape);
    },
    choose(gpu, dimensions) {
      const shape = toShape(dimensions);
      const choice = { operator, shapeClass: toClass(shape), shape, wanted: undefined };
      return chooseVariant(gpu, variants, choice).name;
    },
    plan: (gpu, dimensions, variant) =>
      plan(gpu, dimensions, variant === undefined ? {} : { variant }),
  };
}

function attentionShape({ B, Hq, Hkv, T, D }: Dimensions): AttentionShape {
  return { batches: B!, queryHeads: Hq!, keyValueHeads: Hkv!, sequenceLength: T!, headDim: D! };
}

function attentionTensors(gpu: Gpu, { B, Hq, Hkv, T, D, vScale, sink }: Dimensions) {
  const query = gpu.empty([B!, Hq!, T!, D!]);
  const key = gpu.empty([B!, Hkv!, T!, D!]);
  return {
    query,
    key,
    value: gpu.empty(key.shape),
    ...vScale === 1 ? { vScale: { constant: gpu.empty([Hkv!]), mode: "full" as const } } : {},
    ...sink === 1 ? { sinkLogit: gpu.empty([Hq!]) } : {},
  };
}

/** Sequences longer than this belong to the class of sequences of this length. */
const LONGEST_SEQUENCE = 2 ** 14;

// More heads, or a sequence longer than LONGEST_SEQUENCE, run the same kernels. V-scale and learned
// sinks need other kernels, but no kernel depends on both, so one further call with both is enough.
function attentionKernelCalls({ T, D }: Dimensions): Dimensions[] {
  const call = { B: 1, Hq: 1, Hkv: 1, T: Math.min(T!, LONGEST_SEQUENCE), D: D! };
  return [call, { ...call, vScale: 1, sink: 1 }];
}

const ofAttention = {
  names: ["B", "Hq", "Hkv", "T", "D"],
  shape: attentionShape,
  shapeClass: attentionShapeClass,
  kernelCalls: attentionKernelCalls,
};

const ofRows = {
  names: ["rows", "d"],
  shape: ({ rows, d }: Dimensions): RowShape => ({ rows: rows!, columns: d! }),
  shapeClass: rowShapeClass,
  // If d is not a multiple of 4, tiles hold multiples of 2 or 4 rows. Five rows then leave one
  // over, which another kernel computes.
  kernelCalls: ({ rows, d }: Dimensions): Dimensions[] => [
    { rows: rows!, d: d! },
    { rows: Math.min(rows!, 5), d: d! },
  ],
};

const ofValues = {
  names: ["B", "Hkv", "T", "D"],
  shape: ({ B, Hkv, T, D }: Dimensions): VScaleShape => ({
    batches: B!,
    keyValueHeads: Hkv!,
    sequenceLength: T!,
    rows: B! * Hkv! * T!,
    columns: D!,
  }),
  shapeClass: rowShapeClass,
  kernelCalls: ({ B, Hkv, T, D }: Dimensions): Dimensions[] => [
    { B: 1, Hkv: 1, T: B! * Hkv! * T!, D: D! },
  ],
};

// `transposeLeft` and `transposeRight` are 0 or 1. Each of the B products has a right operand of
// its own: products that share one right operand are tuned as one product with more rows.
function matmulShape({ B, M, N, K, transposeLeft, transposeRight }: Dimensions): MatmulShape {
  return {
    batches: B!,
    rows: M!,
    columns: N!,
    inner: K!,
    left: {
      ...transposeLeft === 1 ? { outer: 1, inner: M! } : { outer: K!, inner: 1 },
      batch: M! * K!,
    },
    right: {
      ...transposeRight === 1 ? { outer: K!, inner: 1 } : { outer: 1, inner: N! },
      batch: N! * K!,
    },
  };
}

// In the second call, M, N and K are shorter by 1 where they exceed 1. If the given lengths fill
// whole tiles, the shorter ones do not, so the second call runs other kernels.
function matmulKernelCalls(dimensions: Dimensions): Dimensions[] {
  const { M, N, K } = dimensions;
  const [rows, columns, inner] = [M!, N!, K!].map((length) => Math.max(1, length - 1));
  return [dimensions, { ...dimensions, M: rows!, N: columns!, K: inner! }];
}

const operators = new Map<string, TunableOperator>(
  [
    tunable("attentionForward", {
      ...ofAttention,
      variants: attentionForwardVariants,
      namedOnly: attentionForwardHalfVariants,
      plan: (gpu, dimensions, variant) =>
        planAttentionForward(gpu, { ...attentionTensors(gpu, dimensions), ...variant }).plan,
    }),
    tunable("attentionBackward", {
      ...ofAttention,
      variants: attentionBackwardVariants,
      namedOnly: attentionBackwardHalfVariants,
      plan(gpu, dimensions, variant) {
        const tensors = attentionTensors(gpu, dimensions);
        const output = gpu.empty(tensors.query.shape);
        return planAttentionBackward(gpu, {
          ...tensors,
          output,
          logSumExp: gpu.empty(output.shape.slice(0, 3)),
          outputGradient: gpu.empty(output.shape),
          ...variant,
        }).plan;
      },
    }),
    tunable("rmsNormForward", {
      ...ofRows,
      variants: rmsNormForwardVariants,
      plan: (gpu, { rows, d }, variant) =>
        planRmsNormForward(gpu, {
          input: gpu.empty([rows!, d!]),
          gain: gpu.empty([d!]),
          ...variant,
        }).plan,
    }),
    tunable("rmsNormBackward", {
      ...ofRows,
      variants: rmsNormBackwardVariants,
      plan: (gpu, { rows, d }, variant) =>
        planRmsNormBackward(gpu, {
          input: gpu.empty([rows!, d!]),
          gain: gpu.empty([d!]),
          inverseRms: gpu.empty([rows!]),
          outputGradient: gpu.empty([rows!, d!]),
          ...variant,
        }).plan,
    }),
    tunable("vScaleForward", {
      ...ofValues,
      variants: vScaleForwardVariants,
      plan: (gpu, { B, Hkv, T, D }, variant) =>
        planVScaleForward(gpu, {
          value: gpu.empty([B!, Hkv!, T!, D!]),
          constant: gpu.empty([Hkv!]),
          ...variant,
        }).plan,
    }),
    tunable("vScaleBackward", {
      ...ofValues,
      variants: vScaleBackwardVariants,
      plan: (gpu, { B, Hkv, T, D }, variant) =>
        planVScaleBackward(gpu, {
          value: gpu.empty([B!, Hkv!, T!, D!]),
          constant: gpu.empty([Hkv!]),
          scaledValueGradient: gpu.empty([B!, Hkv!, T!, D!]),
          ...variant,
        }).plan,
    }),
    tunable("matmul", {
      names: ["B", "M", "N", "K", "transposeLeft", "transposeRight"],
      variants: matmulVariants,
      namedOnly: matmulHalfVariants,
      shape: matmulShape,
      shapeClass: matmulShapeClass,
      kernelCalls: matmulKernelCalls,
      plan(gpu, { B, M, N, K, transposeLeft, transposeRight }, variant) {
        return planMatmul(gpu, {
          left: gpu.empty(transposeLeft === 1 ? [B!, K!, M!] : [B!, M!, K!]),
          right: gpu.empty(transposeRight === 1 ? [B!, N!, K!] : [B!, K!, N!]),
          transposeLeft: transposeLeft === 1,
          transposeRight: transposeRight === 1,
          ...variant,
        }).plan;
      },
    }),
  ].map((each) => [each.operator, each]),
);

/** All operators with several variants, by name. `addTunableOperator` adds to them. */
export const tunableOperators: ReadonlyMap<string, TunableOperator> = operators;

/**
 * Adds an operator for the rest of this process.
 *
 * @param operator an operator with a unique name
 */
export function addTunableOperator(operator: TunableOperator): void {
  operators.set(operator.operator, operator);
}
