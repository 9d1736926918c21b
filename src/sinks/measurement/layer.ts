/**
 * The measurements of one layer, and of its attention. `../measurement.ts` says the units and
 * reductions.
 */
import type { BranchMeasurement } from "./branch.ts";
import type { SinkComparison } from "./comparison.ts";
import type { HeadMeasurement, ValueHeadMeasurement } from "./head.ts";

/** Summed gradient norms at the attention's inner states, [positions] each. */
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
  /** The share of query heads whose idle score, over all sequences' idle queries, exceeds ε. */
  readonly idleSinkRate: number | null;
  /**
   * The sink rate as published: the share of (sequence, head) pairs whose score counts as a sink.
   */
  readonly sequenceSinkRate?: number;
  /** The share of (sequence, head) pairs whose idle score counts as a sink. */
  readonly idleSequenceSinkRate?: number | null;
  /**
   * R_GS(s) of summed gradients: ‖∇h̃_s‖ compared with the mean over other t ≤ T_e
   * (`lastGradientPosition`).
   */
  readonly gradientSink: SinkComparison;
  /** R_GS(s) of single gradients: what remains of R_GS without summing over sequences. */
  readonly singleGradientSink: SinkComparison;
  /** Summed gradient norms. */
  readonly gradients: AttentionGradients;
  /**
   * The rounding error of the summed gradient norm ‖∇k_s‖. A norm below this error is noise. Older
   * files lack this field. `../meters/gradient_floors.ts` has the formula.
   */
  readonly keyGradientFloor?: number;
  /**
   * The rounding error of the summed gradient norm ‖∇q_s‖. At position 0 it is above 0, though the
   * gradient is exactly 0 without a sink logit.
   */
  readonly queryGradientFloor?: number;
  /** The single gradient norms ‖∇h̃_t‖: [positions]. */
  readonly singleNormGradient: readonly number[];
  /** ‖v_t‖ over all value heads, before V-scale. */
  readonly value: SinkComparison;
  /** ‖r_attn‖, the norm of what attention adds to the residual stream */
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
   * The number of elements with a magnitude above 100 × their batch's median, as the mean over
   * sequences.
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
    /** ‖r_mlp‖, the norm of what the MLP adds to the residual stream */
    readonly residual: SinkComparison;
    /**
     * The summed gradient norms ‖∇_{h̃_t^{ℓ+½}}L‖, where h̃^{ℓ+½} is the MLP's RMSNorm output:
     * [positions].
     */
    readonly normGradient: readonly number[];
    readonly branch: BranchMeasurement;
  };
  /**
   * Norms of the residual stream, means over sequences, at s compared with early tokens: before the
   * layer (h_in), between attention and MLP (h_half), and after the layer (h_out).
   */
  readonly input: SinkComparison;
  readonly half: SinkComparison;
  readonly output: SinkComparison;
  /** ‖h_out‖, [positions]. */
  readonly outputByPosition: readonly number[];
  /** The massive activations of h_out. */
  readonly massive: MassiveActivations;
}
