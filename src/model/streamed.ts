/**
 * Runs a pretrained model that exceeds a GPU's memory: its forward pass, and a backward pass that
 * computes gradients with respect to the states but not to the weights. Of the layers' weights, the
 * GPU needs to hold only one layer's at a time. The backward pass recomputes the states that the
 * forward pass did not keep.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { refuseTrainedParts } from "../reference/llama/config.ts";
import type { LayerTrace } from "../reference/llama/trace.ts";
import type { Batch } from "./llama/batch.ts";
import { checkBatch } from "./llama/batch.ts";
import {
  type KernelPreference,
  type LinearInput,
  type LlamaBuild,
  startBuild,
} from "./llama/build.ts";
import { type LayerState, planLayerBackward, planLayerForward } from "./llama/layer.ts";
import type { WeightSource } from "./pretrained/weights.ts";
import { embedTokens } from "./streamed/embedding.ts";
import { StreamedHead, type TokenLosses } from "./streamed/head.ts";
import type { LogitsMemory } from "./streamed/head/slices.ts";
import { KeptStates } from "./streamed/kept_states.ts";
import { LayerWeights, Uploads } from "./streamed/weights.ts";
import { Workspace } from "./workspace.ts";

export type { TokenLosses } from "./streamed/head.ts";
export type { LogitsMemory } from "./streamed/head/slices.ts";

/** Options of {@linkcode StreamedLlama}. */
export interface StreamedLlamaOptions {
  /** The weights on disk, with the model's architecture. */
  readonly source: WeightSource;
  /** B: the number of sequences in a batch. */
  readonly batch: number;
  /** T: the number of tokens in a sequence. */
  readonly context: number;
  /** How to choose operators' variants. Default: `steps`. */
  readonly kernels?: KernelPreference;
  /**
   * A position to which heads may give almost all of their weight. Naming it keeps some gradients
   * accurate, as `precisePosition` of `LlamaOptions` explains. Default: none.
   */
  readonly precisePosition?: number;
  /**
   * Replaces the input of each linear map of the decoder layers. The model calls it with layer 0's
   * names only, because all layers share layer 0's plans.
   */
  readonly linearInput?: LinearInput;
  /** How much memory the logits may take. */
  readonly logits?: LogitsMemory;
  /** Whether to plan a backward pass; without one, the model needs less memory. Default: true. */
  readonly backward?: boolean;
  /**
   * The model keeps layers' states for the backward pass, and then weights for later passes, as
   * long as all of its GPU memory stays within this many bytes. What it does not keep, it computes
   * or reads from disk again. Default: 2³⁰; 2²⁸ if the adapter computes on the CPU.
   */
  readonly keptBytes?: number;
}

const KEPT_BYTES = { software: 2 ** 28, hardware: 2 ** 30 };

/** Options of the forward pass. */
export interface StreamedForwardOptions {
  /**
   * The first layer to run, above 0 only in a model with a backward pass. It takes its input from
   * the last forward pass, which must have had the same tokens. Default: 0.
   */
  readonly firstLayer?: number;
  /** Called with each vocabulary slice's first token, and the slice's logits [B · T, tokens]. */
  readonly onLogits?: (first: number, logits: Float32Array) => void;
  /** Called before each layer is enqueued. */
  readonly onLayerStart?: (layer: number) => void | Promise<void>;
  /**
   * Called with each layer's output [B, T, d]. The callback may change the output before the next
   * layer reads it.
   */
  readonly onOutput?: (layer: number, output: Tensor) => void | Promise<void>;
}

/** Callbacks of the backward pass. */
export interface StreamedBackwardOptions {
  /**
   * Called with each layer's states and gradients, from the last layer to the first. These tensors
   * stay valid until the promise that the callback returns settles.
   */
  readonly onLayer: (layer: number, trace: LayerTrace<Tensor>) => void | Promise<void>;
}

/**
 * A pretrained model for one batch size and context. For a backward pass, the forward pass keeps
 * every layer's input, and as many layers' states as `keptBytes` allows. The backward pass
 * recomputes the other states.
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { openWeights } from "./pretrained/weights.ts";
 * import { StreamedLlama } from "./streamed.ts";
 *
 * using gpu = await openGpu();
 * using source = await openWeights("fixtures/pretrained/qwen3");
 * using model = new StreamedLlama(gpu, { source, batch: 1, context: 4, kernels: "start" });
 * const { loss } = await model.forward({
 *   inputs: Uint32Array.of(1, 2, 3, 4),
 *   targets: Uint32Array.of(2, 3, 4, 5),
 * });
 * await model.backward({
 *   onLayer: async (layer, { gradients }) => {
 *     console.log(layer, Math.hypot(...await gradients.input.read()));
 *   },
 * });
 * console.log(loss, "nats per token");
 * ```
 */
export class StreamedLlama {
  readonly source: WeightSource;
  /** B */
  readonly batch: number;
  /** T */
  readonly context: number;
  readonly #gpu: Gpu;
  readonly #workspace: Workspace;
  readonly #weights: LayerWeights;
  readonly #head: StreamedHead;
  /**
   * The input of every layer, and the last layer's output: [B, T, d] each. Without a backward pass,
   * all of them are the same tensor.
   */
  readonly #states: readonly Tensor[];
  /** What a layer's plans read: its input, and the loss's gradient with respect to its output. */
  readonly #input: Tensor;
  readonly #outputGradient: Tensor;
  readonly #output: Tensor;
  readonly #forward: readonly Plan[];
  readonly #back: {
    readonly trace: LayerTrace<Tensor>;
    readonly plans: readonly Plan[];
    readonly kept: KeptStates;
  } | undefined;
  /** The layer whose unchanged states are in the tensors that `#forward` writes, if any. */
  #computed: number | undefined;
  #ran = false;
  /** The largest `firstLayer` for the current tokens: `#states` holds that layer's input. */
  #known = 0;

  /**
   * Plans a model. Its weights are read when it runs.
   *
   * @throws {RangeError} for an impossible model, batch or context, or sizes beyond the adapter's
   *   limits
   */
  constructor(gpu: Gpu, options: StreamedLlamaOptions) {
    const { source, batch, context, kernels, precisePosition, linearInput, logits } = options;
    const { backward = true } = options;
    const { keptBytes = KEPT_BYTES[gpu.info.software ? "software" : "hardware"] } = options;
    const { config } = source.architecture;
    refuseTrainedParts(config, { operation: "StreamedLlama" });
    for (const [name, given] of Object.entries({ batch, context })) {
      if (!Number.isSafeInteger(given) || given < 1) {
        throw new RangeError(`StreamedLlama: ${name} is ${given}, wanted a positive integer`);
      }
    }
    this.source = source;
    this.batch = batch;
    this.context = context;
    this.#gpu = gpu;
    const workspace = new Workspace(gpu);
    this.#workspace = workspace;
    const before = gpu.memory.bytes;
    try {
      const uploads = new Uploads(gpu);
      const state = () => workspace.keep(gpu.empty([batch, context, config.modelDim]));
      this.#weights = new LayerWeights(workspace, {
        source,
        uploads,
        images: kernels !== "start",
      });
      this.#input = state();
      this.#outputGradient = state();
      const shared = backward ? undefined : state();
      this.#states = Array.from({ length: config.layers + 1 }, () => shared ?? state());
      const build = {
        ...startBuild(workspace, {
          config,
          batch,
          context,
          ...kernels === undefined ? {} : { kernels },
          ...precisePosition === undefined ? {} : { precisePosition },
          units: this.#weights.units,
          gradients: undefined,
        }),
        ...kernels === "start" ? {} : { images: this.#weights.images },
        ...linearInput === undefined ? {} : { linearInput },
      };
      const forward: Plan[] = [];
      const layer = planLayerForward(build, forward, { layer: 0, input: this.#input });
      this.#output = layer.output;
      this.#forward = forward;
      this.#head = new StreamedHead(build, {
        input: this.#states.at(-1)!,
        source,
        uploads,
        memory: logits,
        backward,
      });
      this.#back = backward ? this.#planBack(build, layer, keptBytes + before) : undefined;
      const room = () => keptBytes + before - gpu.memory.bytes;
      this.#weights.keep(room());
      this.#head.keep(room());
    } catch (error) {
      workspace[Symbol.dispose]();
      throw error;
    }
  }

  #planBack(build: LlamaBuild, state: LayerState, mostBytes: number) {
    const { workspace, config } = build;
    const plans: Plan[] = [];
    const outputGradient = this.#outputGradient;
    const trace = planLayerBackward(build, plans, { layer: 0, state, outputGradient });
    const kept = new KeptStates(workspace, state, {
      // The last layer needs no copy: no later layer has overwritten its states when the backward
      // pass begins.
      layers: Array.from({ length: config.layers - 1 }, (_, i) => config.layers - 2 - i),
      bytes: mostBytes - this.#gpu.memory.bytes,
    });
    return { trace, plans, kept };
  }

  /**
   * Computes a batch's losses, and keeps what the backward pass needs.
   *
   * @param batch inputs and targets, [B, T] each
   * @returns the losses, in nats
   * @throws {TypeError} for tokens of a wrong type or number
   * @throws {RangeError} for a token outside the vocabulary, or a first layer whose input is
   *   unknown
   * @throws {CheckpointError} if the weights cannot be read
   * @throws {GpuError} if the GPU fails
   */
  async forward(batch: Batch, options: StreamedForwardOptions = {}): Promise<TokenLosses> {
    const { vocabulary, layers } = this.source.architecture.config;
    const length = this.batch * this.context;
    checkBatch(batch, { operation: "StreamedLlama", length, vocabulary });
    const { firstLayer = 0 } = options;
    if (!Number.isSafeInteger(firstLayer) || firstLayer < 0 || firstLayer > this.#known) {
      throw new RangeError(
        `StreamedLlama: firstLayer is ${firstLayer}, wanted an integer from 0 to ${this.#known}`,
      );
    }
    this.#ran = false;
    this.#computed = undefined;
    this.#known = this.#back === undefined ? 0 : firstLayer;
    if (firstLayer === 0) this.#states[0]!.write(await embedTokens(this.source, batch.inputs));
    for (let layer = firstLayer; layer < layers; layer++) {
      await this.#weights.load(layer, layer + 1 < layers ? layer + 1 : undefined);
      await options.onLayerStart?.(layer);
      this.#copy(this.#states[layer]!, this.#input);
      this.#gpu.run(this.#forward);
      this.#back?.kept.keep(layer);
      await options.onOutput?.(layer, this.#output);
      this.#copy(this.#output, this.#states[layer + 1]!);
      if (this.#back !== undefined) this.#known = layer;
    }
    // If there is an `onOutput`, it may have changed the last layer's output. So let the backward
    // pass recompute that layer's states.
    this.#computed = options.onOutput === undefined ? layers - 1 : undefined;
    const losses = await this.#head.forward(batch.targets, options);
    this.#ran = true;
    return losses;
  }

  /**
   * Computes the gradients of the last forward pass's mean loss with respect to the states, from
   * the last layer back to the input of layer 0.
   *
   * @throws {TypeError} if there was no forward pass, or the model has no backward pass
   * @throws {CheckpointError} if the weights cannot be read
   * @throws {GpuError} if the GPU fails
   */
  async backward({ onLayer }: StreamedBackwardOptions): Promise<void> {
    const back = this.#back;
    if (back === undefined) {
      throw new TypeError("StreamedLlama: backward() of a model that was made without a way back");
    }
    if (!this.#ran) throw new TypeError("StreamedLlama: backward() is called before forward()");
    this.#copy(await this.#head.backward(), this.#outputGradient);
    for (let layer = this.source.architecture.config.layers - 1; layer >= 0; layer--) {
      await this.#weights.load(layer, layer > 0 ? layer - 1 : undefined);
      if (this.#computed !== layer) {
        this.#copy(this.#states[layer]!, this.#input);
        if (!back.kept.restore(layer)) this.#gpu.run(this.#forward);
        this.#computed = layer;
      }
      this.#gpu.run(back.plans);
      await onLayer(layer, back.trace);
      this.#copy(back.trace.gradients.input, this.#outputGradient);
    }
  }

  /** Frees everything but the weights on disk. Work already enqueued still finishes. */
  dispose(): void {
    this.#workspace[Symbol.dispose]();
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #copy(from: Tensor, to: Tensor): void {
    this.#gpu.guard("StreamedLlama", () => {
      const encoder = this.#gpu.device.createCommandEncoder();
      encoder.copyBufferToBuffer(from.buffer, 0, to.buffer, 0, 4 * to.length);
      this.#gpu.device.queue.submit([encoder.finish()]);
    });
  }
}
