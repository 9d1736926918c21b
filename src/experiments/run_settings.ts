/** What a training run is made of: everything that decides its numbers, and how often it says something. */
import type { LlamaConfig } from "../model/config.ts";

/** The version of a run folder's settings. */
export const RUN_SCHEMA = "gradsink-run/1";

/** Bigram-Backcopy: see `BigramBackcopy`. */
export interface BigramBackcopySettings {
  readonly name: "bigram-backcopy";
  /** T, with BOS. */
  readonly context: number;
  /** Of the table; the model's vocabulary is one more, for BOS. */
  readonly characters: number;
  /** The most frequent characters, after which the one before comes again. */
  readonly triggers: number;
  /** How near the table's rows are to the unigram; see `syntheticBigramTable`. */
  readonly concentration: number;
  /** The table's own seed: runs of other seeds can have the same table. */
  readonly tableSeed: number;
  /** A file or folder whose text the table is counted from, in place of drawing it. */
  readonly corpus?: string | undefined;
}

/** Byte-level text: see `TextCorpus`. */
export interface TextSettings {
  readonly name: "text";
  /** T */
  readonly context: number;
  /** A file or folder. */
  readonly corpus: string;
}

/** What a run trains on. */
export type TaskSettings = BigramBackcopySettings | TextSettings;

/** AdamW with decoupled weight decay, clipping, warm-up and cosine decay. */
export interface OptimizerSettings {
  /** The peak, which the warm-up ends at. */
  readonly learningRate: number;
  /** The learning rate of the last step, as a share of the peak. */
  readonly finalShare: number;
  /** Steps of the warm-up. */
  readonly warmUpSteps: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** λ of `w ← w − η λ w`, on the matrices. */
  readonly weightDecay: number;
  /** The greatest global gradient norm: what is beyond is scaled down to it. */
  readonly clip: number;
}

/** How often a run says something. None of it changes what is trained. */
export interface ReportingSettings {
  /** Steps between two rows of losses. */
  readonly lossEvery: number;
  /** Steps between two measurements of sinks; 0 for the last step only. */
  readonly measureEvery: number;
  /** Batches of validation sequences that a measurement is made on. */
  readonly measureBatches: number;
  /** Steps between two checkpoints; 0 for the last step only. */
  readonly checkpointEvery: number;
  /** How many checkpoints are kept, the newest ones. */
  readonly keepCheckpoints: number;
}

/** A run. */
export interface RunSettings {
  readonly schema: typeof RUN_SCHEMA;
  /** Which preset it began as. */
  readonly preset: string;
  /** Of the initial weights and the batches. */
  readonly seed: number;
  readonly steps: number;
  /** Sequences in a micro-batch, which the GPU works on at once. */
  readonly batch: number;
  /** Micro-batches whose mean gradient makes one step. */
  readonly accumulation: number;
  readonly model: LlamaConfig;
  readonly task: TaskSettings;
  readonly optimizer: OptimizerSettings;
  readonly reporting: ReportingSettings;
}
