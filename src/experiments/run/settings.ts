/** A training run's settings: those that determine its numbers, and how often it reports. */
import {
  checkConfig,
  type LlamaConfig,
  refusePretrainedParts,
} from "../../reference/llama/config.ts";

/** The name and version of the format in which a run's folder stores its settings. */
export const RUN_SCHEMA = "gradsink-run/1";

/** Bigram-Backcopy: see `BigramBackcopy`. */
export interface BigramBackcopySettings {
  readonly name: "bigram-backcopy";
  /** Tokens in a sequence, including BOS. */
  readonly context: number;
  /** The number of characters in the table, which does not count BOS. */
  readonly characters: number;
  /**
   * The number of triggers, which are the most frequent characters. The character after a trigger
   * repeats the character before it.
   */
  readonly triggers: number;
  /** How close the table's rows are to the unigram distribution; see `syntheticBigramTable`. */
  readonly concentration: number;
  /** The seed of a drawn table. It is not the run's seed, so different runs can share a table. */
  readonly tableSeed: number;
  /** A file or folder of text to count the table from; if undefined, the table is drawn. */
  readonly corpus?: string | undefined;
}

/** Byte-level text: see `TextCorpus`. */
export interface TextSettings {
  readonly name: "text";
  /** Tokens in a sequence. */
  readonly context: number;
  /** A file or folder of text. */
  readonly corpus: string;
  /** A byte at position 0 of every context. Default: none. */
  readonly firstToken?: number | undefined;
}

/** The data to train on. */
export type TaskSettings = BigramBackcopySettings | TextSettings;

/** AdamW with clipping, warm-up and cosine decay. */
export interface OptimizerSettings {
  /** The rate at the warm-up's end. */
  readonly learningRate: number;
  /** The last step's rate, as a share of the peak. */
  readonly finalShare: number;
  /** Steps of the warm-up. */
  readonly warmUpSteps: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** λ of `w ← w − η λ w` with the learning rate η; only matrices decay. */
  readonly weightDecay: number;
  /** The largest global gradient norm; larger gradients are scaled down to it. */
  readonly clip: number;
}

/** How often a run reports, which does not change the training. */
export interface ReportingSettings {
  /** Steps between two rows of losses. */
  readonly lossEvery: number;
  /** Steps between two measurements. 0: only after the last step. */
  readonly measureEvery: number;
  /** Validation batches per measurement. */
  readonly measureBatches: number;
  /** Validation batches in the last measurement. Default: `measureBatches`. */
  readonly finalBatches?: number;
  /** Steps between two checkpoints. 0: saves only after the last step or an interruption. */
  readonly checkpointEvery: number;
  /** How many of the newest checkpoints to keep. */
  readonly keepCheckpoints: number;
}

/** All settings of a run. */
export interface RunSettings {
  readonly schema: typeof RUN_SCHEMA;
  /** The preset that the settings started from. */
  readonly preset: string;
  /** Seeds the initial weights and the batches. */
  readonly seed: number;
  readonly steps: number;
  /** Sequences that the GPU computes at once: a micro-batch. */
  readonly batch: number;
  /** Micro-batches per step. The step uses the mean of their gradients. */
  readonly accumulation: number;
  readonly model: LlamaConfig;
  readonly task: TaskSettings;
  readonly optimizer: OptimizerSettings;
  readonly reporting: ReportingSettings;
}

/** The largest integer that a setting may have, except a seed. */
const MOST = 2 ** 31;

/**
 * Refuses impossible settings.
 *
 * @param settings of any origin, even a file
 * @throws {RangeError} that names the first wrong setting, its value and what is wanted
 */
export function checkRunSettings(settings: RunSettings): void {
  const { schema, preset, seed, steps, batch, accumulation, model, task, optimizer, reporting } =
    settings;
  refuseUnless(schema === RUN_SCHEMA, "schema", schema, JSON.stringify(RUN_SCHEMA));
  refuseUnless(typeof preset === "string", "preset", preset, "a name");
  checkInteger("seed", seed, { least: 0, most: Number.MAX_SAFE_INTEGER });
  checkInteger("steps", steps, { least: 1 });
  checkInteger("batch", batch, { least: 1 });
  checkInteger("accumulation", accumulation, { least: 1 });
  for (const [name, part] of Object.entries({ model, task, optimizer, reporting })) {
    refuseUnless(typeof part === "object" && part !== null, name, part, "an object");
  }
  checkConfig(model);
  refusePretrainedParts(model, { operation: "a run's model" });
  checkTask(task);
  checkOptimizer(optimizer, steps);
  const {
    lossEvery,
    measureEvery,
    measureBatches,
    finalBatches,
    checkpointEvery,
    keepCheckpoints,
  } = reporting;
  checkInteger("lossEvery", lossEvery, { least: 1 });
  checkInteger("measureEvery", measureEvery, { least: 0 });
  checkInteger("measureBatches", measureBatches, { least: 1 });
  if (finalBatches !== undefined) checkInteger("finalBatches", finalBatches, { least: 1 });
  checkInteger("checkpointEvery", checkpointEvery, { least: 0 });
  checkInteger("keepCheckpoints", keepCheckpoints, { least: 1 });
}

function checkTask(task: TaskSettings): void {
  checkInteger("context", task.context, { least: 2 });
  switch (task.name) {
    case "text":
      if (task.firstToken !== undefined) {
        checkInteger("firstToken", task.firstToken, { least: 0, most: 255 });
      }
      return refuseUnless(typeof task.corpus === "string", "corpus", task.corpus, "a path");
    case "bigram-backcopy": {
      const { characters, triggers, concentration, tableSeed, corpus } = task;
      checkInteger("characters", characters, { least: 2, most: 4096 });
      checkInteger("triggers", triggers, { least: 1, most: characters - 1 });
      checkNumber("concentration", concentration, { above: 0 });
      checkInteger("tableSeed", tableSeed, { least: 0, most: Number.MAX_SAFE_INTEGER });
      return refuseUnless(
        corpus === undefined || typeof corpus === "string",
        "corpus",
        corpus,
        "a path",
      );
    }
    default:
      refuseUnless(
        false,
        "task",
        (task as { name: unknown }).name,
        "bigram-backcopy or text",
      );
  }
}

function checkOptimizer(optimizer: OptimizerSettings, steps: number): void {
  const { learningRate, finalShare, warmUpSteps, beta1, beta2, epsilon, weightDecay, clip } =
    optimizer;
  checkNumber("learningRate", learningRate, { above: 0 });
  checkNumber("finalShare", finalShare, { least: 0, most: 1 });
  checkInteger("warmUpSteps", warmUpSteps, { least: 0, most: steps - 1 });
  checkNumber("beta1", beta1, { least: 0, below: 1 });
  checkNumber("beta2", beta2, { least: 0, below: 1 });
  checkNumber("epsilon", epsilon, { above: 0 });
  checkNumber("weightDecay", weightDecay, { least: 0 });
  checkNumber("clip", clip, { above: 0 });
}

function checkInteger(
  name: string,
  given: number,
  { least, most = MOST }: { readonly least: number; readonly most?: number },
): void {
  refuseUnless(
    Number.isSafeInteger(given) && given >= least && given <= most,
    name,
    given,
    most >= MOST ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`,
  );
}

function checkNumber(
  name: string,
  given: number,
  { least = -Infinity, above = -Infinity, most = Infinity, below = Infinity }: {
    readonly least?: number;
    readonly above?: number;
    readonly most?: number;
    readonly below?: number;
  },
): void {
  const bounds = [
    least > -Infinity ? `at least ${least}` : "",
    above > -Infinity ? `above ${above}` : "",
    most < Infinity ? `at most ${most}` : "",
    below < Infinity ? `below ${below}` : "",
  ];
  refuseUnless(
    Number.isFinite(given) && given >= least && given > above && given <= most && given < below,
    name,
    given,
    `a number ${bounds.filter((bound) => bound !== "").join(" and ")}`,
  );
}

function refuseUnless(holds: boolean, name: string, given: unknown, wanted: string): void {
  if (!holds) {
    const text = JSON.stringify(given) ?? String(given);
    throw new RangeError(`${name} is ${Number.isNaN(given) ? "NaN" : text}, wanted ${wanted}`);
  }
}
