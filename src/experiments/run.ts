/** Starts or resumes one training run, for `deno task train` and the study's arms. */
import { Gpu } from "../gpu/gpu.ts";
import { openGpu, type OpenGpuOptions } from "../ops/open_gpu.ts";
import { MetricsWriter } from "./run/metrics.ts";
import { RunError } from "./run/error.ts";
import { checkNewFolder, metricsPath, RunFolder, runIsIn, sameFields } from "./run/folder.ts";
import { type RunHooks, RunLoop, type RunResult } from "./run/loop.ts";
import { RunReporter } from "./run/reporter.ts";
import { checkRunSettings, type RunSettings } from "./run/settings.ts";
import { parseRunState, restoreVariants } from "./run/state.ts";
import { openTask, type RunTask } from "./run/task.ts";
import { Trainer } from "./run/trainer.ts";
import { CorpusError } from "./tasks/text_corpus.ts";

/** Options of {@linkcode trainRun}. */
export interface RunOptions {
  /** The run's folder. */
  readonly folder: string;
  /** A new run needs settings. A resumed run needs none; if given, they must be its own. */
  readonly settings?: RunSettings | undefined;
  /**
   * Whether to resume the run in the folder: `never` requires a new folder; `must` requires a run
   * in it; `if-there` accepts both. Default `never`.
   */
  readonly resume?: "never" | "must" | "if-there";
  /** Where a resumed run's text is now. Default: where it was. */
  readonly corpus?: string | undefined;
  /** A GPU that is open already, which the run leaves open; or how to open one. */
  readonly gpu?: Gpu | OpenGpuOptions | undefined;
}

/**
 * Trains a run, or continues one. A run that was stopped in any way and resumed on the same adapter
 * gives the same numbers, bit for bit, as an uninterrupted run.
 *
 * @param hooks receive progress and stop the run
 * @throws {TypeError} if a new run has no settings
 * @throws {RangeError} for impossible settings, before anything is written
 * @throws {RunError} if the folder does not fit the options, the text is not the run's, or another
 *   process trains in the folder; a NonFiniteError if a NaN or infinity comes up
 * @throws {CorpusError} if the user's text cannot be used
 * @throws {CheckpointError} if a checkpoint is damaged or cannot be written; older ones stay
 * @throws {FileError} if the file of metrics cannot be written at the start
 * @throws {GpuError} if the GPU fails
 */
export async function trainRun(options: RunOptions, hooks: RunHooks = {}): Promise<RunResult> {
  const { folder: path, settings, resume = "never" } = options;
  if (settings !== undefined) checkRunSettings(settings);
  const goesOn = resume === "must" || resume === "if-there" && await runIsIn(path);
  if (goesOn) {
    using folder = await RunFolder.open(path);
    if (settings !== undefined && !sameFields(settings, folder.settings)) {
      throw new RunError(`${path}: holds a run of other settings; choose another folder`);
    }
    return await train(folder, { options, hooks });
  }
  if (settings === undefined) throw new TypeError("trainRun: a new run needs settings");
  await checkNewFolder(path);
  return await train(settings, { options, hooks });
}

export type { RunHooks, RunResult } from "./run/loop.ts";
export type { RunProgress } from "./run/reporter.ts";

interface Invocation {
  readonly options: RunOptions;
  readonly hooks: RunHooks;
}

async function openText(
  settings: RunSettings,
  { corpus, goesOn }: { readonly corpus: string | undefined; readonly goesOn: boolean },
): Promise<RunTask> {
  const { task } = settings;
  if (corpus !== undefined && task.corpus === undefined) {
    throw new RunError(`--corpus is ${corpus}, but the run has no text: leave it out`);
  }
  try {
    return await openTask(
      corpus === undefined ? settings : { ...settings, task: { ...task, corpus } },
    );
  } catch (error) {
    if (!goesOn || !(error instanceof CorpusError)) throw error;
    throw new CorpusError(
      `${error.message}; if the text has moved, say where it is: --corpus=PATH`,
    );
  }
}

/** @param origin the folder of the run to resume, or the settings of a new run */
async function train(
  origin: RunFolder | RunSettings,
  { options, hooks }: Invocation,
): Promise<RunResult> {
  const settings = origin instanceof RunFolder ? origin.settings : origin;
  const checkpoint = origin instanceof RunFolder ? await origin.load() : undefined;
  const from = checkpoint?.step ?? 0;
  const report = new RunReporter(settings, { from, onProgress: hooks.onProgress });
  report.show("preparing");
  const opened = await openText(settings, {
    corpus: options.corpus,
    goesOn: origin instanceof RunFolder,
  });
  const { task, corpusDigest, notes } = opened;
  for (const note of notes) hooks.onNote?.(note);
  const state = checkpoint === undefined ? undefined : parseRunState(checkpoint.state);
  if (state !== undefined && state.corpusDigest !== (corpusDigest ?? null)) {
    const { corpus = settings.task.corpus } = options;
    throw new RunError(`--corpus: ${corpus} is not the text any more that the run began with`);
  }
  if (state === undefined && options.corpus !== undefined) {
    throw new RunError(
      `${options.folder}: has no checkpoint yet that would prove the text to be the same: begin anew, in another folder`,
    );
  }
  if (task.vocabulary !== settings.model.vocabulary) {
    throw new RangeError(
      `vocabulary is ${settings.model.vocabulary}, wanted the task's ${task.vocabulary}`,
    );
  }
  using opening = options.gpu instanceof Gpu ? undefined : await openGpu(options.gpu);
  const gpu = opening ?? options.gpu as Gpu;
  if (state !== undefined) restoreVariants(gpu, state, hooks.onNote);
  using trainer = new Trainer(gpu, { settings, task, from: checkpoint });
  // Wait for the GPU here: if the model is too large for its memory, this throws before anything is
  // written.
  await gpu.sync();
  using fresh = origin instanceof RunFolder
    ? undefined
    : await RunFolder.create(options.folder, settings);
  const folder = fresh ?? origin as RunFolder;
  const { writer, rows } = await MetricsWriter.open(metricsPath(folder.path), from);
  using metrics = writer;
  return await new RunLoop({
    gpu,
    trainer,
    folder,
    metrics,
    rows,
    opened,
    state,
    report,
    hooks,
  }).go();
}
