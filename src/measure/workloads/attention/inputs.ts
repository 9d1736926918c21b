/** The inputs of attention's workloads. */
import type { Gpu } from "../../../gpu/gpu.ts";
import type { Tensor } from "../../../gpu/tensor.ts";
import type { AttentionVScale } from "../../../ops/attention/shape.ts";
import { randomNormal, randomUniform } from "../../../random.ts";
import { attentionShapes } from "../models.ts";
import { quarter } from "../operator.ts";
import type { PrepareOptions } from "../prepare.ts";
import type { AttentionNumbers } from "./rows.ts";

/** Attention's lengths: `{ B, Hq, Hkv, T, D }`. */
export type AttentionLengths = AttentionNumbers["dimensions"];

export const shapes = attentionShapes(({ B, Hq, Hkv, T, D }) => ({ B, Hq, Hkv, T, D }));

/** The next smaller shape, with a quarter to half of the work: fewer sequences, tokens or heads. */
export function smaller(dimensions: AttentionLengths): AttentionLengths | undefined {
  const { B, Hq, Hkv, T } = dimensions;
  if (B > 1) return quarter(dimensions, { B: 1 });
  if (T > 128) return { ...dimensions, T: Math.ceil(T / 2) };
  if (Hkv === 1) return undefined;
  const heads = Math.ceil(Hkv / 4);
  return { ...dimensions, Hkv: heads, Hq: heads * Math.round(Hq / Hkv) };
}

/** Inputs as numbers and as tensors. */
export interface AttentionInputs {
  readonly numbers: AttentionNumbers;
  readonly tensors: {
    readonly query: Tensor;
    readonly key: Tensor;
    readonly value: Tensor;
    readonly vScale?: AttentionVScale;
    readonly sinkLogit?: Tensor;
  };
}

/** The optional parts of attention. */
export interface AttentionExtras {
  /** V-scale's mode. Default: none. */
  readonly vScale?: AttentionVScale["mode"];
  /** Whether query heads have learned sinks. Default: false. */
  readonly sink?: boolean;
}

/**
 * Draws normally distributed queries, keys and values, like projections of a normalized residual
 * stream at the start of training. V-scale's C lies between D/2 and 2 D, near |v|², whose mean is
 * D. So φ(v) = v·|v|²/(|v|² + C) is close neither to v nor to 0. The sinks' logits are near the
 * logSumExp of rows in the middle of the sequence, so a sink takes part of a row's weight there.
 */
export function createInputs(
  gpu: Gpu,
  { dimensions, vScale, sink = false, seed, keep }:
    & Omit<PrepareOptions<AttentionLengths, unknown>, "plan">
    & AttentionExtras,
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
  const constant = vScale && randomUniform({
    seed: 8 * seed + 3,
    length: Hkv,
    minimum: D / 2,
    maximum: 2 * D,
  });
  // A row in the middle has T / 2 standard normal logits. Their logSumExp is about this.
  const middle = Math.log(T / 2) + 0.5;
  const sinkLogit = sink
    ? randomUniform({ seed: 8 * seed + 5, length: Hq, minimum: middle - 1, maximum: middle + 1 })
    : undefined;
  return {
    numbers: {
      ...{ dimensions, query, key, value },
      ...constant === undefined ? {} : { vScale: { constant, mode: vScale! } },
      ...sinkLogit === undefined ? {} : { sinkLogit },
    },
    tensors: {
      ...tensors,
      ...constant === undefined
        ? {}
        : { vScale: { constant: keep(gpu.tensor(constant, [Hkv])), mode: vScale! } },
      ...sinkLogit === undefined ? {} : { sinkLogit: keep(gpu.tensor(sinkLogit, [Hq])) },
    },
  };
}
