/**
 * The measurements of one layer, and of its attention. `../measurement.ts` says the units and
 * reductions.
 */
import type { BranchMeasurement } from "./branch.ts";
import type { SinkComparison } from "./comparison.ts";
import type { HeadMeasurement, ValueHeadMeasurement } from "./head.ts";

/** The summed norms of the gradients with respect to attention's inner states, [positions] each. */
export interface AttentionGradients {
  /** ‖∇_{h̃_t}L‖, where h̃ is the RMSNorm output that feeds attention */
  readonly norm: readonly number[];
  /** ‖∇_{q_t}L‖: at position 0 it is 0 apart from rounding, unless heads have sink logits. */
  readonly query: readonly number[];
  readonly key: readonly number[];
  /** ‖∇_{v_t}L‖, where v is the value before V-scale */
  readonly value: readonly number[];
  /** ‖∇_{y_t}L‖, where y are the heads' outputs */
  readonly output: readonly number[];
}

/** The attention of one layer. */
export interface AttentionMeasurement {
  readonly heads: readonly HeadMeasurement[];
  readonly valueHeads: readonly ValueHeadMeasurement[];
  /** The share of query heads whose score, first averaged over sequences, exceeds ε. */
  readonly sinkRate: number;
  /** The share of query heads whose idle score, the mean over all idle queries, exceeds ε. */
  readonly idleSinkRate: number | null;
  /**
   * The sink rate as published: the share of (sequence, head) pairs whose score counts as a sink.
   */
  readonly sequenceSinkRate?: number;
  /** The share of (sequence, head) pairs whose idle score counts as a sink. */
  readonly idleSequenceSinkRate?: number | null;
  /**
   * R_GS(s) of summed gradients: ‖∇h̃_s‖ compared with the mean of ‖∇h̃_t‖ over all other positions
   * t ≤ T_e (`lastGradientPosition`).
   */
  readonly gradientSink: SinkComparison;
  /** R_GS(s) of single gradient norms, which involve no sum over several sequences' gradients. */
  readonly singleGradientSink: SinkComparison;
  /** Summed gradient norms. */
  readonly gradients: AttentionGradients;
  /**
   * The rounding error of the summed gradient norm ‖∇k_s‖. A norm below this error is noise. Older
   * files lack this field. `../meters/gradient_floors.ts` has the formula.
   */
  readonly keyGradientFloor?: number;
  /**
   * The rounding error of the summed gradient norm ‖∇q_s‖. At position 0 this error can be above 0,
   * although the gradient itself is exactly 0 without a sink logit.
   */
  readonly queryGradientFloor?: number;
  /** The single gradient norms ‖∇h̃_t‖: [positions]. */
  readonly singleNormGradient: readonly number[];
  /** ‖v_s‖ over all value heads together, before V-scale, compared with early tokens. */
  readonly value: SinkComparison;
  /** ‖r_attn‖ at s, compared with early tokens. Attention adds r_attn to the residual stream. */
  readonly residual: SinkComparison;
  readonly branch: BranchMeasurement;
}

/** Unusually large elements of a hidden state [B, T, d]. */
export interface MassiveActivations {
  /**
   * Median magnitude of a batch's elements. With several batches, the mean of the batches' medians,
   * weighted by the batches' numbers of sequences.
   */
  readonly median: number;
  /** Largest magnitude of all. */
  readonly largest: number;
  /** largest / median; null if the median is 0. */
  readonly ratio: number | null;
  /**
   * The mean number, per sequence, of elements whose magnitude is above 100 × the batch's median
   * magnitude.
   */
  readonly above100: number;
  /** As `above100`, but for magnitudes above 1000 × the batch's median. */
  readonly above1000: number;
  /** As `above100`, but counts only elements at position s. */
  readonly above100AtSink: number;
}

/** One layer. */
export interface LayerMeasurement {
  readonly layer: number;
  /** null in a layer without attention. */
  readonly attention: AttentionMeasurement | null;
  readonly mlp: {
    /** ‖r_mlp‖ at s, compared with early tokens. The MLP adds r_mlp to the residual stream. */
    readonly residual: SinkComparison;
    /**
     * The summed gradient norms ‖∇_{h̃_t^{ℓ+½}}L‖, [positions]. Here h̃^{ℓ+½} is the output of the
     * RMSNorm that feeds the MLP.
     */
    readonly normGradient: readonly number[];
    readonly branch: BranchMeasurement;
  };
  /**
   * The norms of the residual stream at s, compared with early tokens: `input` before the layer
   * (h_in), `half` between attention and MLP (h_half), and `output` after the layer (h_out).
   */
  readonly input: SinkComparison;
  readonly half: SinkComparison;
  readonly output: SinkComparison;
  /** ‖h_out‖, [positions]. */
  readonly outputByPosition: readonly number[];
  /** The massive activations of h_out. */
  readonly massive: MassiveActivations;
}
