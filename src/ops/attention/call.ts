/** A checked call of attention, which the variants plan. */
import type { Tensor } from "../../gpu/tensor.ts";
import type { AttentionShape, AttentionVScale } from "./shape.ts";

/** A checked call of attention forward, with its output tensors. */
export interface AttentionForwardCall {
  readonly shape: AttentionShape;
  readonly scale: number;
  readonly vScale: AttentionVScale | undefined;
  /** `[Hq]`, only with a learned sink. */
  readonly sinkLogit: Tensor | undefined;
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly output: Tensor;
  readonly logSumExp: Tensor;
}

/** A checked call of attention backward, with its output tensors. */
export interface AttentionBackwardCall extends AttentionForwardCall {
  readonly outputGradient: Tensor;
  /** `[B, Hq, T]`, only if the loss depends on logSumExp. */
  readonly logSumExpGradient: Tensor | undefined;
  readonly queryGradient: Tensor;
  readonly keyGradient: Tensor;
  readonly valueGradient: Tensor;
  /** Only with V-scale. */
  readonly constantGradient: Tensor | undefined;
  /** Only with a learned sink. */
  readonly sinkLogitGradient: Tensor | undefined;
}
