/** A model's configuration as Hugging Face's config.json for Llama, and back. */
import {
  checkConfig,
  INITIAL_DEVIATION,
  type LlamaConfig,
  vScaleConstant,
  type VScaleVariant,
} from "../../reference/llama/config.ts";
import { CheckpointError } from "./error.ts";

/**
 * The fields of config.json. What Llama does not have, V-scale and layers without attention, stands under
 * `gradsink`; a program that does not know it reads a plain Llama.
 *
 * @param config the model's shape
 * @param context T that it was trained with
 */
export function huggingFaceConfig(config: LlamaConfig, context: number): Record<string, unknown> {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: config.vocabulary,
    hidden_size: config.modelDim,
    intermediate_size: config.feedForwardDim,
    num_hidden_layers: config.layers,
    num_attention_heads: config.queryHeads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: config.headDim,
    hidden_act: "silu",
    max_position_embeddings: context,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeBase,
    rope_scaling: null,
    tie_word_embeddings: config.tiedHead,
    attention_bias: false,
    mlp_bias: false,
    attention_dropout: 0,
    initializer_range: INITIAL_DEVIATION,
    torch_dtype: "float32",
    gradsink: {
      v_scale: config.vScale,
      v_scale_constant: config.vScale === "none" ? null : vScaleConstant(config),
      layers_without_attention: config.layersWithoutAttention,
    },
  };
}

/** What this project's model does not compute. */
const FIXED = {
  model_type: "llama",
  hidden_act: "silu",
  rope_scaling: null,
  attention_bias: false,
  mlp_bias: false,
} as const;

/**
 * Reads config.json.
 *
 * @param text of the file
 * @param path for messages
 * @returns the model's shape and the context it was trained with
 * @throws {CheckpointError} if it is not JSON, or describes no model that this project computes
 */
export function parseHuggingFaceConfig(
  text: string,
  path: string,
): { config: LlamaConfig; context: number } {
  const fields = objectOf(parseJson(text, path), path);
  const { gradsink = {} } = fields;
  const own = objectOf(gradsink, `${path}: gradsink`);
  for (const [name, wanted] of Object.entries(FIXED)) {
    const given = fields[name] ?? null;
    if (given !== wanted && !(given === null && wanted === false)) {
      throw new CheckpointError(
        `${path}: ${name} is ${shown(given)}, wanted ${JSON.stringify(wanted)}`,
      );
    }
  }
  const { hidden_size: modelDim, num_attention_heads: queryHeads } = fields;
  const config = {
    vocabulary: fields.vocab_size,
    layers: fields.num_hidden_layers,
    modelDim,
    queryHeads,
    keyValueHeads: fields.num_key_value_heads ?? queryHeads,
    headDim: fields.head_dim ?? Number(modelDim) / Number(queryHeads),
    feedForwardDim: fields.intermediate_size,
    normEpsilon: fields.rms_norm_eps,
    ropeBase: fields.rope_theta ?? 10_000,
    tiedHead: fields.tie_word_embeddings ?? false,
    vScale: (own.v_scale ?? "none") as VScaleVariant,
    layersWithoutAttention: own.layers_without_attention ?? [],
  } as LlamaConfig;
  try {
    checkConfig(config);
  } catch (error) {
    throw new CheckpointError(`${path}: ${(error as Error).message}`);
  }
  const context = fields.max_position_embeddings;
  if (!Number.isSafeInteger(context) || (context as number) < 1) {
    throw new CheckpointError(
      `${path}: max_position_embeddings is ${shown(context)}, wanted an integer of at least 1`,
    );
  }
  return { config, context: context as number };
}

/**
 * Parses JSON from a file.
 *
 * @param text of the file
 * @param path for the message
 * @throws {CheckpointError} if it is none
 */
export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CheckpointError(`${path}: is not JSON`);
  }
}

/**
 * Takes an object from a file.
 *
 * @param value of any kind
 * @param path for the message
 * @returns its fields; those that it does not have itself are undefined
 * @throws {CheckpointError} if it is no object
 */
export function objectOf(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CheckpointError(`${path}: is ${shown(value)}, wanted an object`);
  }
  // Without a prototype: a field such as "constructor" is there only if the file has it.
  return Object.assign(Object.create(null), value);
}

/** A value from a file, for a message. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
