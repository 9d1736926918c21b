/**
 * How much a pretrained model's loss rises if the inputs of its linear maps are rounded to INT8, as
 * in {@linkcode measureQuantization}, but layer by layer.
 *
 * A batch's static scales come from all other batches, so no text influences the scales that round
 * it. If there is only one batch, its static scales come from the batch itself.
 *
 * A text's loss after rounding is in part chance: a difference in the last bit of a float32 number
 * can flip its rounding to INT8, and later layers enlarge the difference. As a test, SmolLM2-135M's
 * embeddings were changed by a millionth in PyTorch. The standard deviation of the resulting change
 * in the loss of a text of 32 tokens was 0.01 nats (down projections, one scale per token) to 0.12
 * nats (all linear maps, one scale per tensor). The intervals over texts include this chance.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { StreamedLlama, type StreamedLlamaOptions } from "../../model/streamed.ts";
import {
  joinMaxima,
  type LinearMaxima,
  LinearRounding,
} from "../../model/streamed/linear_inputs.ts";
import type {
  QuantizationCase,
  QuantizationMeasurement,
} from "../../sinks/measurement/quantization.ts";
import { meanInterval } from "../../sinks/pretrained/mean_interval.ts";
import { QUANTIZATION_CASES } from "../measure_quantization.ts";
import { sequenceLosses } from "../measure_model.ts";
import type { TokenBatch } from "../tasks/task.ts";
import { mean } from "../../statistics/mean.ts";

/** Options of {@linkcode measurePretrainedQuantization}. */
export interface PretrainedQuantizationOptions {
  readonly model: StreamedLlamaOptions;
  readonly batches: readonly TokenBatch[];
  /** Each batch's maxima, from a pass without rounding. */
  readonly maxima: readonly LinearMaxima[];
  /** Every text's loss without rounding. */
  readonly losses: readonly number[];
  /** Called before each layer's forward pass. */
  readonly onLayer?: (() => void) | undefined;
}

/**
 * Measures the loss if inputs of linear maps are rounded to symmetric INT8: first only the inputs
 * of the MLPs' down projections, then the inputs of all linear maps in the layers. The output
 * head's input is never rounded.
 *
 * @param options the model, the texts, and their losses and largest inputs without rounding
 * @returns losses and their differences from the loss without rounding, on the same texts
 * @throws {CheckpointError} if the weights cannot be read
 * @throws {GpuError} if the GPU fails
 */
export async function measurePretrainedQuantization(
  gpu: Gpu,
  { model: options, batches, maxima, losses, onLayer }: PretrainedQuantizationOptions,
): Promise<QuantizationMeasurement> {
  const cases: QuantizationCase[] = [];
  for (const { target, scaling, linears, scale } of QUANTIZATION_CASES) {
    using rounding = new LinearRounding(gpu, { linears, scale });
    const { linearInput } = rounding;
    using model = new StreamedLlama(gpu, { ...options, linearInput, backward: false });
    const found: number[] = [];
    for (const [index, batch] of batches.entries()) {
      const others = maxima.filter((_, other) => other !== index);
      rounding.maxima = joinMaxima(others.length === 0 ? maxima : others);
      const { tokenLosses } = await model.forward(batch, {
        onLayerStart(layer) {
          onLayer?.();
          rounding.onLayerStart(layer);
        },
      });
      found.push(...sequenceLosses(tokenLosses, model.context));
    }
    cases.push({
      target,
      scaling,
      loss: mean(found),
      difference: mean(found) - mean(losses),
      interval: meanInterval(found.map((loss, text) => loss - losses[text]!)),
    });
  }
  return { loss: mean(losses), calibrationBatches: batches.length - 1, cases };
}
