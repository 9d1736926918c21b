/** Measures a model's sinks and gradient sinks on the GPU, on sequences of a task. */
import type { Tensor } from "../gpu/tensor.ts";
import type { Llama } from "../model/llama.ts";
import { layerParameterNames } from "../reference/llama/parameters.ts";
import type { AttentionTrace, LayerTrace } from "../reference/llama/trace.ts";
import type { MeasurementSource, SinkMeasurement } from "../sinks/measurement.ts";
import { DEFAULT_SINK_SETTINGS, type SinkSettings } from "../sinks/measurement/settings.ts";
import { IntervalMeter } from "../sinks/intervals.ts";
import { SinkMeter } from "../sinks/meter.ts";
import { StatesMeter } from "../sinks/states.ts";
import type { HeadPlace } from "../sinks/states/measurement.ts";
import { TheoryMeter } from "../sinks/theory.ts";
import { checkLayerStates } from "../sinks/trace_check.ts";
import type { MeasurementObserver } from "./observer.ts";
import type { Split, Task, TokenBatch } from "./tasks/task.ts";
import { mean } from "../statistics/mean.ts";

/** Which batches to measure. Each has the model's batch size. */
export interface MeasuredBatches {
  readonly task: Task;
  /** Default: validation. */
  readonly split?: Split;
  /** The first batch, counted from 0. Default 0. */
  readonly firstBatch?: number;
  /** The number of batches. Default 4. */
  readonly batches?: number;
}

/** Options of {@linkcode measureModel}. */
export interface MeasureModelOptions extends MeasuredBatches {
  /** Default: `DEFAULT_SINK_SETTINGS`. */
  readonly settings?: Partial<SinkSettings> | undefined;
  /** The model's origin. */
  readonly source?: MeasurementSource | null;
  /** Default: false. */
  readonly theory?: boolean;
  /** Default: false. */
  readonly intervals?: boolean;
  /**
   * If given, also measures sink rates by position and the massive activations in every layer's
   * output, and keeps attention maps of a few heads, and of `head` too.
   */
  readonly states?: { readonly head?: HeadPlace | undefined };
  /** Receives each batch's numbers. */
  readonly observer?: MeasurementObserver | undefined;
  /** Called after each batch. */
  readonly onBatch?: (done: number) => void;
}

/**
 * Copies a layer's numbers from the GPU. All reads overlap, because each wait costs 10 ms in Deno.
 *
 * @param options.gradientFactor multiplies the gradients
 * @param options.arrays arrays to use again, by tensor. A tensor in the map is read into its array
 *   there. Any other tensor gets a new array, which is added to the map. So layers that share their
 *   tensors need the memory of one layer, but each call overwrites the numbers of the call before
 */
export async function readLayer(
  layer: LayerTrace<Tensor>,
  { gradientFactor, arrays }: {
    readonly gradientFactor: number;
    readonly arrays?: Map<Tensor, Float32Array<ArrayBuffer>>;
  },
): Promise<LayerTrace<Float32Array>> {
  // A layer without attention passes its input tensor on to the MLP: read that tensor once.
  const reads = new Map<Tensor, Promise<Float32Array<ArrayBuffer>>>();
  const state = (tensor: Tensor): Promise<Float32Array> => {
    const pending = reads.get(tensor) ?? tensor.read(arrays?.get(tensor));
    reads.set(tensor, pending);
    return pending;
  };
  const gradient = async (tensor: Tensor): Promise<Float32Array> => {
    const numbers = await state(tensor);
    return gradientFactor === 1 ? numbers : numbers.map((number) => gradientFactor * number);
  };
  const attention = async (
    traced: AttentionTrace<Tensor>,
  ): Promise<AttentionTrace<Float32Array>> => {
    const { gradients, ...states } = traced;
    const [plain, by] = await Promise.all([readAll(states, state), readAll(gradients, gradient)]);
    return { ...plain, gradients: by };
  };
  const { gradients, attention: traced, ...states } = layer;
  const [plain, inner, by] = await Promise.all([
    readAll(states, state),
    traced === undefined ? undefined : attention(traced),
    readAll(gradients, gradient),
  ]);
  for (const [tensor, read] of reads) arrays?.set(tensor, await read);
  return { ...plain, attention: inner, gradients: by };
}

async function readAll<Tensors extends object>(
  tensors: Tensors,
  read: (tensor: Tensor) => Promise<Float32Array>,
): Promise<{ [Name in keyof Tensors]: Float32Array }> {
  const entries = await Promise.all(
    (Object.entries(tensors) as [string, Tensor][])
      .map(async ([name, tensor]) => [name, await read(tensor)] as const),
  );
  return Object.fromEntries(entries) as { [Name in keyof Tensors]: Float32Array };
}

/**
 * Measures a model. Overwrites the model's gradients, trace and losses but not its parameters, so
 * call this function only between training steps.
 *
 * @param options the task, and the measurements to make
 * @returns all measurements except quantization
 * @throws {TypeError} if model and task differ in context or vocabulary
 * @throws {RangeError} if a state or gradient is not finite (the message names the first one), if
 *   `batches` or settings are impossible, or if the model has a `precisePosition` that is not
 *   `settings.position`
 * @throws {GpuError} if the GPU fails
 */
export async function measureModel(
  model: Llama,
  options: MeasureModelOptions,
): Promise<SinkMeasurement> {
  const { task, split = "validation", firstBatch = 0, batches = 4, theory = false } = options;
  const { settings, source = null, intervals = false, states, observer, onBatch } = options;
  const { config, batch, context, microBatches } = model;
  if (task.context !== context || task.vocabulary !== config.vocabulary) {
    throw new TypeError(
      `measureModel: the task has ${task.vocabulary} tokens in contexts of ${task.context}, wanted ` +
        `the model's ${config.vocabulary} in ${context}`,
    );
  }
  if (!Number.isSafeInteger(batches) || batches < 1) {
    throw new RangeError(`measureModel: batches is ${batches}, wanted an integer of at least 1`);
  }
  const precise = isPrecise(model, settings);
  const names = Array.from({ length: config.layers }, (_, layer) => layerParameterNames(layer));
  const read = (name: string) => model.parameters.get(name)?.read();
  const theta = await Promise.all(names.map((layer) => read(layer.theta)));
  const sinks = await Promise.all(names.map((layer) => read(layer.sinks)));
  const meter = new SinkMeter({ config, context, theta, sinks, precise, settings });
  const spread = intervals ? new IntervalMeter({ config, context, settings }) : undefined;
  const looks = states === undefined ? undefined : new StatesMeter({ config, context, settings });
  let tokens: readonly string[] | undefined;
  const { position } = meter.settings;
  const gains = await Promise.all(names.map(async (layer) => ({
    attention: await read(layer.attentionNorm),
    mlp: (await read(layer.mlpNorm))!,
  })));
  const checks = theory
    ? new TheoryMeter({ batch, context }, { config, gains, theta, sinks, position })
    : undefined;
  for (let done = 0; done < batches; done++) {
    const given = task.batch(firstBatch + done, { batch, split });
    model.setBatch(given);
    model.computeGradients();
    const tokenLosses = await model.tokenLosses.read();
    const loss = mean(tokenLosses);
    if (!Number.isFinite(loss)) await refuseLoss(model, loss);
    await observer?.onBatch(given, tokenLosses);
    const idle = task.idleQueries(given);
    tokens ??= spelledTokens(task, given);
    // Read one layer at a time, because a large model's trace would not fit into memory. Begin
    // at the last layer, because gradients flow from there: then the first layer that shows a bad
    // gradient is the layer that caused it.
    for (let layer = config.layers - 1; layer >= 0; layer--) {
      const numbers = await readLayer(model.trace.layers[layer]!, {
        // The model divides its gradients by the micro-batches in a training step: undo that.
        gradientFactor: microBatches,
      });
      meter.addLayer(layer, numbers, { batch, idle });
      spread?.addLayer(layer, numbers, { batch, idle });
      looks?.addLayer(layer, numbers, batch);
      if (done === 0) checks?.addLayer(layer, numbers);
      await observer?.onLayer(layer, numbers);
    }
    meter.addBatch({ batch, loss, oracleLoss: task.oracleLoss(given) });
    spread?.addLosses(sequenceLosses(tokenLosses, context));
    onBatch?.(done + 1);
  }
  const result = meter.result(source);
  return {
    ...result,
    data: { split, ...result.data },
    ...spread === undefined ? {} : { intervals: spread.result() },
    ...looks === undefined
      ? {}
      : { states: looks.result({ scores: headScores(result), head: states?.head, tokens }) },
    theory: checks?.result() ?? null,
  };
}

/**
 * The sink scores α_s of every layer's query heads; an empty list for a layer without attention.
 */
export function headScores({ layers }: Pick<SinkMeasurement, "layers">): number[][] {
  return layers.map(({ attention }) => (attention?.heads ?? []).map(({ score }) => score));
}

/** The text of each token in a batch's first sequence; undefined for tasks without text. */
export function spelledTokens(
  task: Pick<Task, "spelling">,
  { inputs, context }: Pick<TokenBatch, "inputs" | "context">,
): string[] | undefined {
  if (task.spelling === undefined) return undefined;
  return Array.from(inputs.subarray(0, context), (token) => task.spelling!(token));
}

/**
 * Whether attention's backward pass is precise at the measured position.
 *
 * @throws {RangeError} if it is precise at another position, because the rounding error at the
 *   measured position would be unknown
 */
function isPrecise(
  { precisePosition }: Llama,
  { position = DEFAULT_SINK_SETTINGS.position }: Partial<SinkSettings> = {},
): boolean {
  if (precisePosition === undefined || precisePosition === position) {
    return precisePosition !== undefined;
  }
  throw new RangeError(
    `measureModel: position is ${position}, wanted the ${precisePosition} of the model's precise ` +
      "backward pass",
  );
}

/** The mean loss of each sequence. */
export function sequenceLosses(tokenLosses: ArrayLike<number>, context: number): number[] {
  return Array.from({ length: tokenLosses.length / context }, (_, i) => {
    let sum = 0;
    for (let t = 0; t < context; t++) sum += tokenLosses[i * context + t]!;
    return sum / context;
  });
}

/** Throws an error that names the first non-finite state, or the output head if all are finite. */
async function refuseLoss(
  { config, batch, context, trace }: Llama,
  loss: number,
): Promise<never> {
  for (const [index, layer] of trace.layers.entries()) {
    const states = await readLayer(layer, { gradientFactor: 1 });
    checkLayerStates(states, { config, index, batch, context });
  }
  throw new RangeError(
    `sinks: the loss is ${loss}, though every layer's states are finite: it came up in the head`,
  );
}
