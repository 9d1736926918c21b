/**
 * How much a model's loss suffers when activations are rounded to INT8: with one scale per tensor,
 * which a massive activation stretches until the others fall into few steps, and with one scale per
 * token, which it cannot.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771. A diagnostic of ranges, not a recipe for deployment:
 * weights stay as they are, and so does the arithmetic.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Llama } from "../model/llama.ts";
import { QuantizedEvaluation, type QuantizedOptions } from "../model/quantized.ts";
import type { QuantizationCase, QuantizationMeasurement } from "../sinks/measurement.ts";
import type { MeasuredBatches } from "./measure_model.ts";

/** Options of {@linkcode measureQuantization}. */
export interface MeasureQuantizationOptions extends MeasuredBatches {
  /** How many batches after those the static scales come from. Default 4. */
  readonly calibrationBatches?: number;
}

/** What is rounded, as measurements name it and as evaluations take it. */
export const QUANTIZATION_CASES: readonly (
  & Pick<QuantizationCase, "target" | "scaling">
  & QuantizedOptions
)[] = [
  {
    target: "down-projections",
    scaling: "static-tensor",
    linears: "down",
    scale: "static",
  },
  {
    target: "down-projections",
    scaling: "dynamic-token",
    linears: "down",
    scale: "per-token",
  },
  { target: "all-linears", scaling: "static-tensor", linears: "all", scale: "static" },
  { target: "all-linears", scaling: "dynamic-token", linears: "all", scale: "per-token" },
];

/**
 * Measures the loss with the inputs of the MLPs' down projections, and with those of all linear
 * maps of the layers, rounded to symmetric INT8. The head's input is not rounded.
 *
 * @param gpu the GPU that holds the model
 * @param model with its parameters; its batch and losses are overwritten
 * @param options the task, and how many batches
 * @returns losses and their differences from the loss without rounding, on the same sequences
 * @throws {RangeError} if a number of batches is not an integer of at least 1
 * @throws {GpuError} if the GPU fails
 */
export async function measureQuantization(
  gpu: Gpu,
  model: Llama,
  options: MeasureQuantizationOptions,
): Promise<QuantizationMeasurement> {
  const { task, split = "validation", firstBatch = 0, batches = 4, calibrationBatches = 4 } =
    options;
  for (const [name, count] of Object.entries({ batches, calibrationBatches })) {
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new RangeError(
        `measureQuantization: ${name} is ${count}, wanted an integer of at least 1`,
      );
    }
  }
  const batch = (index: number) => task.batch(firstBatch + index, { batch: model.batch, split });
  /** The mean over the measured batches of a loss that `evaluate` leaves. */
  const meanLoss = async (evaluation: {
    evaluate(): void;
    readonly loss: { read(): Promise<Float32Array> };
  }): Promise<number> => {
    let sum = 0;
    for (let index = 0; index < batches; index++) {
      model.setBatch(batch(index));
      evaluation.evaluate();
      sum += (await evaluation.loss.read())[0]!;
    }
    return sum / batches;
  };
  const loss = await meanLoss({
    evaluate: () => model.evaluate(),
    loss: model.evaluationLoss,
  });
  const cases: QuantizationCase[] = [];
  for (const { target, scaling, linears, scale } of QUANTIZATION_CASES) {
    using evaluation = new QuantizedEvaluation(gpu, model, { linears, scale });
    if (scale === "static") {
      for (let index = batches; index < batches + calibrationBatches; index++) {
        model.setBatch(batch(index));
        evaluation.calibrate();
      }
    }
    const rounded = await meanLoss(evaluation);
    cases.push({ target, scaling, loss: rounded, difference: rounded - loss });
  }
  return { loss, calibrationBatches, cases };
}
