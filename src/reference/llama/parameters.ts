/**
 * A model's parameters: names, shapes and initial values. The names are those of Hugging Face's
 * Llama. Learned sinks are named as in Hugging Face's gpt-oss; V-scale's θ and the matrix of
 * attention's gates have names of this project.
 */
import { randomNormal } from "../../random.ts";
import { attentionGates, checkConfig, INITIAL_DEVIATION, type LlamaConfig } from "./config.ts";

/** One tensor that training updates. */
export interface Parameter {
  /** The name, for example `model.layers.0.mlp.up_proj.weight`. */
  readonly name: string;
  /** The shape. A matrix is [outputs, inputs]: it maps a row x to x Wᵀ. */
  readonly shape: readonly number[];
  /**
   * The initial values: drawn from N(0, σ²) with σ = {@linkcode INITIAL_DEVIATION}, or all 1, or
   * all 0.
   */
  readonly initial: "normal" | 1 | 0;
  /** Whether weight decay applies: to matrices, but not to gains, biases, sinks or θ. */
  readonly decayed: boolean;
}

/** The names of one layer's parameters. */
export interface LayerParameterNames {
  /** [d] */
  readonly attentionNorm: string;
  /** [Hq D, d] */
  readonly query: string;
  /** [Hkv D, d] */
  readonly key: string;
  /** [Hkv D, d] */
  readonly value: string;
  /** [Hq D], with projection biases */
  readonly queryBias: string;
  /** [Hkv D], with projection biases */
  readonly keyBias: string;
  /** [Hkv D], with projection biases */
  readonly valueBias: string;
  /** The gain of the RMSNorm over each head's query: [D] */
  readonly queryNorm: string;
  /** The gain of the RMSNorm over each head's key: [D] */
  readonly keyNorm: string;
  /** [d, Hq D] */
  readonly attentionOutput: string;
  /** The bias that some models add to attention's output: [d] */
  readonly attentionOutputBias: string;
  /** The learned sinks: one logit s for each query head, [Hq] */
  readonly sinks: string;
  /**
   * W_G of gated attention: [Hq, d] with a gate for each head, [Hq D, d] with one for each element
   */
  readonly attentionGate: string;
  /** θ of learned V-scale, whose C is exp(θ) times `vScaleConstant()`: [Hkv] */
  readonly theta: string;
  /** [d] */
  readonly mlpNorm: string;
  /** [f, d] */
  readonly gate: string;
  /** [f, d] */
  readonly up: string;
  /** [d, f] */
  readonly down: string;
}

/** The name of the embedding's matrix, [V, d]. A tied head computes the logits with it too. */
export const EMBEDDING = "model.embed_tokens.weight";

/** The name of the gain of the last RMSNorm, whose output the head reads: [d]. */
export const FINAL_NORM = "model.norm.weight";

/**
 * The name of the matrix of the model's head, which computes the logits: [V, d]. A model with a
 * tied head has no such matrix.
 */
export const HEAD = "lm_head.weight";

/**
 * The names of all parameters that a layer can have; no model has all of them.
 *
 * @param layer from 0 on
 */
export function layerParameterNames(layer: number): LayerParameterNames {
  const prefix = `model.layers.${layer}`;
  return {
    attentionNorm: `${prefix}.input_layernorm.weight`,
    query: `${prefix}.self_attn.q_proj.weight`,
    key: `${prefix}.self_attn.k_proj.weight`,
    value: `${prefix}.self_attn.v_proj.weight`,
    queryBias: `${prefix}.self_attn.q_proj.bias`,
    keyBias: `${prefix}.self_attn.k_proj.bias`,
    valueBias: `${prefix}.self_attn.v_proj.bias`,
    queryNorm: `${prefix}.self_attn.q_norm.weight`,
    keyNorm: `${prefix}.self_attn.k_norm.weight`,
    attentionOutput: `${prefix}.self_attn.o_proj.weight`,
    attentionOutputBias: `${prefix}.self_attn.o_proj.bias`,
    sinks: `${prefix}.self_attn.sinks`,
    attentionGate: `${prefix}.self_attn.gate_proj.weight`,
    theta: `${prefix}.self_attn.v_scale_theta`,
    mlpNorm: `${prefix}.post_attention_layernorm.weight`,
    gate: `${prefix}.mlp.gate_proj.weight`,
    up: `${prefix}.mlp.up_proj.weight`,
    down: `${prefix}.mlp.down_proj.weight`,
  };
}

/**
 * Lists all parameters of a model, in the order of the forward pass. A layer without attention has
 * none of attention's parameters.
 *
 * @param config the model's shape
 * @throws {RangeError} if the configuration is invalid
 *
 * @example
 * ```ts
 * import { listParameters } from "./parameters.ts";
 * import { PLAIN_LLAMA } from "./config.ts";
 *
 * const parameters = listParameters({
 *   vocabulary: 64,
 *   layers: 2,
 *   modelDim: 64,
 *   queryHeads: 2,
 *   keyValueHeads: 1,
 *   headDim: 32,
 *   feedForwardDim: 176,
 *   ...PLAIN_LLAMA,
 *   vScale: "learned",
 *   layersWithoutAttention: [0],
 * });
 * console.log(parameters.map(({ name }) => name));
 * ```
 */
export function listParameters(config: LlamaConfig): Parameter[] {
  checkConfig(config);
  const { vocabulary, layers, modelDim, queryHeads, keyValueHeads, headDim, feedForwardDim } =
    config;
  const parameters = [matrix(EMBEDDING, vocabulary, modelDim)];
  for (let layer = 0; layer < layers; layer++) {
    const names = layerParameterNames(layer);
    if (!config.layersWithoutAttention.includes(layer)) {
      parameters.push(
        vector(names.attentionNorm, modelDim, 1),
        matrix(names.query, queryHeads * headDim, modelDim),
        matrix(names.key, keyValueHeads * headDim, modelDim),
        matrix(names.value, keyValueHeads * headDim, modelDim),
      );
      if (config.projectionBiases) {
        parameters.push(
          vector(names.queryBias, queryHeads * headDim, 0),
          vector(names.keyBias, keyValueHeads * headDim, 0),
          vector(names.valueBias, keyValueHeads * headDim, 0),
        );
      }
      if (config.queryKeyNorm) {
        parameters.push(vector(names.queryNorm, headDim, 1), vector(names.keyNorm, headDim, 1));
      }
      if (config.vScale === "learned") parameters.push(vector(names.theta, keyValueHeads, 0));
      if (config.sinkLogit === "learned") parameters.push(vector(names.sinks, queryHeads, 0));
      const gates = attentionGates(config);
      if (gates > 0) parameters.push(matrix(names.attentionGate, gates, modelDim));
      parameters.push(matrix(names.attentionOutput, modelDim, queryHeads * headDim));
      if (config.attentionOutputBias) {
        parameters.push(vector(names.attentionOutputBias, modelDim, 0));
      }
    }
    parameters.push(
      vector(names.mlpNorm, modelDim, 1),
      matrix(names.gate, feedForwardDim, modelDim),
      matrix(names.up, feedForwardDim, modelDim),
      matrix(names.down, modelDim, feedForwardDim),
    );
  }
  parameters.push(vector(FINAL_NORM, modelDim, 1));
  if (!config.tiedHead) parameters.push(matrix(HEAD, vocabulary, modelDim));
  return parameters;
}

function matrix(name: string, rows: number, columns: number): Parameter {
  return { name, shape: [rows, columns], initial: "normal", decayed: true };
}

function vector(name: string, length: number, initial: 0 | 1): Parameter {
  return { name, shape: [length], initial, decayed: false };
}

/** The number of a parameter's elements. */
export function parameterLength({ shape }: Pick<Parameter, "shape">): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/**
 * Returns a parameter's initial values. Random values depend on the seed, the parameter's name and
 * its length alone. So models that differ only in V-scale, sinks, gates or the number of layers
 * start from equal values in all matrices that they share.
 *
 * @param parameter one of {@linkcode listParameters}
 * @param options seed: any safe integer
 * @throws {RangeError} if the seed is not a safe integer
 */
export function initialValues(
  parameter: Parameter,
  { seed }: { readonly seed: number },
): Float32Array<ArrayBuffer> {
  const { name, initial } = parameter;
  const length = parameterLength(parameter);
  if (!Number.isSafeInteger(seed)) {
    throw new RangeError(`initialValues: seed is ${seed}, wanted a safe integer`);
  }
  if (initial !== "normal") return new Float32Array(length).fill(initial);
  return randomNormal({
    seed: seedOf(seed, name),
    length,
    standardDeviation: INITIAL_DEVIATION,
  });
}

/**
 * Maps the name of each of a model's parameters to the parameter's initial values.
 *
 * @param config the model's shape
 * @param options seed: any safe integer
 * @throws {RangeError} if the configuration is invalid, or the seed is not a safe integer
 */
export function initialParameters(
  config: LlamaConfig,
  options: { readonly seed: number },
): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(
    listParameters(config).map((parameter) => [parameter.name, initialValues(parameter, options)]),
  );
}

/**
 * Returns a seed of 53 bits that depends on every bit of the given seed and the name. It joins two
 * FNV-1a hashes that begin with different values.
 */
function seedOf(seed: number, name: string): number {
  const bytes = new TextEncoder().encode(`${seed} ${name}`);
  const [high, low] = [0x811c9dc5, 0x5bd1e995].map((start) =>
    bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), start) >>> 0
  );
  return (high! >>> 11) * 2 ** 32 + low!;
}
