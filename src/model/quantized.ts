/**
 * The loss of a model whose linear maps' inputs are rounded to INT8. A few huge activations stretch
 * the range that INT8 must cover; the loss shows what that costs.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { planAbsoluteMaximum, planFakeQuantize } from "../ops/arithmetic/fake_quantize.ts";
import { layerParameterNames } from "../reference/llama/parameters.ts";
import type { Llama } from "./llama.ts";
import { Workspace } from "./workspace.ts";

/** Options of {@linkcode QuantizedEvaluation}. */
export interface QuantizedOptions {
  /**
   * `down`: rounds only the inputs of `mlp.down_proj`. `all`: rounds the inputs of all linear maps
   * of the decoder layers.
   */
  readonly linears: "down" | "all";
  /**
   * `static`: one scale for each linear map, from the largest |input| in calibration. `per-token`:
   * one scale for each token, from the largest |input| in its row.
   */
  readonly scale: "static" | "per-token";
}

/**
 * The loss of a model with rounded activations, on the model's current batch.
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { Llama } from "./llama.ts";
 * import { QuantizedEvaluation } from "./quantized.ts";
 * import { initialParameters } from "../reference/llama/parameters.ts";
 * import { PLAIN_LLAMA } from "../reference/llama/config.ts";
 *
 * const config = {
 *   vocabulary: 16,
 *   layers: 1,
 *   modelDim: 8,
 *   queryHeads: 1,
 *   keyValueHeads: 1,
 *   headDim: 4,
 *   feedForwardDim: 16,
 *   ...PLAIN_LLAMA,
 * };
 * const parameters = initialParameters(config, { seed: 1 });
 * using gpu = await openGpu();
 * using model = new Llama(gpu, { config, batch: 2, context: 8, parameters, kernels: "start" });
 * using quantized = new QuantizedEvaluation(gpu, model, { linears: "all", scale: "static" });
 * const inputs = Uint32Array.from({ length: 16 }, (_, i) => i);
 * model.setBatch({ inputs, targets: inputs });
 * quantized.calibrate();
 * quantized.evaluate();
 * console.log((await quantized.loss.read())[0]);
 * ```
 */
export class QuantizedEvaluation {
  /** The mean loss of the batch after `evaluate`, in nats: `[1]`. */
  readonly loss: Tensor;
  /** The loss of each token, in nats: `[B · T]`. */
  readonly tokenLosses: Tensor;
  /**
   * With `scale: "static"`, the largest |input| that `calibrate` has seen of each linear map whose
   * input is rounded, `[1]`. The key is the name of the linear map's parameter. Linear maps with
   * the same input share one entry, under the first one's name. With `scale: "per-token"`, empty.
   */
  readonly maxima: ReadonlyMap<string, Tensor>;
  readonly #gpu: Gpu;
  readonly #workspace: Workspace;
  readonly #calibration: readonly Plan[];
  readonly #evaluation: readonly Plan[];
  #calibrated: boolean;

  /**
   * Plans the evaluation.
   *
   * @param model the model, whose parameters and batch may change between passes
   * @throws {RangeError} for unknown options
   */
  constructor(gpu: Gpu, model: Llama, { linears, scale }: QuantizedOptions) {
    for (
      const [name, given, wanted] of [
        ["linears", linears, ["down", "all"]],
        ["scale", scale, ["static", "per-token"]],
      ] as const
    ) {
      if (!wanted.includes(given as never)) {
        throw new RangeError(
          `QuantizedEvaluation: ${name} is ${JSON.stringify(given)}, wanted ${wanted.join(" or ")}`,
        );
      }
    }
    const down = new Set(
      Array.from(
        { length: model.config.layers },
        (_, layer) => layerParameterNames(layer).down,
      ),
    );
    const rounded = (linear: string) => linears === "all" || down.has(linear);
    this.#gpu = gpu;
    this.#workspace = new Workspace(gpu);
    const workspace = this.#workspace;
    try {
      const maxima = new Map<string, Tensor>();
      this.maxima = maxima;
      this.#calibration = scale === "per-token" ? [] : model.planEvaluation(workspace, {
        linearInput(plans, linear, input) {
          if (rounded(linear)) {
            const { maximum } = workspace.add(plans, planAbsoluteMaximum(gpu, { input }));
            maxima.set(linear, maximum);
          }
          return input;
        },
      }).plans;
      this.#calibrated = scale === "per-token";
      const { plans, loss, tokenLosses } = model.planEvaluation(workspace, {
        linearInput(plans, linear, input) {
          if (!rounded(linear)) return input;
          const maximum = maxima.get(linear);
          return workspace.add(
            plans,
            planFakeQuantize(gpu, { input, ...maximum === undefined ? {} : { maximum } }),
          ).output;
        },
      });
      this.#evaluation = plans;
      this.loss = loss;
      this.tokenLosses = tokenLosses;
    } catch (error) {
      workspace[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Enqueues a forward pass on the model's batch that raises `maxima`, and so widens the static
   * scales, to cover the linear maps' inputs. With scales per token, it does nothing.
   */
  calibrate(): void {
    if (this.#calibration.length > 0) this.#gpu.run(this.#calibration);
    this.#calibrated = true;
  }

  /**
   * Enqueues a forward pass on the model's batch with rounded inputs. It fills `loss` and
   * `tokenLosses`.
   *
   * @throws {TypeError} if static scales have not been calibrated
   */
  evaluate(): void {
    if (!this.#calibrated) {
      throw new TypeError("QuantizedEvaluation: static scales want calibrate() first");
    }
    this.#gpu.run(this.#evaluation);
  }

  /** Frees everything but the model. Work already enqueued still finishes. */
  dispose(): void {
    this.#workspace[Symbol.dispose]();
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
