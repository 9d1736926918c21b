/** The loss with activations rounded to 8 bits. */
import type { Interval } from "../../statistics/resampling.ts";

/** Which activations are rounded to 8 bits. */
export type QuantizationTarget = "down-projections" | "all-linears";

/**
 * How the 8-bit range is chosen: one scale per tensor, from the largest magnitude in the
 * calibration batches; or one scale per token, from the token itself.
 */
export type QuantizationScaling = "static-tensor" | "dynamic-token";

/** The loss with the inputs of linear maps rounded to 8 bits, symmetrically. */
export interface QuantizationCase {
  readonly target: QuantizationTarget;
  readonly scaling: QuantizationScaling;
  /** The loss in nats per token. */
  readonly loss: number;
  /** The loss with rounding minus the loss without rounding, on the same sequences. */
  readonly difference: number;
  /**
   * The difference's 95 % interval over texts; only for pretrained models, null for fewer than 8
   * texts.
   */
  readonly interval?: Interval | null;
}

export interface QuantizationMeasurement {
  /** The loss without rounding, in nats per token. */
  readonly loss: number;
  /**
   * The number of other batches that give a batch its static scales. 0 for a pretrained model with
   * a single batch, which gives its own scales.
   */
  readonly calibrationBatches: number;
  readonly cases: readonly QuantizationCase[];
}
