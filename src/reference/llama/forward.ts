/** The Llama-like model's forward pass in float64. It keeps what the backward pass needs. */
import { attentionForward, type ReferenceVScale } from "../attention.ts";
import {
  attentionGates,
  checkConfig,
  hasSinkLogit,
  type LlamaConfig,
  vScaleConstant,
} from "./config.ts";
import { EMBEDDING, FINAL_NORM, HEAD, layerParameterNames, listParameters } from "./parameters.ts";
import {
  addBias,
  attentionGateForward,
  constantVector,
  crossEntropy,
  embed,
  type HeadLayout,
  linearForward,
  mergeHeads,
  splitHeads,
  sum,
  swigluForward,
} from "./parts.ts";
import { rmsNormForward } from "../rms_norm.ts";
import { elementCount, type ReferenceTensor } from "../tensor.ts";
import { vScaleForward } from "../v_scale.ts";

/** Sequences of input tokens, and the token that follows each input token, its target. */
export interface LlamaBatch {
  /** B, the number of sequences. */
  readonly batch: number;
  /** T, the number of tokens in a sequence. */
  readonly context: number;
  /** [B, T] */
  readonly inputs: ArrayLike<number>;
  /** [B, T] */
  readonly targets: ArrayLike<number>;
}

/** Arguments of {@linkcode llamaLoss} and {@linkcode llamaGradients}. */
export interface LlamaOptions {
  /** The model's shape. */
  readonly config: LlamaConfig;
  /** Every parameter's elements, by its name. */
  readonly parameters: ReadonlyMap<string, Float64Array>;
  readonly batch: LlamaBatch;
}

export interface AttentionMemory {
  readonly norm: Normed;
  /** Queries and keys before RoPE, and before their RMSNorms if any: [B T H, D] each. */
  readonly plain: { readonly query: ReferenceTensor; readonly key: ReferenceTensor };
  /**
   * The outputs of the RMSNorms over each query's and each key's D elements; undefined if the model
   * has no such RMSNorms.
   */
  readonly headNorms: { readonly query: Normed; readonly key: Normed } | undefined;
  readonly query: ReferenceTensor;
  readonly key: ReferenceTensor;
  readonly value: ReferenceTensor;
  readonly vScale: ReferenceVScale | undefined;
  /**
   * Each query head's sink logit, an extra logit, without a value, in the head's softmax: [Hq].
   * Undefined if the model has no sink logits.
   */
  readonly sinkLogit: ReferenceTensor | undefined;
  readonly output: ReferenceTensor;
  readonly logSumExp: ReferenceTensor;
  readonly merged: ReferenceTensor;
  readonly gate: GateMemory | undefined;
  readonly residual: ReferenceTensor;
}

export interface GateMemory {
  /** `logits`, and `opening`, which is σ of each logit: [B T, G] each, for G gates per token */
  readonly logits: ReferenceTensor;
  readonly opening: ReferenceTensor;
  /** [B T, Hq D] */
  readonly output: ReferenceTensor;
}

export interface LayerMemory {
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

/** An RMSNorm's output, and 1/√(mean(x²) + ε) of each input row x. */
export interface Normed {
  readonly output: ReferenceTensor;
  readonly inverseRms: ReferenceTensor;
}

export class LlamaForward {
  readonly config: LlamaConfig;
  readonly batch: LlamaBatch;
  readonly #parameters = new Map<string, ReferenceTensor>();

  constructor({ config, parameters, batch }: LlamaOptions) {
    checkConfig(config);
    this.config = config;
    this.batch = batch;
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

  parameter(name: string): ReferenceTensor {
    return this.#parameters.get(name)!;
  }

  #norm(input: ReferenceTensor, gain: string): Normed {
    const epsilon = this.config.normEpsilon;
    return rmsNormForward({ input, gain: this.parameter(gain), epsilon });
  }

  layout(kind: "query" | "key" | "value"): HeadLayout {
    const { queryHeads, keyValueHeads, headDim, ropeBase, ropeScaling } = this.config;
    const { batch, context } = this.batch;
    return {
      batch,
      context,
      heads: kind === "query" ? queryHeads : keyValueHeads,
      headDim,
      rope: kind === "value" ? undefined : { ropeBase, ropeScaling },
    };
  }

  /** Splits rows [B T, H D] into rows of single heads, [B T H, D]. */
  #perHead({ data }: ReferenceTensor): ReferenceTensor {
    const { headDim } = this.config;
    return { data, shape: [data.length / headDim, headDim] };
  }

  /** V-scale of one layer's values. */
  #vScale(layer: number): ReferenceVScale | undefined {
    const { vScale, keyValueHeads } = this.config;
    if (vScale === "none") return undefined;
    const constant = constantVector(keyValueHeads, vScaleConstant(this.config));
    if (vScale === "learned") {
      const theta = this.parameter(layerParameterNames(layer).theta);
      theta.data.forEach((value, head) => constant.data[head]! *= Math.exp(value));
    }
    return { constant, mode: vScale === "backward-only" ? "backward-only" : "full" };
  }

  /** The sink logits of one layer's query heads: [Hq]; undefined if the model has none. */
  #sinkLogit(layer: number): ReferenceTensor | undefined {
    if (!hasSinkLogit(this.config)) return undefined;
    return this.config.sinkLogit === "learned"
      ? this.parameter(layerParameterNames(layer).sinks)
      : constantVector(this.config.queryHeads, 0);
  }

  #attentionForward(
    layer: number,
    { input, held }: LayerInput,
  ): AttentionMemory {
    const names = layerParameterNames(layer);
    const norm = this.#norm(input, names.attentionNorm);
    const project = (kind: "query" | "key" | "value") => {
      const weight = this.parameter(names[kind]);
      const rows = linearForward({ input: norm.output, weight });
      return this.config.projectionBiases
        ? addBias(rows, this.parameter(names[`${kind}Bias`]))
        : rows;
    };
    const plain = { query: this.#perHead(project("query")), key: this.#perHead(project("key")) };
    const headNorms = this.config.queryKeyNorm
      ? {
        query: this.#norm(plain.query, names.queryNorm),
        key: this.#norm(plain.key, names.keyNorm),
      }
      : undefined;
    const query = splitHeads(headNorms?.query.output ?? plain.query, this.layout("query"));
    const key = splitHeads(headNorms?.key.output ?? plain.key, this.layout("key"));
    const value = splitHeads(project("value"), this.layout("value"));
    const vScale = this.#vScale(layer);
    const used = held === undefined || vScale === undefined
      ? { value, vScale }
      : { value: holdFast(value, { held, constant: vScale.constant }) };
    const sinkLogit = this.#sinkLogit(layer);
    const { output, logSumExp } = attentionForward({ query, key, ...used, sinkLogit });
    // RoPE has not rotated the values, so `mergeHeads` must not rotate the heads' outputs back.
    const merged = mergeHeads(output, { ...this.layout("query"), rope: undefined });
    const gate = this.#gateForward(names.attentionGate, { norm: norm.output, merged });
    const weight = this.parameter(names.attentionOutput);
    const mixed = linearForward({ input: gate?.output ?? merged, weight });
    const residual = this.config.attentionOutputBias
      ? addBias(mixed, this.parameter(names.attentionOutputBias))
      : mixed;
    return {
      norm,
      plain,
      headNorms,
      query,
      key,
      value,
      vScale,
      sinkLogit,
      output,
      logSumExp,
      merged,
      gate,
      residual,
    };
  }

  #gateForward(name: string, { norm, merged }: {
    readonly norm: ReferenceTensor;
    readonly merged: ReferenceTensor;
  }): GateMemory | undefined {
    if (attentionGates(this.config) === 0) return undefined;
    const logits = linearForward({ input: norm, weight: this.parameter(name) });
    return { logits, ...attentionGateForward({ input: merged, logits }) };
  }

  #layerForward(
    layer: number,
    { input, held }: LayerInput,
  ): LayerMemory {
    const names = layerParameterNames(layer);
    const attention = this.config.layersWithoutAttention.includes(layer)
      ? undefined
      : this.#attentionForward(layer, { input, held });
    const half = attention === undefined ? input : sum(input, attention.residual);
    const norm = this.#norm(half, names.mlpNorm);
    const gate = linearForward({ input: norm.output, weight: this.parameter(names.gate) });
    const up = linearForward({ input: norm.output, weight: this.parameter(names.up) });
    const hidden = swigluForward({ gate, up });
    const mlpResidual = linearForward({ input: hidden, weight: this.parameter(names.down) });
    const output = sum(half, mlpResidual);
    return { input, attention, half, norm, gate, up, hidden, mlpResidual, output };
  }

  forward(held: readonly (Float64Array | undefined)[] = []) {
    const { inputs, targets } = this.batch;
    const layers: LayerMemory[] = [];
    let state = embed(this.parameter(EMBEDDING), inputs);
    for (let layer = 0; layer < this.config.layers; layer++) {
      layers.push(this.#layerForward(layer, { input: state, held: held[layer] }));
      state = layers[layer]!.output;
    }
    const norm = this.#norm(state, FINAL_NORM);
    const logits = linearForward({ input: norm.output, weight: this.parameter(this.head) });
    return { layers, state, norm, logits, ...crossEntropy(logits, targets) };
  }

  /** The name of the head's matrix. */
  get head(): string {
    return this.config.tiedHead ? EMBEDDING : HEAD;
  }
}

/**
 * Returns v₀ + f(v) − f(v₀), where f is V-scale, v is `value` and v₀ is `held`. At v = v₀ this sum
 * equals v₀, but its derivative with respect to v equals f's. So finite differences of the loss
 * give the gradient of backward-only V-scale.
 */
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
