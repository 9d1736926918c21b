/**
 * Shared parts of attention's variants: checks of a call, its shape class, its parameters and its
 * cost.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Scalar } from "../../gpu/owner.ts";
import type { Cost } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { type AttentionShape, checkAttentionShapes } from "../../reference/attention/shape.ts";
import { checkPositive, checkTensor, checkWorkgroups, shapeText } from "../shared/validation.ts";

export type { AttentionShape };

/** The number of query rows, and of keys, in a tile of the portable kernels. */
export const TILE = 32;

/**
 * V-scale's arguments in an attention call.
 *
 * For every value row v, `‖v‖²` and `‖v‖² + C` must be in float32's range. Results that depend on a
 * value row are NaN if `‖v‖² + C` exceeds 3.4·10³⁸, or if `‖v‖²` is below 1.2·10⁻³⁸ and the row is
 * not zero. `vScaleForward` and `vScaleBackward` do not have these limits.
 */
export interface AttentionVScale {
  /** C, one positive number per key and value head: `[Hkv]`. */
  readonly constant: Tensor;
  /**
   * `full`: forward and backward use `φ(v) = ‖v‖²/(‖v‖² + C) v`. `backward-only`: the forward uses
   * v itself; only the value gradient passes through φ's Jacobian.
   */
  readonly mode: "full" | "backward-only";
}

/** The tensors of an attention call that are checked against each other. */
export interface CheckedTensors {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value?: Tensor;
  readonly output?: Tensor;
  readonly logSumExp?: Tensor;
  readonly outputGradient?: Tensor;
  /** Undefined if the call omits it. */
  readonly sinkLogit?: Tensor | undefined;
  /** Undefined if the call omits it. */
  readonly logSumExpGradient?: Tensor | undefined;
}

/** The optional tensor arguments. */
const OPTIONAL: readonly string[] = ["sinkLogit", "logSumExpGradient"] satisfies (
  keyof CheckedTensors
)[];

/**
 * Checks an attention call: its tensors and their lengths, V-scale's arguments, and the kernels'
 * limits.
 *
 * @param tensors the operator's tensors by argument name
 * @returns the lengths
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for an unknown mode, sizes beyond the adapter's limits, or a constant that
 *   the CPU knows and that is not positive and finite
 */
export function checkAttention(
  gpu: Gpu,
  operator: string,
  tensors: CheckedTensors,
  vScale?: AttentionVScale,
): AttentionShape {
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor === undefined && OPTIONAL.includes(name)) continue;
    checkTensor(gpu, tensor, { operator, name });
  }
  if (typeof vScale === "object" && vScale !== null) {
    checkTensor(gpu, vScale.constant, { operator, name: "vScale.constant" });
  }
  const shape = checkAttentionShapes(operator, { ...tensors, vScale });
  const { batches, queryHeads, sequenceLength, headDim } = shape;
  if (headDim % 4 !== 0 || headDim > 256) {
    throw new TypeError(
      `${operator}: query has shape ${shapeText(tensors.query.shape)} with head dimension ` +
        `${headDim}, wanted a multiple of 4 up to 256`,
    );
  }
  checkWorkgroups(gpu, Math.ceil(sequenceLength / TILE), { operator, name: "T" });
  checkWorkgroups(gpu, queryHeads, { operator, name: "Hq" });
  checkWorkgroups(gpu, batches, { operator, name: "B" });
  if (vScale !== undefined) {
    checkPositive(vScale.constant.uploaded ?? [], { operator, name: "vScale.constant" });
  }
  return shape;
}

/**
 * The class of shapes that share a tuned variant: one head dimension, and T rounded up to a power
 * of two from 256 to 16,384.
 */
export function attentionShapeClass({ sequenceLength, headDim }: AttentionShape): string {
  const length = 2 ** Math.min(14, Math.max(8, Math.ceil(Math.log2(sequenceLength))));
  return `D=${headDim} T<=${length}`;
}

/**
 * The uniform parameters of attention/tile.wgsl, and of the backward kernels in attention/tiled/.
 *
 * @param options `mode` is undefined without V-scale; `passesHeadDim` is false if D is a constant
 *   in the kernel's source
 */
export function tileParameters(
  shape: AttentionShape,
  { scale, mode, passesHeadDim = true }: {
    readonly scale: number;
    readonly mode: AttentionVScale["mode"] | undefined;
    readonly passesHeadDim?: boolean;
  },
): Scalar[] {
  const vScale = mode === undefined ? 0 : mode === "full" ? 1 : 2;
  return [
    { u32: shape.queryHeads },
    { u32: shape.keyValueHeads },
    { u32: shape.sequenceLength },
    ...passesHeadDim ? [{ u32: shape.headDim / 4 }] : [],
    { f32: scale },
    { u32: vScale },
  ];
}

/** The numbers of elements in `[B, Hq, T, D]`, `[B, Hkv, T, D]` and `[B, Hq, T]` tensors. */
function sizes(shape: AttentionShape): { query: number; value: number; rows: number } {
  const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
  return {
    query: batches * queryHeads * sequenceLength * headDim,
    value: batches * keyValueHeads * sequenceLength * headDim,
    rows: batches * queryHeads * sequenceLength,
  };
}

/** The number of pairs of a query and a key that the query sees, over all sequences and heads. */
function visiblePairs({ batches, queryHeads, sequenceLength }: AttentionShape): number {
  return batches * queryHeads * sequenceLength * (sequenceLength + 1) / 2;
}

/** A call's optional parts, which add to its cost. */
export interface AttentionParts {
  /** Whether V-scale computes anything in this pass. */
  readonly vScale: boolean;
  /** Whether query heads have a learned sink. */
  readonly sink: boolean;
  /** Whether the backward pass gets a gradient of logSumExp. Default: false. */
  readonly logSumExpGradient?: boolean;
}

/**
 * The cost of attention forward: two products of D multiply-adds for each visible pair. V-scale
 * adds a squared norm and a scaling per value row; a learned sink adds a term to each query row's
 * sum.
 */
export function attentionForwardCost(
  shape: AttentionShape,
  { vScale, sink }: AttentionParts,
): Cost {
  const { query, value, rows } = sizes(shape);
  return {
    flops: 4 * shape.headDim * visiblePairs(shape) + (vScale ? 3 * value : 0) + (sink ? rows : 0),
    bytes: 4 *
      (2 * query + 2 * value + rows + (vScale ? shape.keyValueHeads : 0) +
        (sink ? shape.queryHeads : 0)),
  };
}

/**
 * The cost of attention backward: five products (logits, weight gradients, and the three gradients)
 * for each visible pair, and D_t = ⟨g_t, y_t⟩ of the gradient and the output of each row. V-scale
 * adds the operations of `vScaleBackward`. A learned sink adds one multiply-add per row, and a
 * gradient of logSumExp adds one subtraction per row.
 */
export function attentionBackwardCost(
  shape: AttentionShape,
  { vScale, sink, logSumExpGradient = false }: AttentionParts,
): Cost {
  const { query, value, rows } = sizes(shape);
  return {
    flops: 10 * shape.headDim * visiblePairs(shape) + 2 * query + (vScale ? 7 * value : 0) +
      (sink ? 2 * rows : 0) + (logSumExpGradient ? rows : 0),
    bytes: 4 *
      (4 * query + 4 * value + rows + (vScale ? 2 * shape.keyValueHeads : 0) +
        (sink ? 2 * shape.queryHeads : 0) + (logSumExpGradient ? rows : 0)),
  };
}
