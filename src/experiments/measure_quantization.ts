/**
 * How much a model's loss rises if activations are rounded to INT8; weights and arithmetic stay
 * float32. With one scale per tensor, a massive activation makes the scale so coarse that all other
 * activations are rounded to a few INT8 values. With one scale per token, a massive activation does
 * this only to its own token.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Llama } from "../model/llama.ts";
import { QuantizedEvaluation, type QuantizedOptions } from "../model/quantized.ts";
import type {
  QuantizationCase,
  QuantizationMeasurement,
} from "../sinks/measurement/quantization.ts";
import type { MeasuredBatches } from "./measure_model.ts";

/** Options of {@linkcode measureQuantization}. */
export interface MeasureQuantizationOptions extends MeasuredBatches {
  /**
   * The number of batches whose activations set the static scales. Default 4. These batches follow
   * the measured batches, or come from the other split if too few sequences are left.
   */
  readonly calibrationBatches?: number;
}

/**
 * The kinds of rounding to measure. In the result, `target` and `scaling` name the kind. `linears`
 * and `scale` name it in the options of {@linkcode QuantizedEvaluation} and `LinearRounding`.
 */
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
 * Measures the loss if inputs of linear maps are rounded to symmetric INT8: first only the inputs
 * of the MLPs' down projections, then the inputs of all linear maps in the layers. The output
 * head's input is never rounded.
 *
 * @param model the model; this function overwrites its batch and its losses
 * @param options the task, and the numbers of batches
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
  const sequences = (firstBatch + batches + calibrationBatches) * model.batch;
  const enough = sequences <= (task.contexts?.[split] ?? Infinity);
  const other = split === "validation" ? "training" : "validation";
  const calibrationBatch = (index: number) =>
    enough ? batch(batches + index) : task.batch(index, { batch: model.batch, split: other });
  /** Evaluates every measured batch, and returns the mean of the losses. */
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
      for (let index = 0; index < calibrationBatches; index++) {
        model.setBatch(calibrationBatch(index));
        evaluation.calibrate();
      }
    }
    const rounded = await meanLoss(evaluation);
    cases.push({ target, scaling, loss: rounded, difference: rounded - loss });
  }
  return { loss, calibrationBatches, cases };
}
