/**
 * The study's record of one run: figures through training and all measurements of the trained
 * model, in a small file. Reports need only these files, so figures can be drawn again without
 * training, and runs of many machines can be merged.
 */
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { StudyArm } from "./arms.ts";

/** The version that this code writes. */
export const STUDY_RECORD_SCHEMA = "gradsink-study-run/1";

/** A record's file in its run's folder. */
export const RECORD_FILE = "study-record.json";

/**
 * A figure at the sink's position, by default 0, and the figure's mean over the early tokens. The
 * measurement's settings say where the sink is and which tokens are early.
 */
export type SinkPair = readonly [sink: number, early: number];

/** One layer's attention at one step. */
export interface TrajectoryAttention {
  /** The sink score α_0, the mean attention to token 0: mean over heads. */
  readonly score: number;
  /** The sink score over idle queries alone (see `Task.idleQueries`); null if there are none. */
  readonly idleScore: number | null;
  /** The share of heads whose score, first averaged over sequences, exceeds the threshold. */
  readonly sinkRate: number;
  /**
   * The sink rate as published: the share of (sequence, head) pairs with a sink. Older records lack
   * it.
   */
  readonly sequenceSinkRate?: number;
  /**
   * ‖∇h̃‖, where h̃ is the RMSNorm output that feeds attention and ∇h̃ its gradient summed over
   * sequences. The second number is the divisor of R_GS (see src/reference/theory.md), not the mean
   * over early tokens.
   */
  readonly gradient: SinkPair;
  /** ‖∇q‖, ‖∇k‖ and ‖∇v‖, of gradients summed over sequences. */
  readonly paths: { readonly query: SinkPair; readonly key: SinkPair; readonly value: SinkPair };
  /** ‖v‖ before V-scale. */
  readonly valueNorm: SinkPair;
  /** ‖r_attn‖, the norm of what attention adds to the residual stream. */
  readonly residual: SinkPair;
  /** V-scale's learned θ of each value head, as in `LayerValve`; null if it is not learned. */
  readonly theta: readonly number[] | null;
  /**
   * The heads' extra logits, which take attention but have no values; absent for a model without
   * them.
   */
  readonly sinkLogit?: {
    /** One per query head. */
    readonly logits: readonly number[];
    /** The logits' share of attention: mean over heads, comparable with the score of token 0. */
    readonly score: number;
    readonly idleScore: number | null;
  };
  /** How far attention's gates are open: mean over heads. */
  readonly gate?: {
    readonly mean: number;
    /** `mean` over idle queries alone; null if there are none. */
    readonly idleMean: number | null;
    readonly opening: SinkPair;
  };
}

/**
 * One branch's gradient ratios Bloat, Compress and Change, as medians over sequences (see
 * `BranchByPosition`); null for a division by zero.
 */
export interface TrajectoryBranch {
  readonly bloat: SinkPair | null;
  readonly compress: SinkPair | null;
  readonly change: SinkPair | null;
  /** The slope of log Compress over log ‖h‖, and the decades of ‖h‖ that its fit spans. */
  readonly slope: number | null;
  readonly decades: number | null;
}

/** One layer at one step. */
export interface TrajectoryLayer {
  readonly layer: number;
  /** null in a layer without attention. */
  readonly attention: (TrajectoryAttention & { readonly branch: TrajectoryBranch }) | null;
  readonly mlp: { readonly residual: SinkPair; readonly branch: TrajectoryBranch };
  /** ‖h_in‖, the norm of the residual stream before the layer. */
  readonly input: SinkPair;
  /** ‖h_out‖, the norm of the residual stream after the layer. */
  readonly output: SinkPair;
  /** The largest magnitude in h_out divided by the median magnitude; null if the median is 0. */
  readonly massive: number | null;
}

/** A model's figures at one step. */
export interface TrajectoryPoint {
  readonly step: number;
  /** The model's loss on validation sequences, in nats per token. */
  readonly loss: number;
  /** The oracle's loss (see `Task.oracleLoss`); null without an oracle. */
  readonly oracleLoss: number | null;
  /**
   * ‖∇q‖, ‖∇k‖ and ‖∇v‖ at each of the record's `positions`, mean over layers. Kept at a few steps
   * only, so that records are small; null at the others.
   */
  readonly paths: {
    readonly query: readonly number[];
    readonly key: readonly number[];
    readonly value: readonly number[];
  } | null;
  readonly layers: readonly TrajectoryLayer[];
}

/** Settings are shown and compared, but never computed with. */
export type SettingValue = string | number | boolean | null | readonly (string | number)[];

/** One run of the study. */
export interface StudyRecord {
  readonly schema: string;
  /** The version of gradsink that trained the model. */
  readonly suite: { readonly version: string; readonly commit: string | null };
  /** The version of gradsink that measured the trained model, if another version trained it. */
  readonly measuredBy?: { readonly version: string; readonly commit: string | null };
  readonly arm: StudyArm;
  /** The run's settings except variant and seed, so all arms of one study setting have the same. */
  readonly settings: Readonly<Record<string, SettingValue>>;
  /** The planned number of steps. */
  readonly steps: number;
  readonly status: "complete" | "incomplete";
  /** The time of writing, as RFC 3339. */
  readonly date: string;
  /** The adapter's name. */
  readonly adapter: string;
  /** Training losses at some steps. Each is the mean over the steps since the previous entry. */
  readonly training: { readonly steps: readonly number[]; readonly losses: readonly number[] };
  /** The token positions of the numbers in each point's `paths`. */
  readonly positions: readonly number[];
  /** The points, in the order of steps. */
  readonly trajectory: readonly TrajectoryPoint[];
  /**
   * The measurement of the trained model, with theory and quantization; null if there is none.
   * Lists by position that no picture uses are empty, and so are the histograms of slack (how many
   * times too large a bound is).
   */
  readonly final: SinkMeasurement | null;
}
