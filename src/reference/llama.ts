/**
 * A Llama-like model in float64: pre-norm decoder layers with RMSNorm, RoPE, causal attention,
 * V-scale and SwiGLU, and the mean cross-entropy of the next tokens. Its backward pass gives the
 * loss's gradients with respect to every parameter, and to the states at which gradient sinks are
 * measured.
 *
 *     h̃ = RMSNorm(h)    h^½ = h + W_O attention(h̃)
 *     h̃^½ = RMSNorm(h^½)    h′ = h^½ + W_down swiglu(h̃^½)
 *
 * Source: Chen, Lin and Yao, arXiv 2603.17771, section 2; parameters as in Hugging Face's Llama.
 */
import { attentionBackward } from "./attention.ts";
import {
  type AttentionMemory,
  type LayerMemory,
  LlamaForward,
  type LlamaOptions,
} from "./llama/forward.ts";
import { EMBEDDING, FINAL_NORM, layerParameterNames } from "./llama/parameters.ts";
import {
  attentionGateBackward,
  biasBackward,
  embedBackward,
  linearBackward,
  mergeHeads,
  splitHeads,
  sum,
  swigluBackward,
} from "./llama/parts.ts";
import type { AttentionTrace, LayerTrace, Trace } from "./llama/trace.ts";
import { rmsNormBackward } from "./rms_norm.ts";
import { type ReferenceTensor, zeros } from "./tensor.ts";

export type { LlamaBatch, LlamaOptions } from "./llama/forward.ts";

/** Optional arguments of {@linkcode llamaLoss}. */
export interface LlamaLossOptions extends LlamaOptions {
  /**
   * For numerical derivatives with `backward-only` V-scale: each layer's values v₀ at the point of
   * the derivative. The layer then uses v₀ + φ(v) − φ(v₀) as values, where φ is V-scale. At v = v₀
   * this equals v₀, as in the forward pass, but has φ's derivative, as in the backward pass.
   */
  readonly held?: readonly (Float64Array | undefined)[] | undefined;
}

/** Result of {@linkcode llamaGradients}. */
export interface LlamaResult {
  /** In nats per token. */
  readonly loss: number;
  /** [B, T, V] */
  readonly logits: Float64Array;
  /** Each parameter's gradient, under the parameter's name. */
  readonly gradients: Map<string, Float64Array>;
  /** Inner states, and the loss's gradients with respect to some of them. */
  readonly trace: Trace<Float64Array>;
}

/**
 * Computes the loss alone.
 *
 * @param options the model, its parameters and the tokens
 * @returns the mean cross-entropy in nats per token
 * @throws {TypeError} if a parameter is missing, or a parameter or the tokens have the wrong length
 * @throws {RangeError} for a configuration that no model can have, or a token outside the
 *   vocabulary
 */
export function llamaLoss(options: LlamaLossOptions): number {
  return new LlamaForward(options).forward(options.held).loss;
}

/**
 * Computes the loss, its gradient with respect to every parameter, and the inner states with their
 * gradients.
 *
 * @param options the model, its parameters and the tokens
 * @throws {TypeError} if a parameter is missing, or a parameter or the tokens have the wrong length
 * @throws {RangeError} for a configuration that no model can have, or a token outside the
 *   vocabulary
 *
 * @example
 * ```ts
 * import { initialParameters } from "./llama/parameters.ts";
 * import { llamaGradients } from "./llama.ts";
 * import { PLAIN_LLAMA } from "./llama/config.ts";
 *
 * const config = {
 *   vocabulary: 5,
 *   layers: 1,
 *   modelDim: 4,
 *   queryHeads: 1,
 *   keyValueHeads: 1,
 *   headDim: 4,
 *   feedForwardDim: 8,
 *   ...PLAIN_LLAMA,
 * } as const;
 * const parameters = new Map(
 *   [...initialParameters(config, { seed: 1 })].map(([name, x]) => [name, Float64Array.from(x)]),
 * );
 * const batch = { batch: 1, context: 3, inputs: [0, 1, 2], targets: [1, 2, 3] };
 * console.log(llamaGradients({ config, parameters, batch }).loss); // about ln 5
 * ```
 */
export function llamaGradients(options: LlamaOptions): LlamaResult {
  return new LlamaBackward(new LlamaForward(options)).run();
}

class LlamaBackward {
  readonly #model: LlamaForward;

  constructor(model: LlamaForward) {
    this.#model = model;
  }

  run(): LlamaResult {
    const { layers, state, norm, logits, loss, logitGradient } = this.#model.forward();
    const gradients = new Map<string, Float64Array>();
    const head = linearBackward({
      input: norm.output,
      weight: this.#model.parameter(this.#model.head),
      outputGradient: logitGradient,
    });
    gradients.set(this.#model.head, head.weightGradient.data);
    const last = rmsNormBackward({
      input: state,
      gain: this.#model.parameter(FINAL_NORM),
      inverseRms: norm.inverseRms,
      outputGradient: head.inputGradient,
    });
    gradients.set(FINAL_NORM, last.gainGradient.data);
    let gradient = last.inputGradient;
    const traces: LayerTrace<Float64Array>[] = [];
    for (let layer = layers.length - 1; layer >= 0; layer--) {
      const { trace, inputGradient } = this.#layerBackward(layer, {
        memory: layers[layer]!,
        outputGradient: gradient,
        gradients,
      });
      traces.unshift(trace);
      gradient = inputGradient;
    }
    const table = zeros(this.#model.parameter(EMBEDDING).shape);
    embedBackward(table, { tokens: this.#model.batch.inputs, outputGradient: gradient });
    // With a tied head, `gradients` already holds the head's part of this gradient: add it.
    gradients.get(EMBEDDING)?.forEach((value, i) => table.data[i]! += value);
    gradients.set(EMBEDDING, table.data);
    const { batch, context } = this.#model.batch;
    return { loss, logits: logits.data, gradients, trace: { batch, context, layers: traces } };
  }

  #layerBackward(layer: number, { memory, outputGradient, gradients }: {
    readonly memory: LayerMemory;
    readonly outputGradient: ReferenceTensor;
    readonly gradients: Map<string, Float64Array>;
  }): { trace: LayerTrace<Float64Array>; inputGradient: ReferenceTensor } {
    const names = layerParameterNames(layer);
    const { input, attention, half, norm, gate, up, hidden, mlpResidual, output } = memory;
    const through = (name: string, rows: ReferenceTensor, by: ReferenceTensor) => {
      const weight = this.#model.parameter(name);
      const found = linearBackward({ input: rows, weight, outputGradient: by });
      gradients.set(name, found.weightGradient.data);
      return found.inputGradient;
    };
    const swiglu = swigluBackward({
      gate,
      up,
      outputGradient: through(names.down, hidden, outputGradient),
    });
    const mlpNormGradient = sum(
      through(names.gate, norm.output, swiglu.gateGradient),
      through(names.up, norm.output, swiglu.upGradient),
    );
    const mlp = rmsNormBackward({
      input: half,
      gain: this.#model.parameter(names.mlpNorm),
      inverseRms: norm.inverseRms,
      outputGradient: mlpNormGradient,
    });
    gradients.set(names.mlpNorm, mlp.gainGradient.data);
    const halfGradient = sum(outputGradient, mlp.inputGradient);
    const below = attention === undefined
      ? undefined
      : this.#attentionBackward(layer, { memory: attention, input, halfGradient, gradients });
    const inputGradient = below === undefined
      ? halfGradient
      : sum(halfGradient, below.inputGradient);
    const trace: LayerTrace<Float64Array> = {
      input: input.data,
      attention: below?.trace,
      half: half.data,
      mlpNorm: norm.output.data,
      mlpResidual: mlpResidual.data,
      output: output.data,
      gradients: {
        input: inputGradient.data,
        half: halfGradient.data,
        mlpNorm: mlpNormGradient.data,
        output: outputGradient.data,
      },
    };
    return { trace, inputGradient };
  }

  #attentionBackward(layer: number, { memory, input, halfGradient, gradients }: {
    readonly memory: AttentionMemory;
    readonly input: ReferenceTensor;
    readonly halfGradient: ReferenceTensor;
    readonly gradients: Map<string, Float64Array>;
  }): { trace: AttentionTrace<Float64Array>; inputGradient: ReferenceTensor } {
    const names = layerParameterNames(layer);
    const { norm, query, key, value, vScale, output, logSumExp, merged, gate, residual } = memory;
    const out = linearBackward({
      input: gate?.output ?? merged,
      weight: this.#model.parameter(names.attentionOutput),
      outputGradient: halfGradient,
    });
    gradients.set(names.attentionOutput, out.weightGradient.data);
    if (this.#model.config.attentionOutputBias) {
      gradients.set(names.attentionOutputBias, biasBackward(halfGradient).data);
    }
    const unturned = { ...this.#model.layout("query"), rope: undefined };
    const gated = gate && attentionGateBackward({
      input: merged,
      logits: gate.logits,
      outputGradient: out.inputGradient,
    });
    const outputGradient = splitHeads(gated?.inputGradient ?? out.inputGradient, unturned);
    const by = attentionBackward({
      query,
      key,
      value,
      output,
      logSumExp,
      outputGradient,
      vScale,
      sinkLogit: memory.sinkLogit,
    });
    if (this.#model.config.sinkLogit === "learned") {
      gradients.set(names.sinks, by.sinkLogitGradient!.data);
    }
    if (this.#model.config.vScale === "learned") {
      // C = exp(θ) C₁ with a fixed C₁, so ∂L/∂θ = C ∂L/∂C.
      const constants = vScale!.constant.data;
      const theta = by.constantGradient!.data.map((each, h) => each * constants[h]!);
      gradients.set(names.theta, theta);
    }
    const paths = [
      ["query", by.queryGradient],
      ["key", by.keyGradient],
      ["value", by.valueGradient],
    ] as const;
    const pathGradient = paths.map(([kind, gradient]) => {
      const merged = mergeHeads(gradient, this.#model.layout(kind));
      const outputGradient = kind === "value" || memory.headNorms === undefined
        ? merged
        : this.#headNormBackward(layer, { kind, memory, merged, gradients });
      if (this.#model.config.projectionBiases) {
        gradients.set(names[`${kind}Bias`], biasBackward(outputGradient).data);
      }
      const found = linearBackward({
        input: norm.output,
        weight: this.#model.parameter(names[kind]),
        outputGradient,
      });
      gradients.set(names[kind], found.weightGradient.data);
      return found.inputGradient;
    }).reduce(sum);
    const through = gated && linearBackward({
      input: norm.output,
      weight: this.#model.parameter(names.attentionGate),
      outputGradient: gated.logitsGradient,
    });
    if (through !== undefined) gradients.set(names.attentionGate, through.weightGradient.data);
    const normGradient = through === undefined
      ? pathGradient
      : sum(pathGradient, through.inputGradient);
    const { inputGradient, gainGradient } = rmsNormBackward({
      input,
      gain: this.#model.parameter(names.attentionNorm),
      inverseRms: norm.inverseRms,
      outputGradient: normGradient,
    });
    gradients.set(names.attentionNorm, gainGradient.data);
    const trace: AttentionTrace<Float64Array> = {
      norm: norm.output.data,
      query: query.data,
      key: key.data,
      value: value.data,
      output: output.data,
      logSumExp: logSumExp.data,
      ...gate === undefined ? {} : { opening: gate.opening.data },
      residual: residual.data,
      gradients: {
        norm: normGradient.data,
        query: by.queryGradient.data,
        key: by.keyGradient.data,
        value: by.valueGradient.data,
        output: outputGradient.data,
        ...gate === undefined ? {} : { gated: out.inputGradient.data },
      },
    };
    return { trace, inputGradient };
  }

  /**
   * The backward pass of the queries' or the keys' RMSNorm. Returns the gradient with respect to
   * the norm's input, [B T, H D], and stores the gain's gradient in `gradients`.
   */
  #headNormBackward(layer: number, { kind, memory, merged, gradients }: {
    readonly kind: "query" | "key";
    readonly memory: AttentionMemory;
    readonly merged: ReferenceTensor;
    readonly gradients: Map<string, Float64Array>;
  }): ReferenceTensor {
    const name = layerParameterNames(layer)[`${kind}Norm`];
    const input = memory.plain[kind];
    const { inputGradient, gainGradient } = rmsNormBackward({
      input,
      gain: this.#model.parameter(name),
      inverseRms: memory.headNorms![kind].inverseRms,
      outputGradient: { data: merged.data, shape: input.shape },
    });
    gradients.set(name, gainGradient.data);
    return { data: inputGradient.data, shape: merged.shape };
  }
}
