/** The loss with activations rounded to 8 bits. */
import type { Interval } from "../../statistics/resampling.ts";

/** The linear maps whose inputs are rounded to 8 bits. */
export type QuantizationTarget = "down-projections" | "all-linears";

/**
 * How the 8-bit range is chosen. A static scale covers a whole tensor and comes from the largest
 * magnitude in the calibration batches. A dynamic scale covers one token and comes from that token.
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
   * The 95 % interval of `difference` over texts. Only pretrained models have it; it is null for
   * fewer than 8 texts.
   */
  readonly interval?: Interval | null;
}

export interface QuantizationMeasurement {
  /** The loss without rounding, in nats per token. */
  readonly loss: number;
  /**
   * The number of batches from which a measured batch's static scales come. That batch is not among
   * them. 0 if a pretrained model is measured on one batch only, whose scales come from itself.
   */
  readonly calibrationBatches: number;
  readonly cases: readonly QuantizationCase[];
}
