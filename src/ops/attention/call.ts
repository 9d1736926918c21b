import type { Tensor } from "../../gpu/tensor.ts";
import type { AttentionForwardCall } from "./forward_variants.ts";

/** A checked call of attention backward, with its output tensors. */
export interface AttentionBackwardCall extends AttentionForwardCall {
  readonly outputGradient: Tensor;
  readonly queryGradient: Tensor;
  readonly keyGradient: Tensor;
  readonly valueGradient: Tensor;
  /** With V-scale only. */
  readonly constantGradient: Tensor | undefined;
}
