/**
 * One arm of the study (a setting, variant and seed), as a process that `deno task study` starts.
 * It trains the arm, or continues the arm's unfinished run. Then it measures the trained model,
 * including the theory's statements and the loss with INT8 activations, and writes the arm's
 * record. It reports progress as JSON lines.
 */
import { join } from "node:path";
import { measureModel } from "../../experiments/measure_model.ts";
import { measureQuantization } from "../../experiments/measure_quantization.ts";
import { openTask } from "../../experiments/run/task.ts";
import { freshBatches } from "../../experiments/tasks/task.ts";
import type { StudyArm } from "../../experiments/study/arms.ts";
import { RECORD_FILE, type StudyRecord } from "../../experiments/study/record.ts";
import { buildStudyRecord } from "../../experiments/study/record_build.ts";
import { parseStudyRecord, writeStudyRecord } from "../../experiments/study/record_store.ts";
import { INTERRUPTED, type RunReport } from "../../experiments/study/runner.ts";
import { studyRunSettings, type StudyScale } from "../../experiments/study/settings.ts";
import { type RunResult, trainRun } from "../../experiments/run.ts";
import { readModel } from "../../model/checkpoint.ts";
import { Llama } from "../../model/llama.ts";
import { openGpu, type OpenGpuOptions } from "../../ops/open_gpu.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import { listenForInterrupts } from "../shared/interrupts.ts";
import { standardOutput } from "../shared/output.ts";

export interface RunOrder {
  readonly arm: StudyArm;
  readonly scale: StudyScale;
  /** Created if it does not exist. */
  readonly folder: string;
  readonly suite: { readonly version: string; readonly commit: string | null };
  /** The adapter's name or number; undefined for the usual adapter. */
  readonly adapter?: string;
}

export interface RunArmHooks {
  readonly report: (report: RunReport) => void;
  readonly signal: AbortSignal;
}

/** Starts or continues an arm's run. Returns the exit code: 0 if it is complete, 130 if stopped. */
export async function runArm(order: RunOrder, { report, signal }: RunArmHooks): Promise<number> {
  const { arm, scale, folder, suite } = order;
  const settings = studyRunSettings(arm, scale);
  const gpu = order.adapter === undefined ? {} : { adapter: order.adapter };
  const result = await trainRun({ folder, settings, resume: "if-there", gpu }, {
    signal,
    onProgress: ({ step, steps, loss }) =>
      report({ type: "progress", step, steps, ...loss === undefined ? {} : { loss } }),
    onNote: (text) => report({ type: "note", text }),
  });
  if (result.status !== "complete") return INTERRUPTED;
  const path = join(folder, RECORD_FILE);
  // An older record names the version that trained the model: keep that version.
  const before = await previousRecord(path);
  const trained = before?.suite ?? suite;
  await writeStudyRecord(
    path,
    buildStudyRecord({
      arm,
      settings,
      suite: trained,
      measuredBy: trained.commit === suite.commit ? undefined : suite,
      adapter: result.adapter,
      corpus: result.corpusDigest,
      metrics: result.rows,
      final: await measureFinal(result, gpu),
      date: new Date().toISOString(),
    }),
  );
  return 0;
}

async function previousRecord(path: string): Promise<StudyRecord | undefined> {
  try {
    return parseStudyRecord(await Deno.readTextFile(path), path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/**
 * Measures the checkpoint. It uses attention's usual backward pass, not the precise one, so the
 * result is comparable with the measurements during training.
 */
async function measureFinal(
  { settings, checkpoint, step }: RunResult,
  options: OpenGpuOptions,
): Promise<SinkMeasurement> {
  if (checkpoint === undefined) throw new Error("the run left no checkpoint");
  const { config, context, parameters } = await readModel(checkpoint);
  const { task } = await openTask(settings);
  using gpu = await openGpu(options);
  using model = new Llama(gpu, {
    config,
    batch: settings.batch,
    context,
    parameters,
    kernels: "start",
  });
  const batches = freshBatches(task, {
    batch: settings.batch,
    batches: settings.reporting.measureBatches,
  });
  const measurement = await measureModel(model, {
    task,
    source: { run: settings.preset, step, task: settings.task.name, seed: settings.seed },
    batches,
    theory: true,
    intervals: true,
  });
  return { ...measurement, quantization: await measureQuantization(gpu, model, { task, batches }) };
}

if (import.meta.main) {
  const { out, err } = standardOutput();
  const stop = new AbortController();
  // A run is asked to stop twice at Ctrl-C: by the terminal and by the study. So a second signal
  // must not end the process at once.
  listenForInterrupts(stop);
  try {
    const code = await runArm(JSON.parse(Deno.args[0] ?? "null") as RunOrder, {
      report: (each) => out(JSON.stringify(each) + "\n"),
      signal: stop.signal,
    });
    Deno.exit(code); // Signal listeners would keep the process alive.
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    err(`${message.replaceAll(/\s+/g, " ")}\n`);
    Deno.exit(1);
  }
}
