/** `deno task train`: trains a small model and watches sinks form. */
import { join } from "node:path";
import { escapeTerminal } from "../escape.ts";
import { RunError } from "../experiments/run/error.ts";
import type { RunSettings } from "../experiments/run/settings.ts";
import { openTask } from "../experiments/run/task.ts";
import { CorpusError } from "../experiments/tasks/text_corpus.ts";
import { type RunOptions, type RunResult, trainRun } from "../experiments/run.ts";
import { GpuError } from "../gpu/gpu_error.ts";
import { FileError } from "../files/file_error.ts";
import { CheckpointError } from "../model/checkpoint/error.ts";
import { runCommand } from "./shared/command.ts";
import { type CommandOutput, standardOutput } from "./shared/output.ts";
import { type ProgressOutput, stderrOutput } from "./shared/progress.ts";
import { listenForInterrupts } from "./shared/interrupts.ts";
import { enterUserFolder } from "./shared/place.ts";
import { parseTrain, trainHelp, type TrainRequest } from "./train/options.ts";
import { TrainProgress } from "./train/progress.ts";
import { formatSummary } from "./train/summary.ts";

/** The streams to write to. */
export interface TrainOutput extends CommandOutput {
  readonly progress: ProgressOutput;
}

/**
 * Runs the command; returns its exit code.
 *
 * @param signal stops the run, which then saves a checkpoint
 */
export async function train(
  args: readonly string[],
  output: TrainOutput,
  signal: AbortSignal,
): Promise<number> {
  return await runCommand(
    {
      name: "train",
      parse: parseTrain,
      help: trainHelp,
      run: (request) => run(request, { output, signal }),
      explains,
    },
    args,
    output,
  );
}

async function run(
  request: TrainRequest,
  { output, signal }: { readonly output: TrainOutput; readonly signal: AbortSignal },
): Promise<number> {
  const options = await optionsOf(request);
  const progress = new TrainProgress(output.progress);
  try {
    const result = await trainRun(options, {
      signal,
      onProgress: (state) => progress.show(state),
      onNote: (text) => {
        progress.clear();
        output.err(`train: ${escapeTerminal(text)}\n`);
      },
    });
    progress.clear();
    return conclude(result, { folder: options.folder, output });
  } finally {
    progress.clear();
  }
}

/** Whether an error's message explains it to a user. Any other error is a defect and is thrown. */
function explains(error: unknown): boolean {
  return [
    RunError,
    CorpusError,
    CheckpointError,
    FileError,
    GpuError,
    RangeError,
    ...Object.values(Deno.errors),
  ].some((kind) => error instanceof kind) ||
    error instanceof Error && /adapter/i.test(error.message);
}

async function optionsOf(request: TrainRequest): Promise<RunOptions> {
  const { gpu } = request;
  if (request.command === "resume") {
    const { folder, corpus } = request;
    return { folder, resume: "must", corpus, gpu };
  }
  const settings = await withVocabulary(request.settings);
  return { folder: request.folder ?? await freeFolder(settings), settings, gpu };
}

/**
 * Sets the vocabulary to the task's, as a text can have fewer different characters than the
 * settings say.
 */
async function withVocabulary(settings: RunSettings): Promise<RunSettings> {
  if (settings.task.corpus === undefined) return settings;
  const { task } = await openTask(settings);
  return { ...settings, model: { ...settings.model, vocabulary: task.vocabulary } };
}

async function freeFolder({ preset, model, seed }: RunSettings): Promise<string> {
  const date = new Date().toISOString().replace(/\..*/, "").replaceAll(":", "-");
  const { vScale, sinkLogit = "none", attentionGate = "none" } = model;
  const parts = [
    vScale,
    ...sinkLogit === "none" ? [] : [`sink-${sinkLogit}`],
    ...attentionGate === "none" ? [] : [`gate-${attentionGate}`],
  ];
  const name = join("runs", `${date}-${preset}-${parts.join("-")}-seed${seed}`);
  for (let number = 1;; number++) {
    const path = number === 1 ? name : `${name}-${number}`;
    if (!await Deno.lstat(path).then(() => true, () => false)) return path;
  }
}

function conclude(
  result: RunResult,
  { folder, output }: { readonly folder: string; readonly output: TrainOutput },
): number {
  const where = escapeTerminal(folder);
  if (result.status === "interrupted") {
    const { step, settings } = result;
    output.err(
      `train: stopped after ${step} of ${settings.steps} steps; go on with: deno task train --resume=${where}\n`,
    );
    return 130;
  }
  output.out(formatSummary(result, { color: output.color }));
  output.out(`\nThe model: ${escapeTerminal(result.checkpoint ?? folder)}\n`);
  return 0;
}

if (import.meta.main) {
  enterUserFolder();
  const interrupt = new AbortController();
  // At the first Ctrl-C, the run saves and stops. A second one ends the process at once, which
  // leaves the run's folder intact too.
  listenForInterrupts(interrupt, { secondExits: true });
  const output = { ...standardOutput(), progress: stderrOutput() };
  const code = await train(Deno.args, output, interrupt.signal);
  Deno.exit(code); // Signal listeners would keep the process alive.
}
