/** The inputs of attention's workloads. */
import type { Gpu } from "../../../gpu/gpu.ts";
import type { Tensor } from "../../../gpu/tensor.ts";
import type { AttentionVScale } from "../../../ops/attention/shape.ts";
import { randomNormal, randomUniform } from "../../../random.ts";
import { attentionShapes } from "../models.ts";
import { quarter } from "../operator.ts";
import type { PrepareOptions } from "../prepare.ts";
import type { AttentionNumbers } from "./rows.ts";

/** `{ B, Hq, Hkv, T, D }` */
export type AttentionLengths = AttentionNumbers["dimensions"];

/** The shapes of attention and its sink statistics. */
export const shapes = attentionShapes(({ B, Hq, Hkv, T, D }) => ({ B, Hq, Hkv, T, D }));

/** The next smaller shape of attention: half the tokens are a quarter of the work. */
export function smaller(dimensions: AttentionLengths): AttentionLengths | undefined {
  const { B, Hq, Hkv, T } = dimensions;
  if (B > 1) return quarter(dimensions, { B: 1 });
  if (T > 128) return { ...dimensions, T: Math.ceil(T / 2) };
  if (Hkv === 1) return undefined;
  const heads = Math.ceil(Hkv / 4);
  return { ...dimensions, Hkv: heads, Hq: heads * Math.round(Hq / Hkv) };
}

/** Inputs, as numbers and as tensors. */
export interface AttentionInputs {
  readonly numbers: AttentionNumbers;
  readonly tensors: {
    readonly query: Tensor;
    readonly key: Tensor;
    readonly value: Tensor;
    readonly vScale?: AttentionVScale;
  };
}

/**
 * Normal queries, keys and values, as projections of a normalized residual stream are at the start
 * of training. C is about |v|² = D, where φ bends most.
 *
 * @param gpu the GPU
 * @param options the lengths, the seed, who keeps the tensors, and V-scale's mode
 */
export function createInputs(
  gpu: Gpu,
  { dimensions, mode, seed, keep }: Omit<PrepareOptions<AttentionLengths, unknown>, "plan"> & {
    readonly mode?: AttentionVScale["mode"] | undefined;
  },
): AttentionInputs {
  const { B, Hq, Hkv, T, D } = dimensions;
  const query = randomNormal({ seed: 8 * seed, length: B * Hq * T * D });
  const key = randomNormal({ seed: 8 * seed + 1, length: B * Hkv * T * D });
  const value = randomNormal({ seed: 8 * seed + 2, length: B * Hkv * T * D });
  const tensors = {
    query: keep(gpu.tensor(query, [B, Hq, T, D])),
    key: keep(gpu.tensor(key, [B, Hkv, T, D])),
    value: keep(gpu.tensor(value, [B, Hkv, T, D])),
  };
  const numbers = { dimensions, query, key, value };
  if (mode === undefined) return { numbers, tensors };
  const constant = randomUniform({
    seed: 8 * seed + 3,
    length: Hkv,
    minimum: D / 2,
    maximum: 2 * D,
  });
  return {
    numbers: { ...numbers, vScale: { constant, mode } },
    tensors: { ...tensors, vScale: { constant: keep(gpu.tensor(constant, [Hkv])), mode } },
  };
}
