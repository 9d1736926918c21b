import type { Gpu } from "../../gpu/gpu.ts";
import type { Scalar } from "../../gpu/owner.ts";
import type { Cost } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import {
  checkFinite,
  checkShape,
  checkTensor,
  checkWorkgroups,
  shapeText,
} from "../shared/validation.ts";

/** Query rows, and keys, of a tile of the portable attention kernels. */
export const TILE = 32;

/** V-scale's part in an attention call. */
export interface AttentionVScale {
  /** C, one positive number a key and value head: `[Hkv]`. */
  readonly constant: Tensor;
  /**
   * `full`: forward and backward use `φ(v) = ‖v‖²/(‖v‖² + C) v`. `backward-only`: the forward uses v itself, the
   * value gradient alone passes through φ's Jacobian.
   */
  readonly mode: "full" | "backward-only";
}

/** The lengths of an attention call. */
export interface AttentionShape {
  readonly batches: number;
  readonly queryHeads: number;
  readonly keyValueHeads: number;
  readonly sequenceLength: number;
  readonly headDim: number;
}

/** The tensors every attention call begins with. */
export interface QueryAndKey {
  readonly query: Tensor;
  readonly key: Tensor;
}

/**
 * Checks query and key, and with them the lengths of the call.
 *
 * @throws {TypeError} for wrong types or shapes
 */
export function checkQueryAndKey(
  gpu: Gpu,
  operator: string,
  { query, key }: QueryAndKey,
): AttentionShape {
  checkShape(gpu, query, { operator, name: "query", wanted: ["B", "Hq", "T", "D"] });
  const [batches, queryHeads, sequenceLength, headDim] = query.shape as [
    number,
    number,
    number,
    number,
  ];
  const wanted = [batches, "Hkv", sequenceLength, headDim];
  checkShape(gpu, key, { operator, name: "key", wanted });
  const keyValueHeads = key.shape[1] as number;
  if (queryHeads % keyValueHeads !== 0) {
    throw new TypeError(
      `${operator}: query has ${queryHeads} heads and key ${keyValueHeads}, ` +
        "wanted a multiple of key's heads in query",
    );
  }
  if (headDim % 4 !== 0 || headDim > 256) {
    throw new TypeError(
      `${operator}: query has shape ${shapeText(query.shape)} with head dimension ${headDim}, ` +
        "wanted a multiple of 4 up to 256",
    );
  }
  checkWorkgroups(gpu, Math.ceil(sequenceLength / TILE), { operator, name: "T" });
  checkWorkgroups(gpu, queryHeads, { operator, name: "Hq" });
  checkWorkgroups(gpu, batches, { operator, name: "B" });
  return { batches, queryHeads, keyValueHeads, sequenceLength, headDim };
}

/**
 * Checks the scale of the logits.
 *
 * @returns the scale; 1/√D if none is given
 * @throws {TypeError} if it is not a number
 * @throws {RangeError} if it is not finite
 */
export function checkScale(operator: string, scale: number | undefined, headDim: number): number {
  if (scale === undefined) return 1 / Math.sqrt(headDim);
  checkFinite(scale, { operator, name: "scale" });
  return scale;
}

/**
 * Checks V-scale's constant C.
 *
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} if C is not positive and finite, as far as the numbers are known to the CPU
 */
export function checkConstant(
  gpu: Gpu,
  constant: Tensor,
  { operator, name, keyValueHeads }: {
    readonly operator: string;
    readonly name: string;
    readonly keyValueHeads: number;
  },
): void {
  checkTensor(gpu, constant, { operator, name });
  checkShape(gpu, constant, { operator, name, wanted: [keyValueHeads] });
  const wrong = constant.uploaded?.findIndex((c) => !(c > 0 && Number.isFinite(c))) ?? -1;
  if (wrong >= 0) {
    throw new RangeError(
      `${operator}: ${name}[${wrong}] is ${
        constant.uploaded?.[wrong]
      }, wanted a positive finite number`,
    );
  }
}

/**
 * Checks V-scale's part in an attention call.
 *
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for an unknown mode or a constant that is not positive
 */
export function checkVScale(
  gpu: Gpu,
  operator: string,
  { vScale, keyValueHeads }: {
    readonly vScale: AttentionVScale | undefined;
    readonly keyValueHeads: number;
  },
): void {
  if (vScale === undefined) return;
  if (typeof vScale !== "object" || vScale === null) {
    throw new TypeError(`${operator}: vScale is ${vScale}, wanted { constant, mode }`);
  }
  if (vScale.mode !== "full" && vScale.mode !== "backward-only") {
    throw new RangeError(
      `${operator}: vScale.mode is ${
        JSON.stringify(vScale.mode)
      }, wanted "full" or "backward-only"`,
    );
  }
  checkConstant(gpu, vScale.constant, { operator, name: "vScale.constant", keyValueHeads });
}

/** Shapes that share a tuned variant: one head dimension, and T up to a power of two from 256 to 16,384. */
export function attentionShapeClass({ sequenceLength, headDim }: AttentionShape): string {
  const length = 2 ** Math.min(14, Math.max(8, Math.ceil(Math.log2(sequenceLength))));
  return `D=${headDim} T<=${length}`;
}

/**
 * The uniform parameters of attention/tile.wgsl, and of the backward kernels for GPUs.
 *
 * @param shape the lengths of the call
 * @param options `mode` undefined leaves V-scale out; `passesHeadDim` is false where D is part of a kernel's source
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

/** Elements of a `[B, Hq, T, D]` tensor, a `[B, Hkv, T, D]` one, and of `[B, Hq, T]`. */
function sizes(shape: AttentionShape): { query: number; value: number; rows: number } {
  const { batches, queryHeads, keyValueHeads, sequenceLength, headDim } = shape;
  return {
    query: batches * queryHeads * sequenceLength * headDim,
    value: batches * keyValueHeads * sequenceLength * headDim,
    rows: batches * queryHeads * sequenceLength,
  };
}

/** Pairs of a query and a key that it sees, over all heads. */
function visiblePairs({ batches, queryHeads, sequenceLength }: AttentionShape): number {
  return batches * queryHeads * sequenceLength * (sequenceLength + 1) / 2;
}

/**
 * The cost of attention forward: two products of D multiply-adds for every visible pair. V-scale adds a squared norm
 * and a factor a value row.
 */
export function attentionForwardCost(shape: AttentionShape, vScaleFull: boolean): Cost {
  const { query, value, rows } = sizes(shape);
  return {
    flops: 4 * shape.headDim * visiblePairs(shape) + (vScaleFull ? 3 * value : 0),
    bytes: 4 * (2 * query + 2 * value + rows + (vScaleFull ? shape.keyValueHeads : 0)),
  };
}

/**
 * The cost of attention backward: five products (logits, weight gradients, and the three gradients) for every visible
 * pair, and D_t. V-scale adds what `vScaleBackward` counts.
 */
export function attentionBackwardCost(shape: AttentionShape, vScale: boolean): Cost {
  const { query, value, rows } = sizes(shape);
  return {
    flops: 10 * shape.headDim * visiblePairs(shape) + 2 * query + (vScale ? 7 * value : 0),
    bytes: 4 * (4 * query + 4 * value + rows + (vScale ? 2 * shape.keyValueHeads : 0)),
  };
}
