/**
 * Makes the settings of a run from an arm of the study. An arm is a study setting such as `deep`, a
 * variant and a seed.
 */
import type { LlamaConfig } from "../../reference/llama/config.ts";
import { RUN_SCHEMA, type RunSettings, type TaskSettings } from "../run/settings.ts";
import { interventionOf, isTextSetting, type StudyArm, type StudySetting } from "./arms.ts";
import type { SettingValue, StudyRecord } from "./record.ts";
import { BACKCOPY, BACKCOPY_VOCABULARY, OPTIMIZER, SMALL } from "../run/presets.ts";

export interface StudyScale {
  readonly steps: number;
  /** The number of sequences per step. */
  readonly batch: number;
  readonly learningRate: number;
  /** About how many measurements a run has, besides the one before training. */
  readonly measurements: number;
  /**
   * Validation sequences per measurement, rounded up to whole batches. With few sequences,
   * R_GS is unreliable.
   */
  readonly sequences: number;
  /** The path of the text. The settings `text` and `text-anchored` need it. */
  readonly corpus: string | undefined;
  /**
   * The byte at position 0 of every text sequence. Default: none in the setting `text`, 0 in
   * `text-anchored`.
   */
  readonly firstToken?: number | undefined;
}

/** The study's default settings. */
export const DEFAULT_SCALE: StudyScale = {
  steps: 2000,
  batch: 8,
  learningRate: 3e-3,
  measurements: 20,
  sequences: 64,
  corpus: undefined,
};

/** For a study of `text-anchored` alone. */
export const ANCHORED_SCALE: StudyScale = {
  ...DEFAULT_SCALE,
  steps: 3000,
  batch: 24,
  learningRate: 4e-3,
};

/** A study's default settings. */
export function defaultScale(settings: readonly StudySetting[]): StudyScale {
  return settings.every((setting) => setting === "text-anchored") ? ANCHORED_SCALE : DEFAULT_SCALE;
}

type Shape = Pick<
  LlamaConfig,
  "layers" | "modelDim" | "queryHeads" | "keyValueHeads" | "headDim" | "feedForwardDim"
>;

const shapes: Readonly<Record<StudySetting, Shape & { readonly withoutAttention: number[] }>> = {
  shallow: { layers: 2, ...SMALL, withoutAttention: [] },
  // Layer 0 has an MLP but no attention, so a massive activation can form before any attention.
  deep: { layers: 3, ...SMALL, withoutAttention: [0] },
  text: {
    layers: 4,
    modelDim: 64,
    queryHeads: 2,
    keyValueHeads: 2,
    headDim: 32,
    feedForwardDim: 176,
    withoutAttention: [],
  },
  // With a fixed first token, sinks and gradient sinks form, and then larger residual norms.
  "text-anchored": {
    layers: 4,
    modelDim: 96,
    queryHeads: 4,
    keyValueHeads: 4,
    headDim: 24,
    feedForwardDim: 256,
    withoutAttention: [],
  },
};

function taskOf(setting: StudySetting, { corpus, firstToken }: StudyScale): TaskSettings {
  if (isTextSetting(setting)) {
    if (corpus === undefined) {
      throw new TypeError(`studyRunSettings: the setting ${setting} needs a corpus`);
    }
    const first = firstToken ?? (setting === "text-anchored" ? 0 : undefined);
    const anchor = first === undefined ? {} : { firstToken: first };
    return { name: "text", context: 128, corpus, ...anchor };
  }
  return BACKCOPY;
}

/**
 * Makes the settings of an arm's run.
 *
 * @throws {TypeError} for a text setting without a corpus
 *
 * @example
 * ```ts
 * import { DEFAULT_SCALE, studyRunSettings } from "./settings.ts";
 *
 * const arm = { setting: "deep", variant: "learned", seed: 3 } as const;
 * console.log(studyRunSettings(arm, DEFAULT_SCALE).model.layersWithoutAttention); // [0]
 * ```
 */
export function studyRunSettings(arm: StudyArm, scale: StudyScale): RunSettings {
  const { withoutAttention, ...shape } = shapes[arm.setting];
  const { steps, batch, learningRate, measurements, sequences } = scale;
  const measureEvery = Math.max(1, Math.round(steps / measurements));
  return {
    schema: RUN_SCHEMA,
    preset: `study-${arm.setting}`,
    seed: arm.seed,
    steps,
    batch,
    accumulation: 1,
    model: {
      ...shape,
      vocabulary: isTextSetting(arm.setting) ? 256 : BACKCOPY_VOCABULARY,
      normEpsilon: 1e-5,
      ropeBase: 1e4,
      tiedHead: false,
      ...interventionOf(arm.variant),
      layersWithoutAttention: withoutAttention,
    },
    task: taskOf(arm.setting, scale),
    optimizer: {
      ...OPTIMIZER,
      learningRate,
      // A fifteenth of a run, but at most the usual 100 steps.
      warmUpSteps: Math.min(OPTIMIZER.warmUpSteps, Math.ceil(steps / 15)),
      ...arm.setting === "text-anchored" ? { weightDecay: 0.1 } : {},
    },
    reporting: {
      lossEvery: Math.max(1, Math.min(20, Math.floor(steps / 50))),
      measureEvery,
      measureBatches: Math.ceil(sequences / batch),
      checkpointEvery: measureEvery,
      keepCheckpoints: 1,
    },
  };
}

/**
 * Collects the settings that a run's record keeps, under names such as `model.layers`. Together
 * with the seed, the variant and the steps they determine the run's figures. A digest identifies
 * the corpus, because its path differs between machines.
 *
 * @param corpus the text's digest; undefined without text
 */
export function matchedSettings(
  settings: RunSettings,
  corpus: string | undefined,
): StudyRecord["settings"] {
  const { model, task, optimizer, batch, accumulation, reporting } = settings;
  // Leave out the settings that express the variant, and those that only pretrained models have.
  const {
    vScale: _,
    attentionGate: _g,
    sinkLogit: _l,
    ropeScaling: _s,
    projectionBiases: _b,
    attentionOutputBias: _o,
    queryKeyNorm: _n,
    ...shape
  } = model;
  const { corpus: __, ...rest } = { ...task, corpus: undefined };
  const named: [string, SettingValue][] = [
    ...Object.entries(rest).flatMap(([name, value]): [string, SettingValue][] =>
      value === undefined ? [] : [[`task.${name}`, value]]
    ),
    ...Object.entries(shape).map((
      [name, value],
    ): [string, SettingValue] => [`model.${name}`, value]),
    ...Object.entries(optimizer),
    ["batch", batch],
    ["accumulation", accumulation],
    ["measureEvery", reporting.measureEvery],
    ["measureBatches", reporting.measureBatches],
    ...corpus === undefined ? [] : [["corpus", corpus] as [string, SettingValue]],
  ];
  return Object.fromEntries(named);
}
