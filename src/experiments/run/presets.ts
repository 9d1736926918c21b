/** Presets: each is a name for a complete set of a run's settings. */
import { PLAIN_LLAMA } from "../../reference/llama/config.ts";
import {
  type OptimizerSettings,
  type ReportingSettings,
  RUN_SCHEMA,
  type RunSettings,
} from "./settings.ts";

/** The presets' names, in the help's order. */
export const PRESETS = ["smoke", "backcopy", "backcopy-deep", "text", "paper-0.1b"] as const;

/** A preset's name. */
export type PresetName = typeof PRESETS[number];

/** Each preset's purpose, in a few words. */
export const PRESET_TITLES: Readonly<Record<PresetName, string>> = {
  smoke: "a strong sink in under a minute on two CPU cores: Bigram-Backcopy, 2 layers, no V-scale",
  backcopy: "Bigram-Backcopy, 2 layers: the model and task of deno task study --settings=shallow",
  "backcopy-deep":
    "Bigram-Backcopy, 3 layers, no attention in layer 0, so that the sink forms above an MLP",
  text: "byte-level text from --corpus, 4 layers",
  "paper-0.1b": "the 0.1B model and schedule of arXiv 2603.17771, on bytes of --corpus; for GPUs",
};

/** The usual optimizer settings. Presets and studies change a few of them. */
export const OPTIMIZER: OptimizerSettings = {
  learningRate: 3e-3,
  finalShare: 0.1,
  warmUpSteps: 100,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 1e-4,
  clip: 1,
};

const REPORTING: ReportingSettings = {
  lossEvery: 20,
  measureEvery: 200,
  measureBatches: 1,
  // One batch of 32 sequences is too few for R_GS: its intervals are wide.
  finalBatches: 16,
  checkpointEvery: 200,
  keepCheckpoints: 3,
};

/** Small models that show a sink. */
export const SMALL = {
  modelDim: 64,
  queryHeads: 1,
  keyValueHeads: 1,
  headDim: 64,
  feedForwardDim: 176,
} as const;

/**
 * Bigram-Backcopy's settings in presets and the study. The table's rows are close to the unigram
 * distribution, so their entropy is high, which makes strong sinks. Runs of all seeds share one
 * table; only their initial weights and sequences differ.
 */
export const BACKCOPY = {
  name: "bigram-backcopy",
  context: 64,
  characters: 63,
  triggers: 3,
  concentration: 3,
  tableSeed: 1,
} as const;

/** Bigram-Backcopy's characters, and BOS. */
export const BACKCOPY_VOCABULARY = BACKCOPY.characters + 1;

const SMALL_BACKCOPY = { ...PLAIN_LLAMA, ...SMALL, vocabulary: BACKCOPY_VOCABULARY };

const BASE = {
  schema: RUN_SCHEMA,
  seed: 1,
  batch: 32,
  accumulation: 1,
  task: BACKCOPY,
  optimizer: OPTIMIZER,
  reporting: REPORTING,
} as const;

/**
 * A preset's settings.
 *
 * @param corpus a file or folder of text, which `text` and `paper-0.1b` need
 * @throws {TypeError} if the preset needs a corpus and there is none
 *
 * @example
 * ```ts
 * import { presetSettings } from "./presets.ts";
 *
 * console.log(presetSettings("backcopy-deep").model.layersWithoutAttention); // [0]
 * ```
 */
export function presetSettings(name: PresetName, corpus?: string): RunSettings {
  const text = (context: number) => {
    if (corpus === undefined) throw new TypeError(`the preset ${name} wants a corpus`);
    return { name: "text", context, corpus } as const;
  };
  switch (name) {
    case "smoke":
      return {
        ...BASE,
        preset: name,
        steps: 1000,
        batch: 16,
        model: { ...SMALL_BACKCOPY, layers: 2 },
        // At the usual rate of 3e-3, the sink takes several times as long to form.
        optimizer: { ...OPTIMIZER, learningRate: 1e-2 },
        reporting: { ...REPORTING, measureEvery: 100, lossEvery: 10, finalBatches: 32 },
      };
    case "backcopy":
      return {
        ...BASE,
        preset: name,
        steps: 3000,
        model: { ...SMALL_BACKCOPY, layers: 2 },
      };
    case "backcopy-deep":
      return {
        ...BASE,
        preset: name,
        steps: 4000,
        model: { ...SMALL_BACKCOPY, layers: 3, layersWithoutAttention: [0] },
      };
    case "text":
      return {
        ...BASE,
        preset: name,
        steps: 3000,
        task: text(128),
        model: {
          ...PLAIN_LLAMA,
          vocabulary: 256,
          layers: 4,
          modelDim: 128,
          queryHeads: 4,
          keyValueHeads: 4,
          headDim: 32,
          feedForwardDim: 352,
        },
      };
    case "paper-0.1b":
      return {
        ...BASE,
        preset: name,
        steps: 20_000,
        // A step has 8 · 64 sequences. The 8 computed at once take 12 GiB of the GPU's memory.
        batch: 8,
        accumulation: 64,
        task: text(1024),
        model: {
          ...PLAIN_LLAMA,
          vocabulary: 256,
          layers: 16,
          modelDim: 512,
          queryHeads: 8,
          keyValueHeads: 8,
          headDim: 64,
          feedForwardDim: 1408,
        },
        optimizer: { ...OPTIMIZER, learningRate: 5e-4, warmUpSteps: 1000, weightDecay: 0.1 },
        reporting: { ...REPORTING, measureEvery: 1000, checkpointEvery: 500, lossEvery: 10 },
      };
  }
}

/** Whether a preset has this name. */
export function isPreset(name: string): name is PresetName {
  return (PRESETS as readonly string[]).includes(name);
}
