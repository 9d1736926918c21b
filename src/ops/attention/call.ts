/** The checked calls of attention, as the variants get them. */
import type { Tensor } from "../../gpu/tensor.ts";
import type { AttentionShape, AttentionVScale } from "./shape.ts";

/** A checked call of attention forward, with its output tensors. */
export interface AttentionForwardCall {
  readonly shape: AttentionShape;
  readonly scale: number;
  readonly vScale: AttentionVScale | undefined;
  /** `[Hq]`, with a learned sink only. */
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
  /** `[B, Hq, T]`, where the loss depends on logSumExp only. */
  readonly logSumExpGradient: Tensor | undefined;
  readonly queryGradient: Tensor;
  readonly keyGradient: Tensor;
  readonly valueGradient: Tensor;
  /** With V-scale only. */
  readonly constantGradient: Tensor | undefined;
  /** With a learned sink only. */
  readonly sinkLogitGradient: Tensor | undefined;
}
