/**
 * What the study keeps of one run: figures through training and everything that is measured of the
 * trained model, in a small file. The report is made of these files alone, so that figures can be
 * made again without training, and runs of many machines can be put together.
 */
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { StudyArm } from "./arms.ts";

/** The version that this code writes. */
export const STUDY_RECORD_SCHEMA = "gradsink-study-run/1";

/** A record's file name in its run's folder, and the ending of its name elsewhere. */
export const RECORD_FILE = "study-record.json";

/**
 * A figure at position 0 against its mean over the early tokens; positions as the measurement's
 * settings say.
 */
export type SinkPair = readonly [sink: number, early: number];

/** One layer's attention at one step. */
export interface TrajectoryAttention {
  /** α_0: mean over heads. */
  readonly score: number;
  /**
   * The same over queries that have no reason to look anywhere; null where the task knows of none.
   */
  readonly idleScore: number | null;
  /** The share of heads whose score, averaged over sequences first, is a sink's. */
  readonly sinkRate: number;
  /** The sink rate as published, each sequence's score compared first; older records lack it. */
  readonly sequenceSinkRate?: number;
  /** ‖∇h̃‖, gradients summed over sequences; the second figure is R_GS's mean. */
  readonly gradient: SinkPair;
  /** ‖∇q‖, ‖∇k‖, ‖∇v‖, summed. */
  readonly paths: { readonly query: SinkPair; readonly key: SinkPair; readonly value: SinkPair };
  /** ‖v‖ before V-scale. */
  readonly valueNorm: SinkPair;
  /** ‖r_attn‖ */
  readonly residual: SinkPair;
  /** θ of each value head; null where nothing is learned. */
  readonly theta: readonly number[] | null;
  /** What logits without a value take of the attention; only where query heads have one. */
  readonly sinkLogit?: {
    /** s of each query head. */
    readonly logits: readonly number[];
    /** Means over heads, to be set beside the scores of token 0. */
    readonly score: number;
    readonly idleScore: number | null;
  };
  /** How far gates are open, means over heads; only where attention is gated. */
  readonly gate?: {
    readonly mean: number;
    /** Over queries that have no reason to look anywhere; null where the task knows of none. */
    readonly idleMean: number | null;
    readonly opening: SinkPair;
  };
}

/**
 * Bloat, Compress and Change of one branch at one step, medians; null where a ratio is one to zero.
 */
export interface TrajectoryBranch {
  readonly bloat: SinkPair | null;
  readonly compress: SinkPair | null;
  readonly change: SinkPair | null;
  /** The slope of log Compress over log ‖h‖, and the decades that ‖h‖ spans. */
  readonly slope: number | null;
  readonly decades: number | null;
}

/** One layer at one step. */
export interface TrajectoryLayer {
  readonly layer: number;
  /** null in a layer without attention. */
  readonly attention: (TrajectoryAttention & { readonly branch: TrajectoryBranch }) | null;
  readonly mlp: { readonly residual: SinkPair; readonly branch: TrajectoryBranch };
  /** ‖h_in‖, which the layer's first RMSNorm divides by. */
  readonly input: SinkPair;
  /** ‖h_out‖ */
  readonly output: SinkPair;
  /** Largest magnitude of h_out over its median magnitude; null if the median is 0. */
  readonly massive: number | null;
}

/** A model's figures at one step. */
export interface TrajectoryPoint {
  readonly step: number;
  /** The loss on validation sequences, in nats per token. */
  readonly loss: number;
  /** The oracle's loss; null for text. */
  readonly oracleLoss: number | null;
  /**
   * Path gradients by position, mean over layers; null at most of the steps, to keep records small.
   */
  readonly paths: {
    readonly query: readonly number[];
    readonly key: readonly number[];
    readonly value: readonly number[];
  } | null;
  readonly layers: readonly TrajectoryLayer[];
}

/** Settings are shown and compared, never computed with. */
export type SettingValue = string | number | boolean | null | readonly (string | number)[];

/** One run of the study. */
export interface StudyRecord {
  readonly schema: string;
  /** What trained it. */
  readonly suite: { readonly version: string; readonly commit: string | null };
  /** What measured the trained model, where that was not what trained it. */
  readonly measuredBy?: { readonly version: string; readonly commit: string | null };
  readonly arm: StudyArm;
  /** The settings that all arms of a setting share: without variant and seed. */
  readonly settings: Readonly<Record<string, SettingValue>>;
  /** Steps that the run was to take. */
  readonly steps: number;
  readonly status: "complete" | "incomplete";
  /** When the record was written, RFC 3339. */
  readonly date: string;
  /** The adapter's name. */
  readonly adapter: string;
  /** Training losses at some steps, each the mean since the one before. */
  readonly training: { readonly steps: readonly number[]; readonly losses: readonly number[] };
  /** The positions of figures by position. */
  readonly positions: readonly number[];
  /** The points in the order of the steps. */
  readonly trajectory: readonly TrajectoryPoint[];
  /**
   * The measurement of the trained model, with theory and quantization; null while there is none.
   * Lists by position that no picture takes, and the bins of slack, are empty.
   */
  readonly final: SinkMeasurement | null;
}
