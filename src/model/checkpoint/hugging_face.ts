/**
 * Writes a model's configuration as Hugging Face's config.json for Llama, and reads the config.json
 * of every supported family.
 */
import {
  attentionGates,
  checkConfig,
  hasSinkLogit,
  INITIAL_DEVIATION,
  isPlainLlama,
  type LlamaConfig,
  refusePretrainedParts,
  vScaleConstant,
  type VScaleVariant,
} from "../../reference/llama/config.ts";
import { CheckpointError } from "./error.ts";
import { type Architecture, FAMILIES, type Family } from "../pretrained/architecture.ts";
import { checkOtherFields } from "./hugging_face/fields.ts";
import { readRope, type RopeFields } from "./hugging_face/rope.ts";
import { refuseSlidingWindow } from "./hugging_face/sliding_window.ts";
import { objectOf, parseJson, shown } from "./json.ts";

/**
 * The type and class that config.json names for a model with parts that Llama lacks. Other programs
 * refuse them as unknown. If the file named Llama, those programs would ignore the parts.
 */
const OWN = { type: "gradsink_llama", class: "GradsinkLlamaForCausalLM" };

/**
 * The fields of config.json. The parts that Llama lacks are stored under `gradsink`: V-scale, sink
 * logits, attention's gates, and layers without attention.
 *
 * @param config the model's shape
 * @param context the context length T of its training
 * @throws {RangeError} for a model with parts that only pretrained models have
 */
export function huggingFaceConfig(config: LlamaConfig, context: number): Record<string, unknown> {
  refusePretrainedParts(config, { operation: "huggingFaceConfig" });
  const isLlama = isPlainLlama(config);
  return {
    architectures: [isLlama ? CLASSES.llama : OWN.class],
    model_type: isLlama ? "llama" : OWN.type,
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
      ...attentionGates(config) === 0 ? {} : { attention_gate: config.attentionGate },
      ...hasSinkLogit(config) ? { sink_logit: config.sinkLogit } : {},
    },
  };
}

/** Each family's model class in transformers. */
const CLASSES: Readonly<Record<Family, string>> = {
  llama: "LlamaForCausalLM",
  mistral: "MistralForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};

/**
 * Each family's defaults for fields that the file lacks. If a default is undefined, other fields
 * determine the value.
 */
const DEFAULTS: Readonly<Record<Family, Readonly<Record<string, number | undefined>>>> = {
  llama: { num_key_value_heads: undefined, head_dim: undefined },
  mistral: { num_key_value_heads: 8, head_dim: undefined },
  qwen2: { num_key_value_heads: 32, head_dim: undefined },
  qwen3: { num_key_value_heads: 32, head_dim: 128 },
};

/**
 * The families in which `attention_bias` adds biases to the projections to query, key, value and
 * attention's output.
 */
const BIAS_FAMILIES: readonly Family[] = ["llama", "qwen3"];

/** The name in config.json of each field of a `LlamaConfig`, for error messages. */
const FIELDS: Readonly<Record<string, string>> = {
  vocabulary: "vocab_size",
  layers: "num_hidden_layers",
  modelDim: "hidden_size",
  queryHeads: "num_attention_heads",
  keyValueHeads: "num_key_value_heads",
  headDim: "head_dim",
  feedForwardDim: "intermediate_size",
  normEpsilon: "rms_norm_eps",
  ropeBase: "rope_theta",
  tiedHead: "tie_word_embeddings",
  projectionBiases: "attention_bias",
  vScale: "gradsink.v_scale",
  layersWithoutAttention: "gradsink.layers_without_attention",
  attentionGate: "gradsink.attention_gate",
  sinkLogit: "gradsink.sink_logit",
  "ropeScaling.factor": "RoPE's factor",
  "ropeScaling.lowFrequencyFactor": "RoPE's low_freq_factor",
  "ropeScaling.highFrequencyFactor": "RoPE's high_freq_factor",
  "ropeScaling.originalPositions": "RoPE's original_max_position_embeddings",
};

/**
 * Reads config.json, as transformers 4 or 5 write it. Every field that is known to change a model
 * is either part of the result or refused by name.
 *
 * @param options `context`: the longest context that will be used; by default the model's whole
 *   context
 * @throws {CheckpointError} if it is not JSON or describes an unsupported model
 */
export function parseHuggingFaceConfig(
  text: string,
  path: string,
  { context }: { readonly context?: number | undefined } = {},
): Architecture {
  const fields = objectOf(parseJson(text, path), path);
  const family = readFamily(fields, path);
  const rope = readRope(fields, path);
  const config = shapeOf(fields, { family, rope, path });
  const positions = fields.max_position_embeddings;
  if (!Number.isSafeInteger(positions) || (positions as number) < 1) {
    throw new CheckpointError(
      `${path}: max_position_embeddings is ${shown(positions)}, wanted an integer of at least 1`,
    );
  }
  refuseSlidingWindow(fields, {
    family,
    layers: config.layers,
    context: Math.min(context ?? Infinity, positions as number),
    path,
  });
  const unknownFields = [
    ...checkOtherFields(fields, {
      path,
      // Qwen2 always has biases, whatever this field says.
      exempt: family === "qwen2" ? ["attention_bias"] : [],
      read: BIAS_FAMILIES.includes(family) ? ["attention_bias"] : [],
    }),
    ...rope.unknownFields,
  ];
  return {
    family,
    config,
    positions: positions as number,
    beginToken: tokensOf("bos_token_id", fields, path)[0],
    endTokens: tokensOf("eos_token_id", fields, path),
    unknownFields,
  };
}

function readFamily(fields: Readonly<Record<string, unknown>>, path: string): Family {
  const { model_type: type, architectures, hidden_act: activation } = fields;
  const family = type === OWN.type ? "llama" : FAMILIES.find((each) => each === type);
  if (family === undefined) {
    throw new CheckpointError(
      `${path}: model_type is ${shown(type)}, wanted one of ${FAMILIES.join(", ")}: ` +
        nextStep(fields.text_config),
    );
  }
  const wanted = type === OWN.type ? OWN.class : CLASSES[family];
  const classes = architectures ?? [wanted];
  if (
    !Array.isArray(classes) ||
    !classes.every((each) => String(each).toLowerCase() === wanted.toLowerCase())
  ) {
    throw new CheckpointError(
      `${path}: architectures is ${shown(architectures)}, wanted ["${wanted}"]`,
    );
  }
  // Two names for the same function.
  if (activation !== "silu" && activation !== "swish") {
    throw new CheckpointError(`${path}: hidden_act is ${shown(activation)}, wanted "silu"`);
  }
  return family;
}

/** Says what to measure instead of a model of an unknown family. */
function nextStep(textConfig: unknown): string {
  const type = typeof textConfig === "object" && textConfig !== null && "model_type" in textConfig
    ? textConfig.model_type
    : undefined;
  const family = FAMILIES.find((each) => each === type);
  return family === undefined
    ? "give a model of one of these families"
    : `its language model, in text_config, is a ${family}: save that alone with transformers, as ` +
      `${CLASSES[family]} in a folder of its own, with the tokenizer`;
}

function shapeOf(
  fields: Readonly<Record<string, unknown>>,
  { family, rope, path }: {
    readonly family: Family;
    readonly rope: RopeFields;
    readonly path: string;
  },
): LlamaConfig {
  const { hidden_size: modelDim, num_attention_heads: queryHeads } = fields;
  const ofFamily = (name: "num_key_value_heads" | "head_dim") =>
    (fields[name] === undefined ? DEFAULTS[family][name] : fields[name]) ?? undefined;
  const biases = (BIAS_FAMILIES.includes(family) ? fields.attention_bias : undefined) ?? false;
  const own = objectOf(fields.gradsink ?? {}, `${path}: gradsink`);
  const {
    v_scale: vScale,
    v_scale_constant: constant,
    layers_without_attention,
    attention_gate: attentionGate,
    sink_logit: sinkLogit,
    ...others
  } = own;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new CheckpointError(`${path}: gradsink.${unknown} is unknown: a later version wrote it`);
  }
  const config = {
    vocabulary: fields.vocab_size,
    layers: fields.num_hidden_layers,
    modelDim,
    queryHeads,
    keyValueHeads: ofFamily("num_key_value_heads") ?? queryHeads,
    headDim: ofFamily("head_dim") ?? Number(modelDim) / Number(queryHeads),
    feedForwardDim: fields.intermediate_size,
    normEpsilon: fields.rms_norm_eps,
    ropeBase: rope.ropeBase,
    tiedHead: fields.tie_word_embeddings ?? false,
    vScale: (vScale ?? "none") as VScaleVariant,
    layersWithoutAttention: layers_without_attention ?? [],
    ...attentionGate === undefined ? {} : { attentionGate },
    ...sinkLogit === undefined ? {} : { sinkLogit },
    ...rope.ropeScaling === undefined ? {} : { ropeScaling: rope.ropeScaling },
    ...biases === false ? {} : { projectionBiases: biases, attentionOutputBias: biases },
    ...family === "qwen2" ? { projectionBiases: true } : {},
    ...family === "qwen3" ? { queryKeyNorm: true } : {},
  } as LlamaConfig;
  try {
    checkConfig(config);
  } catch (error) {
    const message = (error as Error).message
      .replace(/^LlamaConfig: ([\w.]+)/, (_, name) => FIELDS[name] ?? name)
      .replace(" is undefined, ", " is missing, ");
    throw new CheckpointError(`${path}: ${message}`);
  }
  const wanted = config.vScale === "none" ? null : vScaleConstant(config);
  if ((constant ?? wanted) !== wanted) {
    throw new CheckpointError(
      `${path}: gradsink.v_scale_constant is ${shown(constant)}, wanted ${wanted}`,
    );
  }
  return config;
}

function tokensOf(
  name: "bos_token_id" | "eos_token_id",
  fields: Readonly<Record<string, unknown>>,
  path: string,
): number[] {
  const given = fields[name] ?? [];
  const tokens = Array.isArray(given) ? given : [given];
  if (!tokens.every((each) => Number.isSafeInteger(each))) {
    throw new CheckpointError(`${path}: ${name} is ${shown(given)}, wanted a token's number`);
  }
  // Some converters write −1 for no token.
  return tokens.filter((each) => each >= 0);
}
