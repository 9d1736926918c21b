/**
 * AdamW over all parameters of a model, with gradients clipped by their global norm, on the GPU.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { planAdamW } from "../ops/arithmetic/adamw.ts";
import { planGradientNorm } from "../ops/arithmetic/gradient_norm.ts";
import type { LlamaConfig } from "../reference/llama/config.ts";
import type { ParameterPack } from "./llama.ts";
import { packTensors } from "./parameter_packs.ts";
import { Workspace } from "./workspace.ts";

/** The settings of {@linkcode AdamW}. */
export interface AdamWSettings {
  /** Default: 0.9. */
  readonly beta1?: number;
  /** Default: 0.95. */
  readonly beta2?: number;
  /** Default: 1e-8. */
  readonly epsilon?: number;
  /**
   * λ. With the learning rate η, a step also subtracts η λ W from each matrix W, but nothing from
   * vectors: gains, V-scale's θ and sink logits. Default: 0.1.
   */
  readonly weightDecay?: number;
  /** If the norm of all gradients together exceeds this, they are scaled down to it. Default: 1. */
  readonly maximumNorm?: number;
}

/** What AdamW needs of the model that it trains. A `Llama` has it. */
export interface Trained {
  readonly config: LlamaConfig;
  readonly packs: readonly ParameterPack[];
}

/** AdamW's moments of one parameter, in its shape. */
export interface Moments {
  /** The decaying mean of the clipped gradient. */
  readonly first: Tensor;
  /** The decaying mean of the clipped gradient's square. */
  readonly second: Tensor;
}

/**
 * AdamW on the GPU. It reads nothing back to the CPU: kernels also compute the norm for clipping.
 *
 * Source: Loshchilov and Hutter, arXiv 1711.05101.
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { AdamW } from "./optimizer.ts";
 * import { Llama } from "./llama.ts";
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
 * using optimizer = new AdamW(gpu, model, { weightDecay: 0 });
 * const inputs = Uint32Array.from({ length: 16 }, (_, i) => i);
 * model.setBatch({ inputs, targets: inputs });
 * for (let step = 0; step < 3; step++) {
 *   model.computeGradients();
 *   optimizer.step(1e-2);
 * }
 * console.log((await model.meanLoss.read())[0], (await optimizer.clipping.read())[0]);
 * ```
 */
export class AdamW {
  /** Each parameter's moments, by the parameter's name. A checkpoint stores them. */
  readonly moments: ReadonlyMap<string, Moments>;
  /** After a step: the norm of all gradients together, and the factor that clipped them. `[2]` */
  readonly clipping: Tensor;
  readonly #gpu: Gpu;
  readonly #workspace: Workspace;
  readonly #step: Tensor;
  readonly #plans: readonly Plan[];
  readonly #betas: readonly [number, number];
  #steps = 0;

  /**
   * Plans a step, and allocates the moments. They start at zero.
   *
   * @throws {RangeError} for settings out of range
   */
  constructor(gpu: Gpu, model: Trained, settings: AdamWSettings = {}) {
    const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weightDecay = 0.1, maximumNorm = 1 } =
      settings;
    this.#gpu = gpu;
    this.#betas = [beta1, beta2];
    const workspace = new Workspace(gpu);
    this.#workspace = workspace;
    try {
      const plans: Plan[] = [];
      const gradients = model.packs.map(({ gradient }) => gradient);
      const { clipping } = workspace.add(
        plans,
        planGradientNorm(gpu, { gradients, maximum: maximumNorm }),
      );
      this.clipping = clipping;
      this.#step = workspace.keep(gpu.empty([3]));
      const first = packTensors(workspace, model.config);
      const second = packTensors(workspace, model.config);
      model.packs.forEach(({ decayed, parameter, gradient }, i) =>
        workspace.add(
          plans,
          planAdamW(gpu, {
            parameter,
            gradient,
            firstMoment: first.packs[i]!.tensor,
            secondMoment: second.packs[i]!.tensor,
            step: this.#step,
            clipping,
            beta1,
            beta2,
            epsilon,
            weightDecay: decayed ? weightDecay : 0,
          }),
        )
      );
      this.moments = new Map(
        [...first.parameters].map((
          [name, tensor],
        ) => [name, { first: tensor, second: second.parameters.get(name)! }]),
      );
      this.#plans = plans;
    } catch (error) {
      workspace[Symbol.dispose]();
      throw error;
    }
  }

  get steps(): number {
    return this.#steps;
  }

  /** The plans of a step, in order, for measurements. */
  get plans(): readonly Plan[] {
    return this.#plans;
  }

  /**
   * Enqueues one step with the model's current gradients.
   *
   * @param learningRate η
   * @throws {RangeError} if the learning rate is not a finite number of at least 0
   */
  step(learningRate: number): void {
    if (!(learningRate >= 0 && learningRate < Infinity)) {
      throw new RangeError(
        `AdamW: learningRate is ${learningRate}, wanted a finite number of at least 0`,
      );
    }
    this.#steps++;
    const corrections = this.#betas.map((beta) => 1 / (1 - beta ** this.#steps));
    this.#step.write(Float32Array.of(learningRate, ...corrections));
    this.#gpu.run(this.#plans);
  }

  /**
   * Restores the state of another optimizer of the same model.
   *
   * @param state that optimizer's number of steps, and its moments' elements by parameter
   * @throws {TypeError} if a parameter's moments are missing or have the wrong length; the
   *   optimizer is then unchanged
   * @throws {RangeError} if `steps` is not an integer of at least 0
   */
  restore(
    { steps, moments }: {
      readonly steps: number;
      readonly moments: ReadonlyMap<
        string,
        { readonly first: Float32Array; readonly second: Float32Array }
      >;
    },
  ): void {
    if (!Number.isSafeInteger(steps) || steps < 0) {
      throw new RangeError(`AdamW: steps is ${steps}, wanted an integer of at least 0`);
    }
    for (const [name, { first: { length } }] of this.moments) {
      const given = moments.get(name);
      if (given?.first.length !== length || given.second.length !== length) {
        throw new TypeError(
          `AdamW: the moments of ${name} have ${given?.first.length} and ${given?.second.length} elements, ` +
            `wanted ${length}`,
        );
      }
    }
    for (const [name, { first, second }] of this.moments) {
      first.write(moments.get(name)!.first);
      second.write(moments.get(name)!.second);
    }
    this.#steps = steps;
  }

  /** Frees everything. Work already enqueued still finishes. */
  dispose(): void {
    this.#workspace[Symbol.dispose]();
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
