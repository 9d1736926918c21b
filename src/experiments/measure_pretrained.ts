/** Measures sinks, gradient sinks and states of a pretrained model, layer by layer, on texts. */
import type { StreamedLlama } from "../model/streamed.ts";
import { layerParameterNames } from "../reference/llama/parameters.ts";
import type { MeasurementSource, SinkMeasurement, SinkSettings } from "../sinks/measurement.ts";
import { SinkMeter } from "../sinks/meter.ts";
import type { PretrainedMeasurement } from "../sinks/pretrained/measurement.ts";
import { PretrainedMeter } from "../sinks/pretrained/meter.ts";
import { TheoryMeter } from "../sinks/theory.ts";
import { readLayer, sequenceLosses } from "./measure_model.ts";
import type { Task } from "./tasks/task.ts";

/** What {@linkcode measurePretrained} measures, and on which texts. */
export interface MeasurePretrainedOptions {
  /** The texts, of the model's context and vocabulary. */
  readonly task: Task;
  /** How many batches of the model's batch size. */
  readonly batches: number;
  /** What differs from the default settings. */
  readonly settings?: Partial<SinkSettings> | undefined;
  readonly source?: MeasurementSource | null;
  /** Whether to check the theory on the first batch's first texts. Default: true. */
  readonly theory?: boolean;
  /**
   * Called after each layer, forward and backward, with how many are done and how many there are.
   */
  readonly onLayer?: (done: number, total: number) => void;
}

/** What {@linkcode measurePretrained} finds. */
export interface PretrainedResult {
  readonly sinks: SinkMeasurement;
  readonly pretrained: Omit<PretrainedMeasurement, "model" | "texts" | "interventions">;
}

/**
 * Measures a pretrained model.
 *
 * @param model ready to run
 * @param options the texts, and what to measure
 * @throws {TypeError} if the texts are of another context or vocabulary than the model
 * @throws {RangeError} if a state or gradient is not a finite number, naming it; or for settings
 *   that cannot be
 * @throws {CheckpointError} if the weights cannot be read
 * @throws {GpuError} if the GPU fails
 */
export async function measurePretrained(
  model: StreamedLlama,
  options: MeasurePretrainedOptions,
): Promise<PretrainedResult> {
  const { task, batches, settings, source = null, theory = true, onLayer } = options;
  const { batch, context } = model;
  const { config } = model.source.architecture;
  if (task.context !== context || task.vocabulary !== config.vocabulary) {
    throw new TypeError(
      `measurePretrained: the task has ${task.vocabulary} tokens in contexts of ${task.context}, ` +
        `wanted the model's ${config.vocabulary} in ${context}`,
    );
  }
  if (!Number.isSafeInteger(batches) || batches < 1) {
    throw new RangeError(
      `measurePretrained: batches is ${batches}, wanted an integer of at least 1`,
    );
  }
  const meter = new SinkMeter({ config, context, settings });
  const states = new PretrainedMeter({ config, context, settings });
  const checks = theory ? await theoryMeter(model, meter.settings.position) : undefined;
  const total = 2 * config.layers * batches;
  let steps = 0;
  for (let index = 0; index < batches; index++) {
    const given = task.batch(index, { batch });
    const { loss, tokenLosses } = await model.forward(given, {
      onLayerStart: () => onLayer?.(steps++, total),
    });
    if (!Number.isFinite(loss)) {
      throw new RangeError(
        `measurePretrained: the loss of batch ${index} is ${loss}, wanted a finite number`,
      );
    }
    await model.backward({
      onLayer: async (layer, trace) => {
        const read = await readLayer(trace, { gradientFactor: 1 });
        meter.addLayer(layer, read, { batch });
        states.addLayer(layer, read, batch);
        if (index === 0) checks?.addLayer(layer, read);
        onLayer?.(++steps, total);
      },
    });
    meter.addBatch({ batch, loss });
    states.addLosses(sequenceLosses(tokenLosses, context));
  }
  const sinks = meter.result(source);
  const scores = sinks.layers.map(({ attention }) => attention!.heads.map(({ score }) => score));
  return {
    sinks: { ...sinks, theory: checks?.result() ?? null },
    pretrained: states.result(scores),
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
