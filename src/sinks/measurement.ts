/**
 * The measurements of attention sinks and gradient sinks in one model on some batches. `deno task
 * sinks --json` prints them in this form; the study and the pictures read it.
 *
 * Units and reductions, unless a field says otherwise:
 * - Norms are Euclidean. Those of queries, keys and values run over all heads of a token together.
 * - Gradients are of the mean loss over all measured sequences, in nats per token, for any batch
 *   size.
 * - "Summed" gradient norms follow the paper's R_GS: at each position they are the norm of the sum
 *   of all sequences' gradients. A push in the same direction in every sequence counts in full;
 *   pushes that differ between sequences average out.
 * - "Single" gradient norms are means over sequences of each sequence's own norm, times the number
 *   of sequences: gradients of the sequence's own mean loss.
 * - Bloat, Compress and Change are ratios within one token of one sequence, reduced by the median
 *   over sequences. They do not use sums over the batch, because the RMSNorm's Jacobian and its
 *   bound Compress ≤ ‖γ‖∞/rms belong to one token's ‖h‖. A median ignores the few tokens where the
 *   ratio divides by a nearly vanishing gradient.
 * - Activation norms are means over sequences; attention statistics too.
 * - null means no value, such as in a layer without attention, for a ratio to zero, or for a task
 *   without triggers. A measurement holds no NaN or infinity: the measuring functions throw
 *   instead.
 *
 * Sources: Chen, Lin, Yao, arXiv 2603.17771 (R_GS, paths, Bloat, Compress, Change); Gu et al.,
 * arXiv 2410.10781 (score and rate); Sun et al., arXiv 2402.17762 (massive activations).
 */
import type { LlamaConfig } from "../reference/llama/config.ts";
import type { Interval } from "../statistics/resampling.ts";
import type { PretrainedMeasurement } from "./pretrained/measurement.ts";
import type { StatesMeasurement } from "./states/measurement.ts";

/** The version of this form. Another version may have other fields. */
export const SINK_MEASUREMENT_SCHEMA = "gradsink-sinks/1";

/** The positions and thresholds of the measurements. */
export interface SinkSettings {
  /** s, the position that is measured as a sink. */
  readonly position: number;
  /**
   * T_ε as requested: the score averages over the queries t = s … s + T_ε − 1, or fewer at the
   * sequence's end.
   */
  readonly window: number;
  /** ε: a greater score counts as a sink if it also exceeds the score of uniform attention. */
  readonly threshold: number;
  /**
   * T_e as requested: R_GS compares s with positions up to this one, or up to the sequence's end.
   */
  readonly lastGradientPosition: number;
  /**
   * The first position whose query can count as idle, which means that it has no reason to attend
   * to a certain token.
   */
  readonly idleFrom: number;
  /**
   * The first and last position of the early tokens, which are compared with s; s itself is left
   * out.
   */
  readonly early: readonly [number, number];
}

/** The paper's settings. */
export const DEFAULT_SINK_SETTINGS: SinkSettings = {
  position: 0,
  window: 64,
  threshold: 0.3,
  lastGradientPosition: 31,
  idleFrom: 8,
  early: [1, 15],
};

/** A quantity at position s compared with its mean over other positions. */
export interface SinkComparison {
  /** The value at position s. */
  readonly sink: number;
  /** The mean over the early tokens. */
  readonly early: number;
  /** sink / early; null for a division by zero. */
  readonly ratio: number | null;
}

/** A median with quartiles over layers (linear interpolation, as in numpy's default). */
export interface Quartiles {
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
}

/**
 * How far the gates of one query head's output are open, from 0 to 1, as means over the head's
 * gates.
 */
export interface GateMeasurement {
  /** The mean over all tokens. */
  readonly mean: number;
  /** The mean over idle queries from `idleFrom` on; null if the task has none. */
  readonly idleMean: number | null;
  /** The opening at position s against early tokens. */
  readonly opening: SinkComparison;
}

/**
 * How much attention of one query head its extra logit takes: b_t = exp(s − logSumExp_t) of query
 * t, where s is the logit, not the position. The scores of tokens do not include it.
 */
export interface SinkLogitMeasurement {
  /** s, the logit. */
  readonly logit: number;
  /**
   * Mean of b_t over the window's queries and over sequences; comparable with the tokens' `score`.
   */
  readonly score: number;
  /** Mean of b_t over idle queries from `idleFrom` on; null if the task has none. */
  readonly idleScore: number | null;
}

/** One query head. */
export interface HeadMeasurement {
  readonly head: number;
  /**
   * The sink score α_s: the mean over the window's queries t and over sequences of a_ts, the
   * attention that query t pays to position s.
   */
  readonly score: number;
  /**
   * The share of sequences whose own α_s counts as a sink, as in Gu et al. Older files lack it, and
   * their other fields do not determine it.
   */
  readonly sinkRate?: number;
  /** The same for the idle score, over sequences with idle queries; null if there are none. */
  readonly idleSinkRate?: number | null;
  /**
   * The idle score: the mean of a_ts over idle queries from `idleFrom` on; null if the task has
   * none.
   */
  readonly idleScore: number | null;
  /** The column mass M_s = Σ_{t≥s} a_ts, between 0 and T − s. */
  readonly mass: number;
  /** The column's second moment S_s = Σ_{t≥s} a_ts² */
  readonly secondMoment: number;
  /** Only if the head has a logit without a value. */
  readonly sinkLogit?: SinkLogitMeasurement;
  /** Only if attention is gated. */
  readonly gate?: GateMeasurement;
}

/** One value head. */
export interface ValueHeadMeasurement {
  readonly head: number;
  /** ‖v_s‖ compared with early tokens, before V-scale: a ratio far below 1 is value-state drain. */
  readonly value: SinkComparison;
  /**
   * ‖v̂_s‖, of the value that attention adds up. It equals `value` without V-scale and with
   * backward-only V-scale.
   */
  readonly usedValue: SinkComparison;
  /**
   * V-scale's learned θ = ln λ, where λ multiplies its constant; 0 for "fixed" and "backward-only",
   * null without V-scale.
   */
  readonly theta: number | null;
  /**
   * V-scale's constant C = λ d D σ², where σ is the deviation of initial weights; null without
   * V-scale.
   */
  readonly constant: number | null;
}

/** Bloat, Compress and Change of one branch, [positions] each. */
export interface BranchByPosition {
  /** ‖h‖ at the branch's start, h or h^{ℓ+½}: median over sequences, like the ratios. */
  readonly inputNorm: readonly number[];
  /** ‖∇h̃‖ / ‖∇r‖, where r is the branch's output. */
  readonly bloat: readonly (number | null)[];
  /** ‖∇h − ∇h′‖ / ‖∇h̃‖, where h′ = h + r. */
  readonly compress: readonly (number | null)[];
  /** ‖∇h‖ / ‖∇h′‖ */
  readonly change: readonly (number | null)[];
}

/** Single tokens of a few sequences for scatter plots: [points] each, all equally long. */
export interface BranchPoints {
  readonly sequence: readonly number[];
  readonly position: readonly number[];
  readonly inputNorm: readonly number[];
  readonly bloat: readonly (number | null)[];
  readonly compress: readonly (number | null)[];
  readonly change: readonly (number | null)[];
}

/** Least-squares fit of log10 Compress against log10 ‖h‖, over all tokens of all sequences. */
export interface CompressFit {
  /** The paper finds about −1. */
  readonly slope: number;
  /** log10 Compress at ‖h‖ = 1. */
  readonly intercept: number;
  /** R²: the share of variance that the line explains. */
  readonly explained: number;
  /** The least and greatest log10 ‖h‖: a slope over less than half a decade says little. */
  readonly range: readonly [number, number];
  readonly tokens: number;
}

/** One residual branch, attention or MLP. */
export interface BranchMeasurement {
  readonly byPosition: BranchByPosition;
  readonly points: BranchPoints;
  /**
   * null if Compress or ‖h‖ is the same for all tokens, or if fewer than 3 tokens have both above
   * 0.
   */
  readonly compressFit: CompressFit | null;
  /** Medians over sequences: their value at s compared with their mean over early tokens. */
  readonly bloat: SinkComparison | null;
  readonly compress: SinkComparison | null;
  readonly change: SinkComparison | null;
}

/** Summed gradient norms at the attention's inner states, [positions] each. */
export interface AttentionGradients {
  /** ‖∇_{h̃_t}L‖, by the RMSNorm output h̃ that feeds attention */
  readonly norm: readonly number[];
  /** ‖∇_{q_t}L‖: at position 0 it is 0 apart from rounding, unless heads have sink logits. */
  readonly query: readonly number[];
  readonly key: readonly number[];
  /** The gradient by v before V-scale. */
  readonly value: readonly number[];
  /** ‖∇_{y_t}L‖, by the heads' outputs y */
  readonly output: readonly number[];
}

/** The attention of one layer. */
export interface AttentionMeasurement {
  readonly heads: readonly HeadMeasurement[];
  readonly valueHeads: readonly ValueHeadMeasurement[];
  /** The share of query heads whose score, first averaged over sequences, exceeds ε. */
  readonly sinkRate: number;
  /** The same for the idle score. */
  readonly idleSinkRate: number | null;
  /**
   * The sink rate as published: the share of (sequence, head) pairs whose score counts as a sink.
   */
  readonly sequenceSinkRate?: number;
  /** The same for the idle score. */
  readonly idleSequenceSinkRate?: number | null;
  /** R_GS(s) of summed gradients: ‖∇h̃_s‖ compared with the mean over t ≠ s, t ≤ T_e. */
  readonly gradientSink: SinkComparison;
  /**
   * The same for single gradients: the part of R_GS that does not come from summing over sequences.
   */
  readonly singleGradientSink: SinkComparison;
  /** Summed gradient norms. */
  readonly gradients: AttentionGradients;
  /**
   * The rounding error of the summed ‖∇k_s‖: below it the gradient is noise. Older files lack it.
   * `meters/gradient_floors.ts` has the formula.
   */
  readonly keyGradientFloor?: number;
  /**
   * The same for ‖∇q_s‖. It exists for position 0 too, where the gradient is 0 without a learned
   * sink.
   */
  readonly queryGradientFloor?: number;
  /** ‖∇h̃_t‖, single, [positions]. */
  readonly singleNormGradient: readonly number[];
  /** ‖v_t‖ over all value heads, before V-scale. */
  readonly value: SinkComparison;
  /** ‖r_attn‖, the norm of what attention adds to the residual stream */
  readonly residual: SinkComparison;
  readonly branch: BranchMeasurement;
}

/** Unusually large elements of a hidden state [B, T, d]. */
export interface MassiveActivations {
  /** Median magnitude of a batch's elements; with several batches, the mean of their medians. */
  readonly median: number;
  /** Largest magnitude of all. */
  readonly largest: number;
  /** largest / median; null if the median is 0. */
  readonly ratio: number | null;
  /**
   * Elements with a magnitude above 100 × their batch's median magnitude: mean count per sequence.
   */
  readonly above100: number;
  /** The same above 1000 × the median magnitude. */
  readonly above1000: number;
  /** The same above 100 × the median magnitude, at position s alone. */
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
    /** Summed ‖∇_{h̃_t^{ℓ+½}}L‖, by the RMSNorm output that feeds the MLP: [positions]. */
    readonly normGradient: readonly number[];
    readonly branch: BranchMeasurement;
  };
  /**
   * The norms of the residual stream before the layer, between attention and MLP, and after the
   * layer, ‖h_in‖, ‖h_half‖ and ‖h_out‖: means over sequences, at s compared with early tokens.
   */
  readonly input: SinkComparison;
  readonly half: SinkComparison;
  readonly output: SinkComparison;
  /** ‖h_out‖, [positions]. */
  readonly outputByPosition: readonly number[];
  /** The massive activations of h_out. */
  readonly massive: MassiveActivations;
}

/** Which activations are rounded to 8 bits. */
export type QuantizationTarget = "down-projections" | "all-linears";

/**
 * How the 8-bit range is chosen: one scale per tensor, from the largest magnitude in other batches;
 * or one scale per token, from the token itself.
 */
export type QuantizationScaling = "static-tensor" | "dynamic-token";

/** The loss with the inputs of linear maps rounded to 8 bits, symmetrically. */
export interface QuantizationCase {
  readonly target: QuantizationTarget;
  readonly scaling: QuantizationScaling;
  /** The loss in nats per token. */
  readonly loss: number;
  /** This loss minus the loss without rounding, on the same sequences. */
  readonly difference: number;
  /** The difference's 95 % interval over texts; only for pretrained models. */
  readonly interval?: Interval;
}

/**
 * How much the loss depends on the range of activations. It is a diagnostic, not a recipe for
 * deployment.
 */
export interface QuantizationMeasurement {
  /** The loss without rounding, in nats per token. */
  readonly loss: number;
  /**
   * The number of other batches that give a batch its static scales. 0 for a pretrained model with
   * a single batch: that batch then gives its own.
   */
  readonly calibrationBatches: number;
  readonly cases: readonly QuantizationCase[];
}

/** An identity or a bound of the theory, checked on every token of a real batch. */
export interface TheoryCheck {
  /** A short name, such as "value path" or "mass bound". */
  readonly name: string;
  /** The formula in the notation of src/reference/theory.md. */
  readonly formula: string;
  /** Identities have violations only; bounds also have slack. */
  readonly kind: "identity" | "bound";
  /** How many comparisons were made. */
  readonly compared: number;
  /**
   * The difference in the comparison that uses most of its tolerance, divided by the sum of the
   * terms' magnitudes. The difference is |left − right| for an identity, and left − right for a
   * bound: negative if it holds with room.
   */
  readonly worst: number;
  /** The place of `worst`: layer, head, position, sequence. */
  readonly where: string;
  /** The most that rounding can explain in that comparison, in the unit of `worst`. */
  readonly tolerance: number;
  /** How many comparisons exceed their tolerance. */
  readonly violations: number;
  /** How tight a bound is, for each layer (and branch) that has it. Empty for identities. */
  readonly slack: readonly SlackDistribution[];
}

/** The levels of {@linkcode SlackDistribution}'s quantiles. */
export const SLACK_LEVELS = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1] as const;

/**
 * Slack of a bound, bound / actual: 1 if it is attained, 10 if it is ten times too large. Tokens
 * with an actual value of 0 are left out.
 */
export interface SlackDistribution {
  readonly layer: number;
  readonly branch: "attention" | "mlp";
  /** Quantiles at SLACK_LEVELS over all tokens. */
  readonly all: readonly number[];
  /** The same quantiles at position s alone. */
  readonly sink: readonly number[];
  /** Counts of log10 slack in bins of width `width` that begin at `from`. */
  readonly histogram: {
    readonly from: number;
    readonly width: number;
    readonly counts: readonly number[];
  };
}

/** The theory on a real batch. */
export interface TheoryMeasurement {
  readonly checks: readonly TheoryCheck[];
  /** One line per check with violations; empty if all checks hold. */
  readonly errors: readonly string[];
}

/** The origin of the model. */
export interface MeasurementSource {
  /** The run's name: its folder's last part. */
  readonly run: string;
  /** The number of training steps done. */
  readonly step: number;
  /** A task's name, such as "bigram-backcopy". */
  readonly task: string;
  readonly seed: number | null;
}

/**
 * 95 % intervals over sequences: how much a figure would vary with other sequences of the same
 * number. The fields mirror the figures' fields; null if a figure has no value.
 */
export interface SinkIntervals {
  /** null in a layer without attention. */
  readonly layers: readonly ({
    readonly gradientSink: Interval | null;
    readonly singleGradientSink: Interval | null;
    /** The interval of every query head's score. */
    readonly scores: readonly (Interval | null)[];
    readonly idleScores: readonly (Interval | null)[];
  } | null)[];
  /** The intervals of the fields of {@linkcode SinkMeasurement.summary} with the same names. */
  readonly summary: {
    readonly loss: Interval | null;
    /** The interval of the median over layers. */
    readonly gradientSink: Interval | null;
    readonly singleGradientSink: Interval | null;
    readonly sequenceSinkRate: Interval | null;
    readonly idleSequenceSinkRate: Interval | null;
    readonly largestScore: Interval | null;
    readonly largestIdleScore: Interval | null;
    /** The intervals of the ratios in `paths`. */
    readonly queryPath: Interval | null;
    readonly keyPath: Interval | null;
    readonly valuePath: Interval | null;
  };
}

/** All measurements of one model. */
export interface SinkMeasurement {
  readonly schema: typeof SINK_MEASUREMENT_SCHEMA;
  /** null if the trace does not come from a run. */
  readonly source: MeasurementSource | null;
  readonly config: LlamaConfig;
  readonly settings: SinkSettings;
  /**
   * True if attention's backward pass used its precise form for position s, which rounds less.
   * Default: false, as in training.
   */
  readonly precise?: boolean;
  readonly data: {
    /**
     * The part of the task that the sequences come from. Older files lack it; theirs come from
     * validation.
     */
    readonly split?: "training" | "validation";
    /** The number of measured sequences. */
    readonly sequences: number;
    /** T */
    readonly context: number;
  };
  /** The loss on the measured sequences, in nats per token; null if unknown. */
  readonly loss: number | null;
  /**
   * The loss on the same sequences of the task's oracle, which knows how they are made; null if
   * there is no oracle.
   */
  readonly oracleLoss: number | null;
  /**
   * The positions that by-position arrays refer to, increasing: 0 … 31, then 2^k − 1, and the last
   * one. s is always among them.
   */
  readonly positions: readonly number[];
  readonly layers: readonly LayerMeasurement[];
  /**
   * Figures over all layers with attention. Without such a layer they are null or absent, except
   * `compressFit.mlp`, which is over all layers.
   */
  readonly summary: {
    /** R_GS(s) over layers. */
    readonly gradientSink: Quartiles | null;
    readonly singleGradientSink: Quartiles | null;
    /** The share of all query heads whose score, first averaged over sequences, exceeds ε. */
    readonly sinkRate: number | null;
    readonly idleSinkRate: number | null;
    /**
     * The sink rate as published: the share of (sequence, head) pairs whose score counts as a sink.
     * Older files lack it and the next three.
     */
    readonly sequenceSinkRate?: number | null;
    readonly idleSequenceSinkRate?: number | null;
    /**
     * The score of uniform attention, a_tj = 1 / (t + 1), over the queries that a score averages:
     * at position 0, 0.074 for 64 queries and 0.34 for 8.
     */
    readonly uniformScore?: number | null;
    /** The same for the idle queries. */
    readonly uniformIdleScore?: number | null;
    /** The greatest score of all heads. */
    readonly largestScore: number | null;
    readonly largestIdleScore: number | null;
    /** Summed ‖∇q‖, ‖∇k‖, ‖∇v‖, [positions]: mean over layers. */
    readonly pathGradients: {
      readonly query: readonly number[];
      readonly key: readonly number[];
      readonly value: readonly number[];
    } | null;
    /** The same norms at s compared with early tokens. */
    readonly paths: {
      readonly query: SinkComparison;
      readonly key: SinkComparison;
      readonly value: SinkComparison;
    } | null;
    /** The rounding error of the key path at s: mean over layers. */
    readonly keyGradientFloor?: number;
    /** The same for the query path. */
    readonly queryGradientFloor?: number;
    /** The fits over all attention branches and over all MLP branches. */
    readonly compressFit: {
      readonly attention: CompressFit | null;
      readonly mlp: CompressFit | null;
    };
  };
  /** null for fewer than 8 sequences. Absent in measurements during training and in older files. */
  readonly intervals?: SinkIntervals | null;
  /** null if not requested. */
  readonly quantization: QuantizationMeasurement | null;
  /** null if not requested. */
  readonly theory: TheoryMeasurement | null;
  /**
   * The states of a model of this project, if requested; {@linkcode pretrained} holds those of a
   * pretrained model.
   */
  readonly states?: StatesMeasurement;
  /** Only for a pretrained model. */
  readonly pretrained?: PretrainedMeasurement;
}
