/**
 * The measurements of attention sinks and gradient sinks in one model on some batches. `deno task
 * sinks --json` prints them in this form; the study and the pictures read it. The parts of the form
 * are in the folder `measurement/`. The folder `meters/` computes them; R_GS is in
 * `meters/gradient.ts`.
 *
 * Units and reductions, unless a field says otherwise:
 * - Norms are Euclidean. The norm of a query, key or value covers all heads of a token together.
 * - Gradients are of the mean loss over all measured sequences, in nats per token, for any batch
 *   size.
 * - "Summed" gradient norms follow the paper's R_GS: at each position they are the norm of the sum
 *   of all sequences' gradients. A push in the same direction in every sequence counts in full;
 *   pushes that differ between sequences average out.
 * - "Single" gradient norms treat every sequence alone: each is the norm of the gradient of the
 *   sequence's own mean loss, averaged over sequences.
 * - Bloat, Compress and Change are ratios within one token of one sequence, reduced by the median
 *   over sequences. They do not use sums over the batch, because the RMSNorm's Jacobian and its
 *   bound Compress ≤ ‖γ‖∞/rms belong to one token's ‖h‖. A median ignores the few tokens where the
 *   ratio divides by a nearly vanishing gradient.
 * - Activation norms and attention statistics are means over sequences.
 * - null means no value, such as in a layer without attention, for a ratio to zero, or for a task
 *   without triggers. Nothing is NaN or infinite: the measuring functions throw instead.
 *
 * Sources: Chen, Lin, Yao, arXiv 2603.17771 (R_GS, paths, Bloat, Compress, Change); Gu et al.,
 * arXiv 2410.10781 (score and rate); Sun et al., arXiv 2402.17762 (massive activations).
 */
import type { LlamaConfig } from "../reference/llama/config.ts";
import type { CompressFit } from "./measurement/branch.ts";
import type { Quartiles, SinkComparison } from "./measurement/comparison.ts";
import type { SinkIntervals } from "./measurement/intervals.ts";
import type { LayerMeasurement } from "./measurement/layer.ts";
import type { QuantizationMeasurement } from "./measurement/quantization.ts";
import type { SinkSettings } from "./measurement/settings.ts";
import type { TheoryMeasurement } from "./measurement/theory.ts";
import type { PretrainedMeasurement } from "./pretrained/measurement.ts";
import type { StatesMeasurement } from "./states/measurement.ts";

/** The version of this form. */
export const SINK_MEASUREMENT_SCHEMA = "gradsink-sinks/1";

/** The origin of the model. */
export interface MeasurementSource {
  /** The name of the run or the pretrained model, such as the last part of its folder. */
  readonly run: string;
  /** The number of training steps done; 0 for a pretrained model. */
  readonly step: number;
  /** A task's name, such as "bigram-backcopy". */
  readonly task: string;
  readonly seed: number | null;
}

/** All measurements of one model. */
export interface SinkMeasurement {
  readonly schema: typeof SINK_MEASUREMENT_SCHEMA;
  /** null if the measuring code gave no source. */
  readonly source: MeasurementSource | null;
  readonly config: LlamaConfig;
  readonly settings: SinkSettings;
  /**
   * True if attention's backward pass used its precise form. If queries give almost all of their
   * weight to `settings.position`, this form loses fewer digits of that key's gradient and of the
   * queries' gradients. Default: false, as in training.
   */
  readonly precise?: boolean;
  readonly data: {
    /**
     * The part of the task that the sequences come from. Older files lack this field; their
     * sequences come from validation.
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
   * The oracle's loss on the same sequences; null if the task has no oracle. An oracle knows how
   * the sequences are made.
   */
  readonly oracleLoss: number | null;
  /**
   * The token positions that every array marked [positions] covers, in increasing order: 0 … 31,
   * then 63, 127 and so on (2^k − 1), and the last position. s is always among them.
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
    /**
     * `sinkRate` over idle queries alone: those without a reason to attend to any particular token.
     */
    readonly idleSinkRate: number | null;
    /**
     * The sink rate as published: the share of (sequence, head) pairs whose score counts as a sink.
     * Older files lack this field and the next three.
     */
    readonly sequenceSinkRate?: number | null;
    /** `sequenceSinkRate` over idle queries alone. */
    readonly idleSequenceSinkRate?: number | null;
    /**
     * The score of uniform attention, a_tj = 1 / (t + 1), over the queries that a score averages:
     * at position 0, 0.074 for 64 queries and 0.34 for 8.
     */
    readonly uniformScore?: number | null;
    /** The score of uniform attention over the idle queries. */
    readonly uniformIdleScore?: number | null;
    /** The greatest score of all heads. */
    readonly largestScore: number | null;
    /** The greatest score of all heads over idle queries alone. */
    readonly largestIdleScore: number | null;
    /** The summed gradient norms ‖∇q_t‖, ‖∇k_t‖ and ‖∇v_t‖: means over layers, [positions]. */
    readonly pathGradients: {
      readonly query: readonly number[];
      readonly key: readonly number[];
      readonly value: readonly number[];
    } | null;
    /** The norms of `pathGradients` at s, compared with early tokens. */
    readonly paths: {
      readonly query: SinkComparison;
      readonly key: SinkComparison;
      readonly value: SinkComparison;
    } | null;
    /** The rounding error of the summed gradient norm ‖∇k_s‖: the mean over layers. */
    readonly keyGradientFloor?: number;
    /** The rounding error of the summed gradient norm ‖∇q_s‖: the mean over layers. */
    readonly queryGradientFloor?: number;
    /** Two fits of Compress: over all layers' attention branches, and over all MLP branches. */
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
   * The measurements of hidden states and of attention to every position, if requested. Only for
   * this project's own models: those of a pretrained model are in {@linkcode pretrained}.
   */
  readonly states?: StatesMeasurement;
  /** Only for a pretrained model. */
  readonly pretrained?: PretrainedMeasurement;
}
