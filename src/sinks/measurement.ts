/**
 * The measurements of attention sinks and gradient sinks in one model on some batches. `deno task
 * sinks --json` prints them in this form; the study and the pictures read it.
 *
 * Units and reductions, unless a field says otherwise:
 * - Norms are Euclidean. Those of queries, keys and values run over all heads of a token together.
 * - Gradients are those of the mean loss, in nats per token, over all sequences measured, however
 *   these were cut into batches.
 * - "Summed" gradient norms are those of R_GS as the paper defines it: the gradients of all
 *   sequences are added up first, position by position, and the norm is taken of the sum. What
 *   pushes every sequence in the same direction counts in full; what differs from sequence to
 *   sequence averages out.
 * - "Single" gradient norms are taken in each sequence by itself, times the number of sequences so
 *   that they are gradients of a sequence's own mean loss; then the mean over sequences.
 * - Bloat, Compress and Change are ratios within one token of one sequence, reduced by the median
 *   over sequences. Not on sums over the batch: the RMSNorm's Jacobian, and with it the bound
 *   Compress ≤ ‖γ‖∞/rms, belongs to one token's ‖h‖, and a median bears the few tokens whose
 *   gradient nearly vanishes, by which the ratio divides.
 * - Activation norms are means over sequences; attention statistics too.
 * - null means that there is no value: a layer without attention, a ratio to zero, a task without
 *   triggers. A measurement holds no NaN and no infinity: the measuring functions throw instead.
 *
 * Sources: Chen, Lin, Yao, arXiv 2603.17771 (R_GS, paths, Bloat, Compress, Change); Gu et al.,
 * arXiv 2410.10781 (score and rate); Sun et al., arXiv 2402.17762 (massive activations).
 */
import type { LlamaConfig } from "../reference/llama/config.ts";
import type { Interval } from "../statistics/resampling.ts";
import type { PretrainedMeasurement } from "./pretrained/measurement.ts";
import type { StatesMeasurement } from "./states/measurement.ts";

/** The version of the form; another number means other fields. */
export const SINK_MEASUREMENT_SCHEMA = "gradsink-sinks/1";

/** The positions and thresholds of the measurements. */
export interface SinkSettings {
  /** s, the position looked at as a sink. */
  readonly position: number;
  /**
   * T_ε as given: the queries t = s … s + T_ε − 1 that the score averages over, fewer where the
   * sequence ends.
   */
  readonly window: number;
  /**
   * ε: a score that is greater counts as a sink, if it is also greater than that of uniform
   * attention.
   */
  readonly threshold: number;
  /** T_e as given: R_GS compares with positions up to this one, fewer where the sequence ends. */
  readonly lastGradientPosition: number;
  /** Idle queries count from this position on. */
  readonly idleFrom: number;
  /**
   * The first and the last position of the early tokens, which norms are compared with; s itself is
   * left out.
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

/** A quantity at position s against its mean over other positions. */
export interface SinkComparison {
  /** The value at position s. */
  readonly sink: number;
  /** The mean over the early tokens. */
  readonly early: number;
  /** sink / early; null if that is a division by zero. */
  readonly ratio: number | null;
}

/** A median with quartiles (linear interpolation, as numpy's default), over layers. */
export interface Quartiles {
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
}

/** How far the gates on what one query head hands on are open, from 0 to 1: means over its gates. */
export interface GateMeasurement {
  /** The mean over all tokens. */
  readonly mean: number;
  /** The mean over idle queries from `idleFrom` on; null if the task knows of none. */
  readonly idleMean: number | null;
  /** The opening at position s against early tokens. */
  readonly opening: SinkComparison;
}

/**
 * What the logit without a value takes of one query head's attention: b_t = exp(s − logSumExp_t).
 * It is no part of the scores of tokens.
 */
export interface SinkLogitMeasurement {
  /** s */
  readonly logit: number;
  /**
   * Mean of b_t over the window's queries, and over sequences; comparable with the tokens' `score`.
   */
  readonly score: number;
  /** Mean of b_t over idle queries from `idleFrom` on; null if the task knows of none. */
  readonly idleScore: number | null;
}

/** One query head. */
export interface HeadMeasurement {
  readonly head: number;
  /** α_s: mean of a_ts over the window's queries, and over sequences. */
  readonly score: number;
  /**
   * The share of sequences whose own α_s counts as a sink: each sequence's score is compared first,
   * as Gu et al. do. Older files lack it, and it cannot be computed from what they hold.
   */
  readonly sinkRate?: number;
  /** The same of the idle score, over sequences with idle queries; null if there are none. */
  readonly idleSinkRate?: number | null;
  /** Mean of a_ts over idle queries from `idleFrom` on; null if the task knows of none. */
  readonly idleScore: number | null;
  /** M_s = Σ_{t≥s} a_ts, between 0 and T − s. */
  readonly mass: number;
  /** S_s = Σ_{t≥s} a_ts² */
  readonly secondMoment: number;
  /** Only where the head has a logit without a value. */
  readonly sinkLogit?: SinkLogitMeasurement;
  /** Only where attention is gated. */
  readonly gate?: GateMeasurement;
}

/** One value head. */
export interface ValueHeadMeasurement {
  readonly head: number;
  /** ‖v_s‖ against early tokens, before V-scale: a ratio far below 1 is value-state drain. */
  readonly value: SinkComparison;
  /**
   * ‖v̂_s‖, what attention sums up: equals `value` without V-scale and in its backward-only form.
   */
  readonly usedValue: SinkComparison;
  /** θ = ln λ as learned; 0 for "fixed" and "backward-only", null without V-scale. */
  readonly theta: number | null;
  /** C = λ d D σ²; null without V-scale. */
  readonly constant: number | null;
}

/** Bloat, Compress and Change of one branch, [positions] each. */
export interface BranchByPosition {
  /** ‖h‖ at the branch's start, h or h^{ℓ+½}: median over sequences, as the ratios are. */
  readonly inputNorm: readonly number[];
  /** ‖∇h̃‖ / ‖∇r‖, r being what the branch adds. */
  readonly bloat: readonly (number | null)[];
  /** ‖∇h − ∇h′‖ / ‖∇h̃‖, h′ = h + r. */
  readonly compress: readonly (number | null)[];
  /** ‖∇h‖ / ‖∇h′‖ */
  readonly change: readonly (number | null)[];
}

/** Single tokens of a few sequences, for scatter plots: [points] each, all of the same length. */
export interface BranchPoints {
  readonly sequence: readonly number[];
  readonly position: readonly number[];
  readonly inputNorm: readonly number[];
  readonly bloat: readonly (number | null)[];
  readonly compress: readonly (number | null)[];
  readonly change: readonly (number | null)[];
}

/** Least squares of log10 Compress over log10 ‖h‖, over all tokens of all sequences. */
export interface CompressFit {
  /** The paper sees about −1. */
  readonly slope: number;
  /** log10 Compress where ‖h‖ is 1. */
  readonly intercept: number;
  /** R²: the share of variance that the line explains. */
  readonly explained: number;
  /** The least and the greatest log10 ‖h‖: a slope over less than half a decade says little. */
  readonly range: readonly [number, number];
  readonly tokens: number;
}

/** One residual branch, attention or MLP. */
export interface BranchMeasurement {
  readonly byPosition: BranchByPosition;
  readonly points: BranchPoints;
  /** null if Compress or ‖h‖ is the same, or 0, for all tokens. */
  readonly compressFit: CompressFit | null;
  /** Medians over sequences at s against the mean of these medians over early tokens. */
  readonly bloat: SinkComparison | null;
  readonly compress: SinkComparison | null;
  readonly change: SinkComparison | null;
}

/** Summed gradient norms at the attention's inner states, [positions] each. */
export interface AttentionGradients {
  /** ‖∇_{h̃_t}L‖ */
  readonly norm: readonly number[];
  /** ‖∇_{q_t}L‖: exactly 0 at position 0. */
  readonly query: readonly number[];
  readonly key: readonly number[];
  /** The gradient by v before V-scale. */
  readonly value: readonly number[];
  /** ‖∇_{y_t}L‖ */
  readonly output: readonly number[];
}

/** The attention of one layer. */
export interface AttentionMeasurement {
  readonly heads: readonly HeadMeasurement[];
  readonly valueHeads: readonly ValueHeadMeasurement[];
  /** The share of query heads whose score, averaged over sequences first, is greater than ε. */
  readonly sinkRate: number;
  /** The same of the idle score. */
  readonly idleSinkRate: number | null;
  /**
   * The sink rate as published: the share of (sequence, head) pairs whose score counts as a sink.
   */
  readonly sequenceSinkRate?: number;
  /** The same of the idle score. */
  readonly idleSequenceSinkRate?: number | null;
  /** R_GS(s), of summed gradients: ‖∇h̃_s‖ against the mean over t ≠ s, t ≤ T_e. */
  readonly gradientSink: SinkComparison;
  /** The same of single gradients: how much of R_GS is there without the sum over sequences. */
  readonly singleGradientSink: SinkComparison;
  /** Summed. */
  readonly gradients: AttentionGradients;
  /**
   * What rounding leaves of the summed ‖∇k_s‖: below it the gradient is noise. Older files do not
   * have it. `meters/gradient_floors.ts` has the formula.
   */
  readonly keyGradientFloor?: number;
  /** The same of ‖∇q_s‖; also at position 0, where the gradient is 0 without a learned sink. */
  readonly queryGradientFloor?: number;
  /** ‖∇h̃_t‖, single, [positions]. */
  readonly singleNormGradient: readonly number[];
  /** ‖v_t‖ over all value heads, before V-scale. */
  readonly value: SinkComparison;
  /** ‖r_attn‖ */
  readonly residual: SinkComparison;
  readonly branch: BranchMeasurement;
}

/** Unusually large elements of a hidden state [B, T, d]. */
export interface MassiveActivations {
  /** Median magnitude of a batch's elements; the mean over batches, if there are several. */
  readonly median: number;
  /** Largest magnitude of all. */
  readonly largest: number;
  /** largest / median; null if the median is 0. */
  readonly ratio: number | null;
  /** Elements over 100 × the median magnitude of their batch, in a sequence on average. */
  readonly above100: number;
  /** Elements over 1000 × the median magnitude, in a sequence on average. */
  readonly above1000: number;
  /** How many of those over 100 × are at position s, in a sequence on average. */
  readonly above100AtSink: number;
}

/** One layer. */
export interface LayerMeasurement {
  readonly layer: number;
  /** null in a layer without attention. */
  readonly attention: AttentionMeasurement | null;
  readonly mlp: {
    /** ‖r_mlp‖ */
    readonly residual: SinkComparison;
    /** Summed ‖∇_{h̃_t^{ℓ+½}}L‖, [positions]. */
    readonly normGradient: readonly number[];
    readonly branch: BranchMeasurement;
  };
  /** ‖h_in‖, ‖h_half‖, ‖h_out‖: mean over sequences, s against early tokens. */
  readonly input: SinkComparison;
  readonly half: SinkComparison;
  readonly output: SinkComparison;
  /** ‖h_out‖, [positions]. */
  readonly outputByPosition: readonly number[];
  /** The massive activations of h_out. */
  readonly massive: MassiveActivations;
}

/** Where activations are rounded to 8 bits. */
export type QuantizationTarget = "down-projections" | "all-linears";

/**
 * How the range of 8 bits is chosen: one scale per tensor, from the largest magnitude in other
 * batches, or one scale per token, from the token itself.
 */
export type QuantizationScaling = "static-tensor" | "dynamic-token";

/** The loss with activations rounded to 8 bits, symmetric, in front of linear maps. */
export interface QuantizationCase {
  readonly target: QuantizationTarget;
  readonly scaling: QuantizationScaling;
  /** The loss in nats per token. */
  readonly loss: number;
  /** loss minus the loss without rounding, on the same sequences. */
  readonly difference: number;
  /** The difference's 95 % interval over texts; of pretrained models only. */
  readonly interval?: Interval;
}

/** The range-sensitivity diagnostic: not a recipe for deployment. */
export interface QuantizationMeasurement {
  /** The loss without rounding, in nats per token. */
  readonly loss: number;
  /**
   * Other batches that a batch's static scales come from. 0 where a pretrained model was given one
   * batch only: then they come from that batch.
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
  /** Equalities have violations only; bounds have slack as well. */
  readonly kind: "identity" | "bound";
  /** How many comparisons were made. */
  readonly compared: number;
  /**
   * Identity: the largest |left − right| over the sum of the magnitudes added up. Bound: the
   * largest (left − right) over the terms' magnitude; negative where it holds with room.
   */
  readonly worst: number;
  /** Where: layer, head, position, sequence. */
  readonly where: string;
  /** What rounding can explain, in `worst`'s unit. */
  readonly tolerance: number;
  /** How many comparisons exceed the tolerance. */
  readonly violations: number;
  /** Bounds: how tight. Empty for identities. One for each layer (and branch) that has it. */
  readonly slack: readonly SlackDistribution[];
}

/** The levels of {@linkcode SlackDistribution}'s quantiles. */
export const SLACK_LEVELS = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1] as const;

/**
 * Slack of a bound, bound / actual: 1 where it is attained, 10 where it is ten times too generous.
 * Tokens whose actual value is 0 are left out.
 */
export interface SlackDistribution {
  readonly layer: number;
  readonly branch: "attention" | "mlp";
  /** Quantiles at SLACK_LEVELS over all tokens. */
  readonly all: readonly number[];
  /** The same at position s only. */
  readonly sink: readonly number[];
  /** log10 slack in bins of `width` from `from` on. */
  readonly histogram: {
    readonly from: number;
    readonly width: number;
    readonly counts: readonly number[];
  };
}

/** The theory on a real batch. */
export interface TheoryMeasurement {
  readonly checks: readonly TheoryCheck[];
  /** One line for each check with violations; empty when all holds. */
  readonly errors: readonly string[];
}

/** Where the model comes from. */
export interface MeasurementSource {
  /** The run's name, its folder's last part. */
  readonly run: string;
  /** Training steps done. */
  readonly step: number;
  /** A task's name, such as "bigram-backcopy". */
  readonly task: string;
  readonly seed: number | null;
}

/**
 * 95 % intervals over sequences: how much a figure would vary with as many other sequences. The
 * fields mirror the figures'; null where a figure has no value.
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

/** Everything that is measured of one model. */
export interface SinkMeasurement {
  readonly schema: typeof SINK_MEASUREMENT_SCHEMA;
  /** null if the measured trace is not from a run. */
  readonly source: MeasurementSource | null;
  readonly config: LlamaConfig;
  readonly settings: SinkSettings;
  /**
   * True if attention's backward pass was computed in its precise form for s. Default: false, as in
   * a training.
   */
  readonly precise?: boolean;
  readonly data: {
    /**
     * The part of the task that the sequences are from. Older files lack it; theirs are of
     * validation.
     */
    readonly split?: "training" | "validation";
    /** Sequences measured. */
    readonly sequences: number;
    /** T */
    readonly context: number;
  };
  /** The loss on the measured sequences, in nats per token; null if not known. */
  readonly loss: number | null;
  /** The oracle's on the same sequences; null if there is none. */
  readonly oracleLoss: number | null;
  /**
   * The positions that arrays by position are of, increasing: 0 … 31, then 2^k − 1, then the last,
   * as far as the sequence goes; s always.
   */
  readonly positions: readonly number[];
  readonly layers: readonly LayerMeasurement[];
  /**
   * Figures over all layers with attention; null if there is no such layer, as in the next
   * fields.
   */
  readonly summary: {
    /** R_GS(s) over layers. */
    readonly gradientSink: Quartiles | null;
    readonly singleGradientSink: Quartiles | null;
    /**
     * The share of all query heads whose score, averaged over sequences first, is greater than ε.
     */
    readonly sinkRate: number | null;
    readonly idleSinkRate: number | null;
    /**
     * The sink rate as published: the share of (sequence, head) pairs whose score counts as a sink.
     * Older files lack it and the next three.
     */
    readonly sequenceSinkRate?: number | null;
    readonly idleSequenceSinkRate?: number | null;
    /**
     * The score of uniform attention, a_tj = 1 / (t + 1), over the same queries: 0.074 for 64, 0.34
     * for 8.
     */
    readonly uniformScore?: number | null;
    /** The same over the idle queries. */
    readonly uniformIdleScore?: number | null;
    /** The greatest of all heads. */
    readonly largestScore: number | null;
    readonly largestIdleScore: number | null;
    /** Summed ‖∇q‖, ‖∇k‖, ‖∇v‖, [positions]: mean over layers. */
    readonly pathGradients: {
      readonly query: readonly number[];
      readonly key: readonly number[];
      readonly value: readonly number[];
    } | null;
    /** The same at s against early tokens. */
    readonly paths: {
      readonly query: SinkComparison;
      readonly key: SinkComparison;
      readonly value: SinkComparison;
    } | null;
    /** What rounding leaves of the key path at s: mean over layers. */
    readonly keyGradientFloor?: number;
    /** The same of the query path. */
    readonly queryGradientFloor?: number;
    /** The fits over all layers' attention branches, and over all MLP branches. */
    readonly compressFit: {
      readonly attention: CompressFit | null;
      readonly mlp: CompressFit | null;
    };
  };
  /** null for fewer than 8 sequences. Measurements during training and older files lack it. */
  readonly intervals?: SinkIntervals | null;
  /** null if not requested. */
  readonly quantization: QuantizationMeasurement | null;
  /** null if not requested. */
  readonly theory: TheoryMeasurement | null;
  /**
   * The states, if requested, of a model of this project; {@linkcode pretrained} holds those of a
   * pretrained model.
   */
  readonly states?: StatesMeasurement;
  /** For a pretrained model only. */
  readonly pretrained?: PretrainedMeasurement;
}
