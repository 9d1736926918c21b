/** `deno task sinks` with a pretrained model: opens it, checks that it fits, and measures it. */
import { measurePretrained } from "../../experiments/measure_pretrained.ts";
import {
  isPretrained,
  type OpenedPretrained,
  openPretrained,
} from "../../experiments/open_pretrained.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { streamedMemory } from "../../model/streamed/memory.ts";
import { listParameters, parameterLength } from "../../reference/llama/parameters.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import { LEAST_UNITS } from "../../sinks/intervals.ts";
import type { PretrainedMeasurement } from "../../sinks/pretrained/measurement.ts";
import { UsageError } from "../shared/arguments.ts";
import type { CommandOutput } from "../shared/output.ts";
import { Progress, stderrOutput } from "../shared/progress.ts";
import { withExport } from "./export.ts";
import { checkHead } from "./head.ts";
import type { SinksRequest } from "./options.ts";

/** How many tokens of the first text are shown. */
const SHOWN_TOKENS = 8;

/** Default tokens per batch. Larger batches need more memory and hardly save time. */
const BATCH_TOKENS = 1024;

/**
 * Returns the folder or hub name of the pretrained model that a command line names, or undefined if
 * the command line names another kind of model.
 */
export async function pretrainedModel(
  { folder, given }: SinksRequest,
): Promise<string | undefined> {
  if (await isPretrained(folder)) return folder;
  const there = await Deno.stat(folder).then(() => true, () => false);
  return !there && await isPretrained(given) ? given : undefined;
}

/**
 * Refuses options that only pretrained models take.
 *
 * @throws {UsageError} that names the first such option
 */
export function refusePretrainedOptions(
  { given, pretrained, interventions }: SinksRequest,
): void {
  const { texts, begin, documents } = pretrained;
  const own = {
    texts,
    bos: begin,
    documents,
    "no-interventions": interventions ? undefined : true,
  };
  for (const [name, value] of Object.entries(own)) {
    if (value === undefined) continue;
    throw new UsageError(
      `--${name} is for pretrained models, but ${given} is a run, or has no tokenizer.json beside config.json`,
    );
  }
}

function refuseRunOptions({ given, step, split }: SinksRequest): void {
  if (step !== undefined) {
    throw new UsageError(`--step is ${step}, but ${given} is a pretrained model without steps`);
  }
  if (split === "training") {
    throw new UsageError(
      `--split is training, but ${given} is a pretrained model: --corpus says on what it is measured`,
    );
  }
}

/**
 * Measures a pretrained model.
 *
 * @param model its folder or its name on the hub
 * @throws {UsageError} for options that do not fit the model
 * @throws {RangeError} if it does not fit into memory, if the context is longer than the model's,
 *   or if a state or gradient is not finite
 * @throws {FileError} if the export cannot be written
 * @throws {CheckpointError} if the model cannot be read
 * @throws {CorpusError} if the text cannot be read or used
 */
export async function measurePretrainedModel(
  model: string,
  request: SinksRequest,
  hooks: CommandOutput & {
    readonly openGpu: (options: SinksRequest["gpu"]) => Promise<Gpu>;
  },
): Promise<SinkMeasurement> {
  refuseRunOptions(request);
  const progress = new Progress({ ...stderrOutput(), write: hooks.err });
  try {
    using opened = await openPretrained(model, {
      ...request.pretrained,
      corpus: request.corpus,
      onProgress: (done, total, text) => progress.show({ done, total, text }),
    });
    const { texts, context } = opened.texts;
    const batch = batchOf(request.batch, { texts, context });
    const { position, window, threshold, theory, interventions, quantization } = request;
    if (position >= context) {
      throw new UsageError(
        `--position is ${position}, wanted at most ${context - 1}, as texts have ${context} tokens`,
      );
    }
    const { config } = opened.weights.architecture;
    checkHead(request.head, config);
    using gpu = await hooks.openGpu(request.gpu);
    await checkMemory(gpu, opened, { batch, context, position });
    return await withExport(request, { config, context, texts, batch }, async (observer) => {
      const { sinks, pretrained } = await measurePretrained(gpu, {
        source: opened.weights,
        batch,
        task: opened.texts,
        batches: texts / batch,
        settings: { position, window, threshold },
        from: opened.source,
        theory,
        interventions,
        quantization,
        head: request.head,
        observer,
        onProgress: (done, total, text) => progress.show({ done, total, text }),
      });
      return { ...sinks, pretrained: { ...describe(opened, request), ...pretrained } };
    });
  } finally {
    progress.clear();
  }
}

function batchOf(
  given: number | undefined,
  { texts, context }: { readonly texts: number; readonly context: number },
): number {
  if (given === undefined) {
    let batch = Math.max(1, Math.min(texts, Math.floor(BATCH_TOKENS / context)));
    while (texts % batch !== 0) batch--;
    return batch;
  }
  if (texts % given !== 0) {
    throw new UsageError(`--batch is ${given}, wanted a divisor of the ${texts} texts`);
  }
  return given;
}

function describe(
  { weights, tokenizer, texts, source, notes }: OpenedPretrained,
  { pretrained: { begin = "as-tokenizer", documents = "joined" } }: SinksRequest,
): Pick<PretrainedMeasurement, "model" | "texts"> {
  const { family, config } = weights.architecture;
  const { texts: count } = texts;
  const tokens = texts.firstTokens(SHOWN_TOKENS);
  return {
    model: {
      name: source.run,
      family,
      parameters: listParameters(config)
        .reduce((sum, parameter) => sum + parameterLength(parameter), 0),
      storedAs: [...new Set(weights.types.values())].sort(),
      notes: [...notes, ...fewTexts(count)],
    },
    texts: {
      begin,
      documents,
      firstTokens: tokens.map((token) => tokenizer.spelling(token)),
      firstTokenNumbers: tokens,
    },
  };
}

function fewTexts(count: number): string[] {
  if (count >= LEAST_UNITS) return [];
  return [
    `${count} ${
      count === 1 ? "text says" : "texts say"
    } too little about how texts differ: 95 % intervals ` +
    `need at least ${LEAST_UNITS} texts`,
  ];
}

/**
 * Refuses a model that would not fit into main memory, if the adapter computes on the CPU. A GPU's
 * memory is unknown.
 */
async function checkMemory(
  gpu: Gpu,
  { weights }: OpenedPretrained,
  { batch, context, position }: {
    readonly batch: number;
    readonly context: number;
    readonly position: number;
  },
): Promise<void> {
  const needed = (size: { readonly batch: number; readonly context: number }) =>
    streamedMemory(gpu, { source: weights, precisePosition: position, ...size }).total;
  const bytes = needed({ batch, context });
  const permission = { name: "sys", kind: "systemMemoryInfo" } as const;
  if (!gpu.info.software || (await Deno.permissions.query(permission)).state !== "granted") return;
  const { available } = Deno.systemMemoryInfo();
  if (bytes <= available) return;
  const size = (count: number) => `${(count / 1e9).toPrecision(3)} GB`;
  const least = needed({ batch: 1, context });
  throw new RangeError(
    `${batch} texts of ${context} tokens at a time need ${size(bytes)}, but ${
      size(available)
    } are free: ` +
      (least <= available && batch > 1
        ? `--batch=1 needs ${size(least)}`
        : `a shorter --context needs less; with ${context} tokens, --batch=1 needs ${size(least)}`),
  );
}
