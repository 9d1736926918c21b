/**
 * Measures a pretrained model on texts, layer by layer: sinks, gradient sinks and states, and the
 * loss with massive activations replaced or with inputs of linear maps rounded.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { StreamedLlama, type StreamedLlamaOptions } from "../model/streamed.ts";
import { type LinearMaxima, LinearMaximaMeter } from "../model/streamed/linear_inputs.ts";
import { layerParameterNames } from "../reference/llama/parameters.ts";
import type { MeasurementSource, SinkMeasurement } from "../sinks/measurement.ts";
import type { QuantizationMeasurement } from "../sinks/measurement/quantization.ts";
import type { SinkSettings } from "../sinks/measurement/settings.ts";
import { SinkMeter } from "../sinks/meter.ts";
import type { Intervention, PretrainedMeasurement } from "../sinks/pretrained/measurement.ts";
import { PretrainedMeter } from "../sinks/pretrained/meter.ts";
import type { HeadPlace } from "../sinks/states/measurement.ts";
import { TheoryMeter } from "../sinks/theory.ts";
import { headScores, readLayer, sequenceLosses, spelledTokens } from "./measure_model.ts";
import { INTERVENTIONS, measureInterventions } from "./measure_pretrained/interventions.ts";
import { measurePretrainedQuantization } from "./measure_pretrained/quantization.ts";
import { QUANTIZATION_CASES } from "./measure_quantization.ts";
import type { MeasurementObserver } from "./observer.ts";
import type { Task, TokenBatch } from "./tasks/task.ts";

/** Options of {@linkcode measurePretrained}. */
export interface MeasurePretrainedOptions
  extends Pick<StreamedLlamaOptions, "source" | "batch" | "kernels"> {
  readonly task: Task;
  readonly batches: number;
  /** Default: `DEFAULT_SINK_SETTINGS`. */
  readonly settings?: Partial<SinkSettings> | undefined;
  readonly from?: MeasurementSource | null;
  /** Default: true. */
  readonly theory?: boolean;
  /** Default: true. */
  readonly interventions?: boolean;
  /** Default: true. */
  readonly quantization?: boolean;
  /** A head whose attention to map, besides the heads that are always mapped. */
  readonly head?: HeadPlace | undefined;
  /**
   * Whether attention's backward pass is precise at the measured position, so that gradients stay
   * accurate at strong sinks. Default: true.
   */
  readonly precise?: boolean;
  /** Receives each batch's numbers. */
  readonly observer?: MeasurementObserver | undefined;
  /**
   * Called for each layer, before its forward pass and after its backward pass. `text` names the
   * work, `total` is the number of calls during that work, and `done` counts those calls from 1.
   */
  readonly onProgress?: (done: number, total: number, text: string) => void;
}

/** Result of {@linkcode measurePretrained}. */
export interface PretrainedResult {
  readonly sinks: SinkMeasurement;
  readonly pretrained: Omit<PretrainedMeasurement, "model" | "texts">;
}

/**
 * Measures a pretrained model.
 *
 * @param options the model, the texts, and the measurements to make
 * @throws {TypeError} if texts and model differ in vocabulary
 * @throws {RangeError} if a state or gradient is not finite (the message names the first one), or
 *   if settings or sizes are impossible
 * @throws {CheckpointError} if the weights cannot be read
 * @throws {GpuError} if the GPU fails
 */
export async function measurePretrained(
  gpu: Gpu,
  options: MeasurePretrainedOptions,
): Promise<PretrainedResult> {
  const { source, task, batches: count, batch, interventions = true, quantization = true } =
    options;
  const { config } = source.architecture;
  if (task.vocabulary !== config.vocabulary) {
    throw new TypeError(
      `measurePretrained: the task has ${task.vocabulary} tokens, wanted the model's ` +
        `${config.vocabulary}`,
    );
  }
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError(`measurePretrained: batches is ${count}, wanted an integer of at least 1`);
  }
  const { kernels } = options;
  const model = {
    source,
    batch,
    context: task.context,
    ...kernels === undefined ? {} : { kernels },
  };
  const batches = Array.from({ length: count }, (_, index) => task.batch(index, { batch }));
  const measured = await measureStates(gpu, { ...options, model, batches, interventions });
  const { losses } = measured.pretrained;
  const rounded: QuantizationMeasurement | null = quantization
    ? await measurePretrainedQuantization(gpu, {
      model,
      batches,
      maxima: measured.maxima,
      losses,
      onLayer: counter(options, {
        total: QUANTIZATION_CASES.length * count * config.layers,
        text: "layers with INT8 activations",
      }),
    })
    : null;
  return {
    sinks: { ...measured.sinks, quantization: rounded },
    pretrained: measured.pretrained,
  };
}

function counter(
  { onProgress }: Pick<MeasurePretrainedOptions, "onProgress">,
  { total, text }: { readonly total: number; readonly text: string },
): () => void {
  let done = 0;
  return () => onProgress?.(++done, total, text);
}

interface Measured extends PretrainedResult {
  /** Each batch's maxima, without rounding. */
  readonly maxima: readonly LinearMaxima[];
}

/** Measures one pass of every batch forward and backward, then, if requested, the interventions. */
async function measureStates(
  gpu: Gpu,
  options: Omit<MeasurePretrainedOptions, "batches"> & {
    readonly model: StreamedLlamaOptions;
    readonly batches: readonly TokenBatch[];
  },
): Promise<Measured> {
  const { batch, batches, settings, from = null, theory = true, precise = true } = options;
  const { observer } = options;
  const { source, context } = options.model;
  const { config } = source.architecture;
  using inputs = new LinearMaximaMeter(gpu, config.layers);
  const { linearInput } = inputs;
  const meter = new SinkMeter({ config, context, precise, settings });
  const { position } = meter.settings;
  using model = new StreamedLlama(gpu, {
    ...options.model,
    ...precise ? { precisePosition: position } : {},
    linearInput,
  });
  const states = new PretrainedMeter({ config, context, settings });
  const checks = theory ? await theoryMeter(model, position) : undefined;
  const maxima: LinearMaxima[] = [];
  const arrays = new Map<Tensor, Float32Array<ArrayBuffer>>();
  const losses: number[] = [];
  const done = counter(options, {
    total: 2 * config.layers * batches.length,
    text: "layers, forward and back",
  });
  for (const [index, given] of batches.entries()) {
    const { loss, tokenLosses } = await model.forward(given, {
      onLayerStart() {
        done();
        inputs.onLayerStart();
      },
      onOutput: inputs.onOutput,
    });
    if (!Number.isFinite(loss)) {
      throw new RangeError(
        `measurePretrained: the loss of batch ${index} is ${loss}, wanted a finite number`,
      );
    }
    maxima.push(await inputs.read());
    await observer?.onBatch(given, tokenLosses);
    await model.backward({
      onLayer: async (layer, trace) => {
        const read = await readLayer(trace, { gradientFactor: 1, arrays });
        meter.addLayer(layer, read, { batch });
        states.addLayer(layer, read, batch);
        if (index === 0) checks?.addLayer(layer, read);
        await observer?.onLayer(layer, read);
        done();
      },
    });
    meter.addBatch({ batch, loss });
    const own = sequenceLosses(tokenLosses, context);
    states.addLosses(own);
    losses.push(...own);
  }
  const sinks = meter.result(from);
  const tokens = spelledTokens(options.task, batches[0]!);
  let interventions: readonly Intervention[] | null = null;
  if (options.interventions) {
    const massive = states.massive();
    interventions = massive === undefined ? [] : await measureInterventions(model, {
      batches,
      massive,
      losses,
      onLayer: counter(options, {
        total: batches.length *
          (INTERVENTIONS.length * config.layers - (INTERVENTIONS.length - 1) * massive.layer),
        text: "layers with massive activations replaced",
      }),
    });
  }
  return {
    sinks: { ...sinks, theory: checks?.result() ?? null },
    pretrained: {
      ...states.result({ scores: headScores(sinks), head: options.head, tokens }),
      interventions,
    },
    maxima,
  };
}

async function theoryMeter(model: StreamedLlama, position: number): Promise<TheoryMeter> {
  const { source, batch, context } = model;
  const { config } = source.architecture;
  const gains = [];
  for (let layer = 0; layer < config.layers; layer++) {
    const names = layerParameterNames(layer);
    gains.push({
      attention: await source.read(names.attentionNorm),
      mlp: await source.read(names.mlpNorm),
    });
  }
  return new TheoryMeter({ batch, context }, { config, gains, position });
}
