/** `deno task train`: trains a small model and watches sinks form. */
import { join } from "node:path";
import { escapeTerminal } from "../escape.ts";
import { RunError } from "../experiments/run/error.ts";
import type { RunSettings } from "../experiments/run/settings.ts";
import { openTask } from "../experiments/run/task.ts";
import { CorpusError } from "../experiments/tasks/text_corpus.ts";
import { type RunOptions, type RunResult, trainRun } from "../experiments/run.ts";
import { GpuError } from "../gpu/gpu_error.ts";
import { ResultFileError } from "../measure/result_file.ts";
import { CheckpointError } from "../model/checkpoint/error.ts";
import { UsageError } from "./shared/arguments.ts";
import { type ProgressOutput, stderrOutput } from "./shared/progress.ts";
import { listenForInterrupts } from "./shared/interrupts.ts";
import { parseTrain, trainHelp, type TrainRequest } from "./train/options.ts";
import { TrainProgress } from "./train/progress.ts";
import { formatSummary } from "./train/summary.ts";

/** Where the command writes. */
export interface TrainOutput {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly progress: ProgressOutput;
  /** Whether `out` shows colors. */
  readonly color: boolean;
}

/**
 * Runs the command.
 *
 * @param args the words after `train`
 * @param output where to write
 * @param signal stops the run in order
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted
 */
export async function train(
  args: readonly string[],
  output: TrainOutput,
  signal: AbortSignal,
): Promise<number> {
  const progress = new TrainProgress(output.progress);
  try {
    const request = parseTrain(args);
    if (request.command === "help") {
      output.out(trainHelp());
      return 0;
    }
    const options = await optionsOf(request);
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
  } catch (error) {
    progress.clear();
    const usage = error instanceof UsageError;
    if (!usage && !isExpected(error)) throw error;
    const message = error.message.replaceAll(/\s+/g, " ");
    output.err(`train: ${escapeTerminal(message)}${usage ? " (see --help)" : ""}\n`);
    return usage ? 2 : 1;
  }
}

/** Mistakes and misfortunes that a message explains; anything else is a defect and shows where. */
function isExpected(error: unknown): error is Error {
  return [
    RunError,
    CorpusError,
    CheckpointError,
    ResultFileError,
    GpuError,
    RangeError,
    ...Object.values(Deno.errors),
  ].some((kind) => error instanceof kind) ||
    error instanceof Error && /adapter/i.test(error.message);
}

async function optionsOf(
  request: Exclude<TrainRequest, { command: "help" }>,
): Promise<RunOptions> {
  const { gpu } = request;
  if (request.command === "resume") return { folder: request.folder, resume: "must", gpu };
  const settings = await withVocabulary(request.settings);
  return { folder: request.folder ?? await freeFolder(settings), settings, gpu };
}

/** How many characters a text has shows when it is read. */
async function withVocabulary(settings: RunSettings): Promise<RunSettings> {
  if (settings.task.corpus === undefined) return settings;
  const { task } = await openTask(settings);
  return { ...settings, model: { ...settings.model, vocabulary: task.vocabulary } };
}

async function freeFolder({ preset, model, seed }: RunSettings): Promise<string> {
  const date = new Date().toISOString().replace(/\..*/, "").replaceAll(":", "-");
  const name = join("runs", `${date}-${preset}-${model.vScale}-seed${seed}`);
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

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let offset = 0; offset < bytes.length;) offset += stream.writeSync(bytes.subarray(offset));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error; // The reader has seen enough.
  }
}

if (import.meta.main) {
  const interrupt = new AbortController();
  // Ctrl-C once saves and stops; twice ends at once, which the run's folder bears as well.
  listenForInterrupts(interrupt, { secondExits: true });
  const code = await train(Deno.args, {
    out: (text) => write(Deno.stdout, text),
    err: (text) => write(Deno.stderr, text),
    progress: stderrOutput(),
    color: Deno.stdout.isTerminal() && !Deno.noColor,
  }, interrupt.signal);
  Deno.exit(code); // Listening for signals keeps the process alive.
}
