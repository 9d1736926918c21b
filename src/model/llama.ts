/** A Llama-like model on the GPU: its forward and backward pass as plans that are made once. */
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { planAccumulate } from "../ops/arithmetic/add.ts";
import { planSum } from "../ops/arithmetic/sum.ts";
import { checkConfig, type LlamaConfig, refusePretrainedParts } from "../reference/llama/config.ts";
import { listParameters } from "../reference/llama/parameters.ts";
import type { Trace } from "../reference/llama/trace.ts";
import { type Batch, type BatchTensors, batchTensors, writeBatch } from "./llama/batch.ts";
import { type LinearInput, type LlamaBuild, type LlamaOptions, startBuild } from "./llama/build.ts";
import { planHead, planLosses } from "./llama/head.ts";
import { planGradients, planStates } from "./llama/passes.ts";
import { packTensors } from "./parameter_packs.ts";
import { Workspace } from "./workspace.ts";

/** Parameters stored contiguously in one tensor. */
export interface ParameterPack {
  /** Whether weight decay applies. */
  readonly decayed: boolean;
  /** [n] */
  readonly parameter: Tensor;
  /** [n] */
  readonly gradient: Tensor;
}

/**
 * A model with its states and gradients on the GPU, for one batch size and context.
 *
 * No method waits for the GPU. On one adapter, the same parameters and batches give the same bits.
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { Llama } from "./llama.ts";
 * import { initialParameters } from "../reference/llama/parameters.ts";
 * import { PLAIN_LLAMA } from "../reference/llama/config.ts";
 *
 * const config = {
 *   vocabulary: 16,
 *   layers: 1,
 *   modelDim: 8,
 *   queryHeads: 2,
 *   keyValueHeads: 1,
 *   headDim: 4,
 *   feedForwardDim: 16,
 *   ...PLAIN_LLAMA,
 *   tiedHead: true,
 *   vScale: "learned" as const,
 * };
 * const parameters = initialParameters(config, { seed: 1 });
 * using gpu = await openGpu();
 * using model = new Llama(gpu, { config, batch: 2, context: 8, parameters, kernels: "start" });
 * const tokens = Uint32Array.from({ length: 16 }, (_, i) => i);
 * model.setBatch({ inputs: tokens, targets: tokens });
 * model.computeGradients();
 * console.log((await model.meanLoss.read())[0], "nats, about log 16");
 * ```
 */
export class Llama {
  readonly config: LlamaConfig;
  readonly batch: number;
  readonly context: number;
  readonly microBatches: number;
  /** As in {@linkcode LlamaOptions}. */
  readonly precisePosition: number | undefined;
  /**
   * The parameters by name, in the order of `listParameters`. An optimizer changes them in place.
   */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /**
   * The gradient of the step's mean loss with respect to each parameter, by the parameter's name.
   */
  readonly gradients: ReadonlyMap<string, Tensor>;
  /**
   * The last micro-batch's states, and the gradients of the whole step's mean loss with respect to
   * these states.
   */
  readonly trace: Trace<Tensor>;
  /** The loss of each token of the last micro-batch, in nats: `[B · T]`. */
  readonly tokenLosses: Tensor;
  /**
   * The mean loss of a step's tokens, in nats: `[1]`. It is complete once `computeGradients` has
   * run for all micro-batches of the step.
   */
  readonly meanLoss: Tensor;
  /** The mean loss of the batch's tokens, in nats: `[1]`. Only `evaluate` fills it. */
  readonly evaluationLoss: Tensor;
  readonly #build: LlamaBuild;
  readonly #gpu: Gpu;
  readonly #workspace: Workspace;
  readonly #inputs: BatchTensors;
  readonly #train: readonly Plan[];
  readonly #evaluation: readonly Plan[];
  /** A few large tensors of all parameters, and as many of all gradients, in the same layout. */
  readonly packs: readonly ParameterPack[];
  /** A step's sums of loss and gradients. The step's first micro-batch resets them to zero. */
  readonly #totals: readonly Tensor[];

  /**
   * Plans a model and uploads its parameters.
   *
   * @throws {TypeError} if a parameter is missing, unknown or has the wrong length
   * @throws {RangeError} for an invalid configuration, or sizes beyond the adapter's limits
   */
  constructor(gpu: Gpu, options: LlamaOptions) {
    const { config, batch, context, microBatches = 1 } = options;
    checkConfig(config);
    refusePretrainedParts(config, { operation: "Llama" });
    for (const [name, given] of Object.entries({ batch, context, microBatches })) {
      if (!Number.isSafeInteger(given) || given < 1) {
        throw new RangeError(`Llama: ${name} is ${given}, wanted a positive integer`);
      }
    }
    checkParameters(config, options.parameters);
    this.config = config;
    this.batch = batch;
    this.context = context;
    this.microBatches = microBatches;
    this.precisePosition = options.precisePosition;
    this.#gpu = gpu;
    const workspace = new Workspace(gpu);
    this.#workspace = workspace;
    try {
      const parameters = packTensors(workspace, config);
      const micro = packTensors(workspace, config);
      for (const [name, tensor] of parameters.parameters) {
        tensor.write(options.parameters.get(name)!);
      }
      const build = startBuild(workspace, {
        ...options,
        units: parameters.units,
        gradients: micro.units,
      });
      this.#build = build;
      this.#inputs = batchTensors(workspace, options);
      const forward: Plan[] = [];
      const { embedded, layers } = planStates(build, forward, this.#inputs.tokens);
      const head = planHead(build, {
        input: layers.at(-1)?.output ?? embedded,
        targets: this.#inputs.targets,
        factor: 1 / (batch * context * microBatches),
      });
      const backward: Plan[] = [];
      const traces = planGradients(build, backward, { layers, head, inputs: this.#inputs });
      this.tokenLosses = head.tokenLosses;
      const mean = (plans: Plan[], count: number): Tensor =>
        workspace.add(plans, planSum(gpu, { input: head.tokenLosses, factor: 1 / count })).total;
      const step: Plan[] = [];
      const microLoss = mean(step, batch * context * microBatches);
      const evaluation: Plan[] = [];
      this.evaluationLoss = mean(evaluation, batch * context);
      const accumulated = microBatches > 1;
      const gradients = accumulated ? packTensors(workspace, config) : micro;
      this.meanLoss = accumulated ? workspace.keep(gpu.empty([1])) : microLoss;
      const pairs = [
        [microLoss, this.meanLoss] as const,
        ...gradients.packs.map(({ tensor }, i) => [micro.packs[i]!.tensor, tensor] as const),
      ];
      if (accumulated) {
        for (const [term, total] of pairs) {
          workspace.add(step, planAccumulate(gpu, { term, total }));
        }
      }
      this.#totals = accumulated ? pairs.map(([, total]) => total) : [];
      this.parameters = parameters.parameters;
      this.gradients = gradients.parameters;
      this.packs = parameters.packs.map(({ decayed, tensor }, i) => ({
        decayed,
        parameter: tensor,
        gradient: gradients.packs[i]!.tensor,
      }));
      this.#train = [...forward, ...head.train, ...backward, ...step];
      this.#evaluation = [...forward, ...head.forward, ...evaluation];
      this.trace = { batch, context, layers: traces };
    } catch (error) {
      workspace[Symbol.dispose]();
      throw error;
    }
  }

  /** The number of dispatches in a micro-batch's forward and backward pass. */
  get dispatches(): number {
    return this.#train.reduce((sum, plan) => sum + plan.dispatches, 0);
  }

  /** The plans of a micro-batch's forward and backward pass, in order, for measurements. */
  get plans(): readonly Plan[] {
    return this.#train;
  }

  /**
   * Uploads a batch. All later passes use it, until another batch is set.
   *
   * @param batch inputs and targets, `[B, T]` each
   * @throws {TypeError} for a wrong type or length
   * @throws {RangeError} for a token outside the vocabulary
   */
  setBatch(batch: Batch): void {
    writeBatch(this.#inputs, { batch, vocabulary: this.config.vocabulary });
  }

  /**
   * Enqueues the forward and backward pass of a micro-batch. It fills `trace` and `tokenLosses`;
   * the last micro-batch of a step also completes `gradients` and `meanLoss`.
   *
   * @param options `microBatch`: its index in the step, from 0 (default); index 0 resets
   *   `gradients` and `meanLoss`, later ones add to them
   * @throws {RangeError} if a step has no micro-batch of this index
   */
  computeGradients({ microBatch = 0 }: { readonly microBatch?: number } = {}): void {
    this.#checkMicroBatch(microBatch);
    if (microBatch === 0 && this.#totals.length > 0) this.#clearTotals();
    this.#gpu.run(this.#train);
  }

  /**
   * Enqueues the forward pass alone. It fills `tokenLosses`, `evaluationLoss` and the trace's
   * states.
   */
  evaluate(): void {
    this.#gpu.run(this.#evaluation);
  }

  /**
   * Plans another forward pass, with the model's parameters and batch, but with states of its own.
   *
   * @param workspace owns the new plans and tensors; dispose of it before the model
   * @param options `linearInput`: replaces the input of each linear map in the decoder layers
   * @returns the plans, and the tensors that they fill: each token's loss `[B · T]` and the mean
   *   loss `[1]`, in nats
   */
  planEvaluation(
    workspace: Workspace,
    { linearInput }: { readonly linearInput: LinearInput },
  ): { readonly plans: readonly Plan[]; readonly tokenLosses: Tensor; readonly loss: Tensor } {
    const build = { ...this.#build, workspace, linearInput };
    const plans: Plan[] = [];
    const { embedded, layers } = planStates(build, plans, this.#inputs.tokens);
    const { forward, tokenLosses } = planLosses(build, {
      input: layers.at(-1)?.output ?? embedded,
      targets: this.#inputs.targets,
    });
    plans.push(...forward);
    const factor = 1 / (this.batch * this.context);
    const { total } = workspace.add(plans, planSum(this.#gpu, { input: tokenLosses, factor }));
    return { plans, tokenLosses, loss: total };
  }

  /** Frees everything. Work already enqueued still finishes. */
  dispose(): void {
    this.#workspace[Symbol.dispose]();
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkMicroBatch(microBatch: number): void {
    if (!Number.isSafeInteger(microBatch) || microBatch < 0 || microBatch >= this.microBatches) {
      throw new RangeError(
        `Llama: microBatch is ${microBatch}, wanted an integer from 0 to ${this.microBatches - 1}`,
      );
    }
  }

  #clearTotals(): void {
    this.#gpu.guard("Llama", () => {
      const encoder = this.#gpu.device.createCommandEncoder();
      for (const { buffer } of this.#totals) encoder.clearBuffer(buffer);
      this.#gpu.device.queue.submit([encoder.finish()]);
    });
  }
}

function checkParameters(
  config: LlamaConfig,
  parameters: ReadonlyMap<string, Float32Array>,
): void {
  const wanted = new Map(
    listParameters(config).map(({ name, shape }) => [name, shape.reduce((a, b) => a * b)]),
  );
  for (const [name, length] of wanted) {
    const given = parameters.get(name);
    if (!(given instanceof Float32Array) || given.length !== length) {
      throw new TypeError(
        `Llama: parameter ${name} has ${given?.length} elements, ` +
          `wanted a Float32Array of ${length}`,
      );
    }
  }
  for (const name of parameters.keys()) {
    if (!wanted.has(name)) throw new TypeError(`Llama: a model of this shape has no ${name}`);
  }
}
