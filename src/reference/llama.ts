/**
 * A Llama-like model in float64: pre-norm decoder layers with RMSNorm, RoPE, causal attention, V-scale
 * and SwiGLU, the mean cross-entropy of the next tokens, and the loss's gradient by every parameter and
 * by every state that gradient sinks are measured at.
 *
 *     h̃ = RMSNorm(h)    h^½ = h + W_O attention(h̃)    h̃^½ = RMSNorm(h^½)    h′ = h^½ + W_down swiglu(h̃^½)
 *
 * Source: spec section 1; parameters as in Hugging Face's Llama.
 */
import { checkConfig, type LlamaConfig, vScaleConstant } from "../model/config.ts";
import {
  EMBEDDING,
  FINAL_NORM,
  HEAD,
  layerParameterNames,
  listParameters,
} from "../model/parameters.ts";
import type { AttentionTrace, LayerTrace, Trace } from "../model/trace.ts";
import { attentionBackward, attentionForward, type ReferenceVScale } from "./attention.ts";
import {
  constantVector,
  crossEntropy,
  embed,
  embedBackward,
  type HeadLayout,
  linearBackward,
  linearForward,
  mergeHeads,
  splitHeads,
  sum,
  swigluBackward,
  swigluForward,
} from "./llama_parts.ts";
import { rmsNormBackward, rmsNormForward } from "./rms_norm.ts";
import { elementCount, type ReferenceTensor, zeros } from "./tensor.ts";
import { vScaleForward } from "./v_scale.ts";

/** Tokens, and the one that follows each. */
export interface LlamaBatch {
  /** B */
  readonly batch: number;
  /** T */
  readonly context: number;
  /** [B, T] */
  readonly inputs: ArrayLike<number>;
  /** [B, T] */
  readonly targets: ArrayLike<number>;
}

/** What {@linkcode llamaLoss} and {@linkcode llamaGradients} work on. */
export interface LlamaOptions {
  /** The model's shape. */
  readonly config: LlamaConfig;
  /** Every parameter's elements by its name. */
  readonly parameters: ReadonlyMap<string, Float64Array>;
  /** Tokens. */
  readonly batch: LlamaBatch;
}

/** What {@linkcode llamaLoss} may be told beside that. */
export interface LlamaLossOptions extends LlamaOptions {
  /**
   * For `backward-only` V-scale: the values v of each layer that sg() holds fast. With them the values
   * used are sg(v) + φ(v) − sg(φ(v)), whose derivative is the one that backward-only applies.
   */
  readonly held?: readonly (Float64Array | undefined)[] | undefined;
}

/** What {@linkcode llamaGradients} returns. */
export interface LlamaResult {
  /** In nats a token. */
  readonly loss: number;
  /** [B, T, V] */
  readonly logits: Float64Array;
  /** By the parameters' names. */
  readonly gradients: Map<string, Float64Array>;
  /** The states and the loss's gradients by them. */
  readonly trace: Trace<Float64Array>;
}

/** What the forward pass of one attention leaves for the backward pass. */
interface AttentionMemory {
  readonly norm: Normed;
  readonly query: ReferenceTensor;
  readonly key: ReferenceTensor;
  readonly value: ReferenceTensor;
  readonly vScale: ReferenceVScale | undefined;
  readonly output: ReferenceTensor;
  readonly logSumExp: ReferenceTensor;
  readonly merged: ReferenceTensor;
  readonly residual: ReferenceTensor;
}

interface LayerMemory {
  readonly input: ReferenceTensor;
  readonly attention: AttentionMemory | undefined;
  readonly half: ReferenceTensor;
  readonly norm: Normed;
  readonly gate: ReferenceTensor;
  readonly up: ReferenceTensor;
  readonly hidden: ReferenceTensor;
  readonly mlpResidual: ReferenceTensor;
  readonly output: ReferenceTensor;
}

interface LayerInput {
  readonly input: ReferenceTensor;
  readonly held: Float64Array | undefined;
}

interface Normed {
  readonly output: ReferenceTensor;
  readonly inverseRms: ReferenceTensor;
}

/**
 * The loss alone.
 *
 * @param options the model, its parameters and the tokens
 * @returns the mean cross-entropy in nats a token
 * @throws {TypeError} if a parameter is missing or has another length than the model gives it
 * @throws {RangeError} for a configuration that no model can have, or a token outside the vocabulary
 */
export function llamaLoss(options: LlamaLossOptions): number {
  return new Twin(options).forward(options.held).loss;
}

/**
 * The loss, its gradient by every parameter, and the states inside with their gradients.
 *
 * @param options the model, its parameters and the tokens
 * @throws {TypeError} if a parameter is missing or has another length than the model gives it
 * @throws {RangeError} for a configuration that no model can have, or a token outside the vocabulary
 *
 * @example
 * ```ts
 * import { initialValues, listParameters } from "../model/parameters.ts";
 * import { llamaGradients } from "./llama.ts";
 *
 * const config = {
 *   vocabulary: 5,
 *   layers: 1,
 *   modelDim: 4,
 *   queryHeads: 1,
 *   keyValueHeads: 1,
 *   headDim: 4,
 *   feedForwardDim: 8,
 *   normEpsilon: 1e-5,
 *   ropeBase: 10_000,
 *   tiedHead: false,
 *   vScale: "none",
 *   layersWithoutAttention: [],
 * } as const;
 * const parameters = new Map(
 *   listParameters(config).map((parameter) => [
 *     parameter.name,
 *     Float64Array.from(initialValues(parameter, { seed: 1 })),
 *   ]),
 * );
 * const batch = { batch: 1, context: 3, inputs: [0, 1, 2], targets: [1, 2, 3] };
 * console.log(llamaGradients({ config, parameters, batch }).loss); // about ln 5
 * ```
 */
export function llamaGradients(options: LlamaOptions): LlamaResult {
  return new Twin(options).backward();
}

class Twin {
  readonly #config: LlamaConfig;
  readonly #parameters = new Map<string, ReferenceTensor>();
  readonly #batch: LlamaBatch;

  constructor({ config, parameters, batch }: LlamaOptions) {
    checkConfig(config);
    this.#config = config;
    this.#batch = batch;
    for (const { name, shape } of listParameters(config)) {
      const data = parameters.get(name);
      if (data?.length !== elementCount(shape)) {
        throw new TypeError(
          `llama: ${name} has ${data?.length ?? "no"} elements, wanted ${
            elementCount(shape)
          } as its shape is [${shape.join(", ")}]`,
        );
      }
      this.#parameters.set(name, { data, shape });
    }
    const { vocabulary } = config;
    for (const name of ["inputs", "targets"] as const) checkTokens(batch, { name, vocabulary });
  }

  #parameter(name: string): ReferenceTensor {
    return this.#parameters.get(name)!;
  }

  #norm(input: ReferenceTensor, gain: string): Normed {
    const epsilon = this.#config.normEpsilon;
    return rmsNormForward({ input, gain: this.#parameter(gain), epsilon });
  }

  #layout(kind: "query" | "key" | "value"): HeadLayout {
    const { queryHeads, keyValueHeads, headDim, ropeBase } = this.#config;
    const { batch, context } = this.#batch;
    return {
      batch,
      context,
      heads: kind === "query" ? queryHeads : keyValueHeads,
      headDim,
      ropeBase: kind === "value" ? undefined : ropeBase,
    };
  }

  /** What attention does to its values. */
  #vScale(layer: number): ReferenceVScale | undefined {
    const { vScale, keyValueHeads } = this.#config;
    if (vScale === "none") return undefined;
    const constant = constantVector(keyValueHeads, vScaleConstant(this.#config));
    if (vScale === "learned") {
      const theta = this.#parameter(layerParameterNames(layer).theta);
      theta.data.forEach((value, head) => constant.data[head]! *= Math.exp(value));
    }
    return { constant, mode: vScale === "backward-only" ? "backward-only" : "full" };
  }

  #attentionForward(
    layer: number,
    { input, held }: LayerInput,
  ): AttentionMemory {
    const names = layerParameterNames(layer);
    const norm = this.#norm(input, names.attentionNorm);
    const project = (kind: "query" | "key" | "value") => {
      const weight = this.#parameter(names[kind]);
      return splitHeads(linearForward({ input: norm.output, weight }), this.#layout(kind));
    };
    const [query, key, value] = [project("query"), project("key"), project("value")];
    const vScale = this.#vScale(layer);
    const used = held === undefined || vScale === undefined
      ? { value, vScale }
      : { value: holdFast(value, { held, constant: vScale.constant }) };
    const { output, logSumExp } = attentionForward({ query, key, ...used });
    // Values are not turned, and neither is what is made of them.
    const merged = mergeHeads(output, { ...this.#layout("query"), ropeBase: undefined });
    const weight = this.#parameter(names.attentionOutput);
    const residual = linearForward({ input: merged, weight });
    return { norm, query, key, value, vScale, output, logSumExp, merged, residual };
  }

  #layerForward(
    layer: number,
    { input, held }: LayerInput,
  ): LayerMemory {
    const names = layerParameterNames(layer);
    const attention = this.#config.layersWithoutAttention.includes(layer)
      ? undefined
      : this.#attentionForward(layer, { input, held });
    const half = attention === undefined ? input : sum(input, attention.residual);
    const norm = this.#norm(half, names.mlpNorm);
    const gate = linearForward({ input: norm.output, weight: this.#parameter(names.gate) });
    const up = linearForward({ input: norm.output, weight: this.#parameter(names.up) });
    const hidden = swigluForward({ gate, up });
    const mlpResidual = linearForward({ input: hidden, weight: this.#parameter(names.down) });
    const output = sum(half, mlpResidual);
    return { input, attention, half, norm, gate, up, hidden, mlpResidual, output };
  }

  forward(held: readonly (Float64Array | undefined)[] = []) {
    const { inputs, targets } = this.#batch;
    const layers: LayerMemory[] = [];
    let state = embed(this.#parameter(EMBEDDING), inputs);
    for (let layer = 0; layer < this.#config.layers; layer++) {
      layers.push(this.#layerForward(layer, { input: state, held: held[layer] }));
      state = layers[layer]!.output;
    }
    const norm = this.#norm(state, FINAL_NORM);
    const logits = linearForward({ input: norm.output, weight: this.#parameter(this.#head) });
    return { layers, state, norm, logits, ...crossEntropy(logits, targets) };
  }

  get #head(): string {
    return this.#config.tiedHead ? EMBEDDING : HEAD;
  }

  backward(): LlamaResult {
    const { layers, state, norm, logits, loss, logitGradient } = this.forward();
    const gradients = new Map<string, Float64Array>();
    const head = linearBackward({
      input: norm.output,
      weight: this.#parameter(this.#head),
      outputGradient: logitGradient,
    });
    gradients.set(this.#head, head.weightGradient.data);
    const last = rmsNormBackward({
      input: state,
      gain: this.#parameter(FINAL_NORM),
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
    const table = zeros(this.#parameter(EMBEDDING).shape);
    embedBackward(table, { tokens: this.#batch.inputs, outputGradient: gradient });
    // A tied head's share is there already.
    gradients.get(EMBEDDING)?.forEach((value, i) => table.data[i]! += value);
    gradients.set(EMBEDDING, table.data);
    const { batch, context } = this.#batch;
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
      const weight = this.#parameter(name);
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
      gain: this.#parameter(names.mlpNorm),
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
    const { norm, query, key, value, vScale, output, logSumExp, merged, residual } = memory;
    const out = linearBackward({
      input: merged,
      weight: this.#parameter(names.attentionOutput),
      outputGradient: halfGradient,
    });
    gradients.set(names.attentionOutput, out.weightGradient.data);
    const unturned = { ...this.#layout("query"), ropeBase: undefined };
    const outputGradient = splitHeads(out.inputGradient, unturned);
    const by = attentionBackward({ query, key, value, output, logSumExp, outputGradient, vScale });
    if (this.#config.vScale === "learned") {
      // C = exp(θ) C₁, so ∂L/∂θ = C ∂L/∂C.
      const constants = vScale!.constant.data;
      const theta = by.constantGradient!.data.map((each, h) => each * constants[h]!);
      gradients.set(names.theta, theta);
    }
    const paths = [
      ["query", by.queryGradient],
      ["key", by.keyGradient],
      ["value", by.valueGradient],
    ] as const;
    const normGradient = paths.map(([kind, gradient]) => {
      const found = linearBackward({
        input: norm.output,
        weight: this.#parameter(names[kind]),
        outputGradient: mergeHeads(gradient, this.#layout(kind)),
      });
      gradients.set(names[kind], found.weightGradient.data);
      return found.inputGradient;
    }).reduce(sum);
    const { inputGradient, gainGradient } = rmsNormBackward({
      input,
      gain: this.#parameter(names.attentionNorm),
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
      residual: residual.data,
      gradients: {
        norm: normGradient.data,
        query: by.queryGradient.data,
        key: by.keyGradient.data,
        value: by.valueGradient.data,
        output: outputGradient.data,
      },
    };
    return { trace, inputGradient };
  }
}

/** v̂ = sg(v) + φ(v) − sg(φ(v)), with `held` for what sg() sees. */
function holdFast(
  value: ReferenceTensor,
  { held, constant }: { readonly held: Float64Array; readonly constant: ReferenceTensor },
): ReferenceTensor {
  const scaled = vScaleForward({ value, constant }).scaledValue.data;
  const start = { data: held, shape: value.shape };
  const before = vScaleForward({ value: start, constant }).scaledValue.data;
  return { data: held.map((v, i) => v + scaled[i]! - before[i]!), shape: value.shape };
}

function checkTokens(
  batch: LlamaBatch,
  { name, vocabulary }: { readonly name: "inputs" | "targets"; readonly vocabulary: number },
): void {
  const tokens = batch[name];
  const wanted = batch.batch * batch.context;
  if (tokens.length !== wanted) {
    throw new TypeError(`llama: ${name} has ${tokens.length} tokens, wanted ${wanted}`);
  }
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (!(Number.isInteger(token) && token >= 0 && token < vocabulary)) {
      throw new RangeError(
        `llama: ${name}[${i}] is ${token}, wanted an integer from 0 to ${vocabulary - 1}`,
      );
    }
  }
}
