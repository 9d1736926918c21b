/** Opens a trained model from a folder, with the task to measure it on. */
import { basename, dirname, join, resolve } from "node:path";
import { readModel, type StoredModel } from "../model/checkpoint.ts";
import { checkHoldsModel } from "../model/pretrained/folder.ts";
import type { MeasurementSource } from "../sinks/measurement.ts";
import { RunError } from "./run/error.ts";
import { listCheckpoints, readRunSettings, runIsIn } from "./run/folder.ts";
import type { RunSettings, TaskSettings } from "./run/settings.ts";
import { openTask } from "./run/task.ts";
import type { Task } from "./tasks/task.ts";

export interface OpenedModel {
  readonly model: StoredModel;
  readonly task: Task;
  readonly source: MeasurementSource;
  /** The run's number of sequences per batch; undefined for a checkpoint outside a run. */
  readonly batch: number | undefined;
  /** The number of batches that the run's last measurement uses; undefined outside a run. */
  readonly batches: number | undefined;
  /** The number of sequences that the run trained on before the checkpoint; 0 outside a run. */
  readonly trainedSequences: number;
  /** Lines for the user that say what was skipped when the text was read. */
  readonly notes: readonly string[];
}

/** Options of {@linkcode openModel}. */
export interface OpenModelOptions {
  /** The checkpoint's step. Default: the newest. */
  readonly step?: number | undefined;
  /** A file or folder of text, in place of the run's; a checkpoint outside a run needs one. */
  readonly corpus?: string | undefined;
  /**
   * Tokens per sequence, for a checkpoint outside a run. Default: the model's context, but at most
   * {@linkcode DEFAULT_CONTEXT}.
   */
  readonly context?: number | undefined;
}

/** Default tokens per sequence; fewer if the model's context is smaller. */
export const DEFAULT_CONTEXT = 1024;

/**
 * Opens a run's checkpoint, or a checkpoint outside a run.
 *
 * @param folder a run's folder, or a checkpoint's in Hugging Face's layout
 * @param options the checkpoint's step, and other text
 * @throws {RunError} if the run cannot be read or has no such checkpoint, if the checkpoint does
 *   not fit the run or the text, if it is outside a run and no text is given, or if `context` is
 *   longer than the model's or differs from the run's
 * @throws {CheckpointError} if the folder holds neither a run nor a checkpoint, or the checkpoint
 *   is incomplete, has another shape, or holds a NaN or infinity
 * @throws {CorpusError} if the text cannot be read or used
 */
export async function openModel(
  folder: string,
  { step, corpus, context }: OpenModelOptions = {},
): Promise<OpenedModel> {
  await checkHoldsModel(folder);
  if (await isCheckpoint(folder)) {
    const own = await runOf(folder);
    if (own === undefined || (step !== undefined && step !== own.step)) {
      return await openCheckpoint(folder, { step, corpus, context });
    }
    return await openModel(own.run, { step: own.step, corpus, context });
  }
  const settings = await readRunSettings(folder);
  if (context !== undefined && context !== settings.task.context) {
    throw new RunError(
      `--context is ${context}, but the run in ${folder} has sequences of ${settings.task.context} tokens; ` +
        "leave --context out",
    );
  }
  const checkpoints = await listCheckpoints(folder);
  const steps = checkpoints.map((entry) => entry.step);
  const entry = step === undefined
    ? checkpoints.at(-1)
    : checkpoints.find((candidate) => candidate.step === step);
  if (entry === undefined) {
    throw new RunError(
      steps.length === 0
        ? `${folder}: has no checkpoint yet`
        : `${folder}: has no checkpoint of step ${step}, but of ${listed(steps)}`,
    );
  }
  const model = await readModel(entry.path);
  const { task, notes } = await openTask({ ...settings, task: withCorpus(settings, corpus) });
  if (model.config.vocabulary !== task.vocabulary || model.context !== task.context) {
    throw new RunError(
      `${entry.path}: is a model of ${model.config.vocabulary} tokens in contexts of ${model.context}, ` +
        `but the run's task has ${task.vocabulary} in ${task.context}`,
    );
  }
  return {
    model,
    task,
    source: {
      run: nameOf(folder),
      step: entry.step,
      task: settings.task.name,
      seed: settings.seed,
    },
    batch: settings.batch,
    batches: settings.reporting.finalBatches ?? settings.reporting.measureBatches,
    trainedSequences: entry.step * settings.accumulation * settings.batch,
    notes,
  };
}

async function isCheckpoint(folder: string): Promise<boolean> {
  const isFile = async (name: string) => {
    try {
      return (await Deno.stat(join(folder, name))).isFile;
    } catch {
      return false; // The code that reads the file next reports the reason.
    }
  };
  return !(await isFile("settings.json")) &&
    ((await isFile("config.json")) || (await isFile("model.safetensors")));
}

/** Finds the run that contains a checkpoint. */
async function runOf(
  folder: string,
): Promise<{ readonly run: string; readonly step: number } | undefined> {
  const path = resolve(folder);
  const run = dirname(dirname(path));
  const found = (await listCheckpoints(run).catch(() => [])).find((entry) => entry.path === path);
  return found === undefined || !(await runIsIn(run)) ? undefined : { run, step: found.step };
}

async function openCheckpoint(
  folder: string,
  { step, corpus, context: wanted }: OpenModelOptions,
): Promise<OpenedModel> {
  if (step !== undefined) {
    throw new RunError(`${folder}: is one checkpoint, which has no others to choose from by step`);
  }
  const stored = await readModel(folder);
  const context = wanted ?? Math.min(stored.context, DEFAULT_CONTEXT);
  if (context > stored.context) {
    throw new RunError(
      `--context is ${context}, wanted at most the ${stored.context} tokens that the model was made for`,
    );
  }
  const model = { ...stored, context };
  if (corpus === undefined) {
    throw new RunError(
      `${folder}: is a checkpoint alone, outside of a run: give it text to be measured on, --corpus=PATH`,
    );
  }
  const { task, notes } = await openTask({
    seed: 0,
    task: { name: "text", context, corpus },
  });
  if (model.config.vocabulary !== task.vocabulary) {
    throw new RunError(
      `${folder}: has no tokenizer.json, so its tokens can only be the ${task.vocabulary} bytes of a text, but ` +
        `the model has ${model.config.vocabulary} tokens: put its tokenizer.json into the folder, or ` +
        "if it is of a run, give the run's folder",
    );
  }
  return {
    model,
    task,
    source: { run: nameOf(folder), step: 0, task: "text", seed: null },
    batch: undefined,
    batches: undefined,
    trainedSequences: 0,
    notes,
  };
}

function withCorpus({ task }: RunSettings, corpus: string | undefined): TaskSettings {
  return corpus === undefined ? task : { ...task, corpus };
}

function nameOf(folder: string): string {
  return basename(resolve(folder)) || folder;
}

function listed(steps: readonly number[]): string {
  const shown = steps.length > 8 ? ["…", ...steps.slice(-8)] : steps;
  return shown.join(", ");
}
