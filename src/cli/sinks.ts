/** `deno task sinks`: measures sinks and gradient sinks of a trained model. */
import { escapeTerminal } from "../escape.ts";
import { measureModel } from "../experiments/measure_model.ts";
import { measureQuantization } from "../experiments/measure_quantization.ts";
import { type OpenedModel, openModel } from "../experiments/open_model.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { checkWritable, writeTextFile } from "../files/write.ts";
import { Llama } from "../model/llama.ts";
import { checkHoldsModel } from "../model/pretrained/folder.ts";
import { openGpu } from "../ops/open_gpu.ts";
import { checkExportFolder } from "../report/export.ts";
import { renderSinkPage } from "../report/sinks/page.ts";
import { formatSinkMeasurement } from "../report/sinks/text.ts";
import { createSvgDocument } from "../report/svg_document.ts";
import type { SinkMeasurement } from "../sinks/measurement.ts";
import { formatMeasurementJson } from "../sinks/measurement_text.ts";
import { UsageError } from "./shared/arguments.ts";
import { runCommand } from "./shared/command.ts";
import { type CommandOutput, standardOutput, tellWritten } from "./shared/output.ts";
import { Progress, stderrOutput } from "./shared/progress.ts";
import { enterUserFolder } from "./shared/place.ts";
import {
  measurePretrainedModel,
  pretrainedModel,
  refusePretrainedOptions,
} from "./sinks/pretrained.ts";
import { runSinksCompare } from "./sinks/compare.ts";
import { withExport } from "./sinks/export.ts";
import { checkHead } from "./sinks/head.ts";
import { endAtInterrupt } from "./sinks/interrupt.ts";
import { parseSinks, sinksHelp, type SinksRequest } from "./sinks/options.ts";

/** Parts that tests replace. */
export interface SinksHooks extends CommandOutput {
  readonly openGpu: (options: SinksRequest["gpu"]) => Promise<Gpu>;
  /** Called before files are written. */
  readonly onMeasured?: () => void;
}

/** Sequences per batch, by default. */
const BATCH = 8;
/** Batches, by default. */
const BATCHES = 8;

/** Runs the command; returns its exit code. */
export async function runSinks(args: readonly string[], hooks: SinksHooks): Promise<number> {
  if (args[0] === "compare") return await runSinksCompare(args.slice(1), hooks);
  return await runCommand(
    {
      name: "sinks",
      parse: parseSinks,
      help: sinksHelp,
      run: (request) => report(request, hooks),
    },
    args,
    hooks,
  );
}

async function report(request: SinksRequest, hooks: SinksHooks): Promise<number> {
  // First the checks that take no time.
  for (const path of [request.output, request.html]) {
    if (path !== undefined) await checkWritable(path);
  }
  if (request.export !== undefined) await checkExportFolder(request.export.folder);
  const model = await pretrainedModel(request);
  if (model !== undefined) {
    return await writeReports(await measurePretrainedModel(model, request, hooks), request, hooks);
  }
  const { folder, step, corpus } = request;
  await checkHoldsModel(folder);
  refusePretrainedOptions(request);
  const opened = await openModel(folder, { step, corpus, context: request.pretrained.context });
  for (const note of opened.notes) hooks.err(`sinks: ${escapeTerminal(note)}\n`);
  const { context } = opened.model;
  if (request.position >= context) {
    throw new UsageError(
      `--position is ${request.position}, wanted at most ${
        context - 1
      }, as sequences have ${context} tokens`,
    );
  }
  checkHead(request.head, opened.model.config);
  return await writeReports(await measure(request, opened, hooks), request, hooks);
}

async function writeReports(
  measurement: SinkMeasurement,
  request: SinksRequest,
  hooks: SinksHooks,
): Promise<number> {
  hooks.onMeasured?.();
  const json = formatMeasurementJson(measurement);
  if (request.output !== undefined) await writeTextFile(request.output, json);
  if (request.html !== undefined) {
    await writeTextFile(request.html, renderSinkPage(measurement, createSvgDocument()));
  }
  hooks.out(request.json ? json : formatSinkMeasurement(measurement, { color: hooks.color }));
  tellWritten(hooks, "sinks", [request.output, request.html, request.export?.folder]);
  const errors = measurement.theory?.errors ?? [];
  if (errors.length === 0) return 0;
  hooks.err(`sinks: ${errors.length} of the theory's statements are violated\n`);
  return 3;
}

async function measure(
  request: SinksRequest,
  opened: OpenedModel,
  hooks: SinksHooks,
): Promise<SinkMeasurement> {
  const { model: stored, task, source, trainedSequences } = opened;
  const { split, position, window, threshold, theory } = request;
  const wanted = {
    batch: request.batch ?? opened.batch ?? BATCH,
    batches: request.batches ?? opened.batches ?? BATCHES,
  };
  const { batch, batches, note } = differentBatches(task, { ...wanted, split });
  if (note !== undefined) hooks.err(`sinks: ${note}\n`);
  const measured = {
    task,
    split,
    firstBatch: split === "training" ? Math.ceil(trainedSequences / batch) : 0,
    batches,
  };
  const progress = new Progress({ ...stderrOutput(), write: hooks.err });
  using gpu = await hooks.openGpu(request.gpu);
  checkMemory(gpu, stored, batch);
  using model = new Llama(gpu, {
    config: stored.config,
    batch,
    context: stored.context,
    parameters: stored.parameters,
    kernels: "start",
    precisePosition: position,
  });
  try {
    const total = batches + (request.quantization ? 1 : 0);
    const { config, context } = stored;
    const shape = { config, context, texts: batch * batches, batch };
    return await withExport(request, shape, async (observer) => {
      const measurement = await measureModel(model, {
        ...measured,
        settings: { position, window, threshold },
        source,
        theory,
        intervals: true,
        states: { head: request.head },
        observer,
        onBatch: (done) => progress.show({ done, total, text: "sinks" }),
      });
      if (!request.quantization) return measurement;
      progress.show({ done: batches, total, text: "INT8 activations" });
      const quantization = await measureQuantization(gpu, model, measured);
      return { ...measurement, quantization };
    });
  } finally {
    progress.clear();
  }
}

/** Returns the requested size and number of batches, or less if a sequence would come twice. */
function differentBatches(
  task: OpenedModel["task"],
  { batch, batches, split }: Pick<SinksRequest, "split"> & {
    readonly batch: number;
    readonly batches: number;
  },
): { readonly batch: number; readonly batches: number; readonly note?: string } {
  const count = task.contexts?.[split] ?? Infinity;
  if (batch * batches <= count) return { batch, batches };
  const size = Math.min(batch, count);
  const most = Math.floor(count / size);
  return {
    batch: size,
    batches: most,
    note:
      `measured on ${size * most} sequences and not on ${
        batch * batches
      }: the text has ${count} of ` +
      `${task.context} tokens for ${split}, and each counts once`,
  };
}

/** Refuses a model if one batch's largest tensor exceeds the GPU's limit. */
function checkMemory(gpu: Gpu, { config, context }: OpenedModel["model"], batch: number): void {
  const { vocabulary, feedForwardDim, modelDim, queryHeads, headDim } = config;
  const widest = Math.max(vocabulary, feedForwardDim, modelDim, queryHeads * headDim);
  const bytes = 4 * batch * context * widest;
  if (bytes <= gpu.largestStorage) return;
  const mebibytes = (size: number) => `${Math.ceil(size / 2 ** 20)} MiB`;
  throw new UsageError(
    `${batch} sequences of ${context} tokens take ${
      mebibytes(bytes)
    } in one tensor, and the adapter allows ` +
      `${mebibytes(gpu.largestStorage)}: give a smaller --batch or --context`,
  );
}

if (import.meta.main) {
  enterUserFolder();
  const output = standardOutput();
  const stop = endAtInterrupt(output.err);
  Deno.exitCode = await runSinks(Deno.args, { ...output, openGpu, onMeasured: stop });
  stop();
}
