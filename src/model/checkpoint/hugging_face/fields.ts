/**
 * Sorts the fields of config.json into those that the parser reads, those without effect on a loss,
 * and those of unsupported models. Any other field is reported as unknown.
 *
 * Source: the configurations of Hugging Face's transformers, versions 4.57 and 5.24, and of models
 * on its hub.
 */
import { CheckpointError } from "../error.ts";
import { shown } from "../json.ts";

/** Fields that the parser reads itself. */
const READ = [
  "architectures",
  "bos_token_id",
  "eos_token_id",
  "gradsink",
  "head_dim",
  "hidden_act",
  "hidden_size",
  "intermediate_size",
  "layer_types",
  "max_position_embeddings",
  "max_window_layers",
  "model_type",
  "num_attention_heads",
  "num_hidden_layers",
  "num_key_value_heads",
  "original_max_position_embeddings",
  "rms_norm_eps",
  "rope_parameters",
  "rope_scaling",
  "rope_theta",
  "sliding_window",
  "tie_word_embeddings",
  "use_sliding_window",
  "vocab_size",
];

/**
 * Fields for training, sampling, classification and other programs. They do not change the loss of
 * given tokens.
 */
const WITHOUT_EFFECT = [
  // Training and number types.
  ...["attention_dropout", "dtype", "embd_pdrop", "embedding_dropout", "hidden_dropout"],
  ...["initializer_range", "pretraining_tp", "resid_pdrop", "torch_dtype", "use_bfloat16"],
  ...["classifier_dropout", "hidden_dropout_prob", "mlp_dropout", "residual_dropout"],
  // Programs and their outputs.
  ...["attn_implementation", "chunk_size_feed_forward", "is_decoder", "is_llama_config"],
  ...["output_attentions", "output_hidden_states", "output_scores", "return_dict"],
  ...["return_dict_in_generate", "tf_legacy_loss", "torchscript", "transformers.js_config"],
  ...["transformers_version", "unsloth_fixed", "unsloth_version", "use_cache", "use_flash_attn"],
  ...["use_flash_attention", "use_flash_attention_2", "gradient_checkpointing"],
  // Other special tokens.
  ...["decoder_start_token_id", "pad_token_id", "sep_token_id", "tokenizer_class", "unk_token_id"],
  ...["forced_bos_token_id", "forced_eos_token_id", "bos_token", "eos_token", "pad_token"],
  // Sampling.
  ...["bad_words_ids", "begin_suppress_tokens", "diversity_penalty", "do_sample"],
  ...["early_stopping", "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty"],
  ...["length_penalty", "max_length", "max_new_tokens", "min_length", "no_repeat_ngram_size"],
  ...["num_beam_groups", "num_beams", "num_return_sequences", "remove_invalid_values"],
  ...["repetition_penalty", "suppress_tokens", "temperature", "top_k", "top_p", "typical_p"],
  // Classification, and the authors' notes.
  ...["finetuning_task", "id2label", "label2id", "num_labels", "prefix", "problem_type"],
  ...["task_specific_params", "cross_attention_hidden_size", "tie_encoder_decoder"],
];

/**
 * Fields for features that are not supported, each with the values that switch its feature off.
 * Null and `{}` switch off any feature.
 */
const NEUTRAL: Readonly<Record<string, readonly unknown[]>> = {
  // Biases and norms in other places.
  attention_bias: [false],
  attention_out_bias: [false],
  bias: [false],
  lm_head_bias: [false],
  mlp_bias: [false],
  qkv_bias: [false],
  use_bias: [false],
  qk_layernorm: [false],
  qk_norm: [false],
  use_qk_norm: [false],
  norm_type: ["rmsnorm", "rms_norm"],
  normalization_type: ["rmsnorm", "rms_norm", "RMSNorm"],
  post_norm: [false],
  use_post_norm: [false],
  sandwich_norm: [false],
  // Other activation functions.
  hidden_activation: ["silu", "swish"],
  activation_function: ["silu", "swish"],
  mlp_hidden_act: ["silu", "swish"],
  // Other encodings of positions.
  alibi: [false],
  use_alibi: [false],
  partial_rotary_factor: [1],
  rotary_pct: [1],
  rotary_dim: [],
  // If true, RoPE rotates pairs of neighboring elements instead of elements half a head apart.
  rope_interleaved: [false],
  rotary_interleaved: [false],
  position_embedding_type: ["rope", "rotary"],
  no_rope_layers: [[]],
  no_rope_layer_interval: [],
  nope_layer_interval: [],
  use_mrope: [false],
  mrope_section: [[]],
  use_dynamic_ntk: [false],
  use_logn_attn: [false],
  rope_local_base_freq: [],
  rope_ratio: [1],
  // Other forms of attention.
  attention_chunk_size: [],
  attention_sinks: [false, 0],
  attn_temperature_tuning: [false],
  global_attn_every_n_layers: [],
  sliding_window_pattern: [],
  sliding_window_layers: [[]],
  window_size: [],
  kv_lora_rank: [],
  q_lora_rank: [],
  qk_rope_head_dim: [],
  multi_query: [false],
  new_decoder_architecture: [false],
  num_kv_shared_layers: [0],
  parallel_attn: [false],
  use_parallel_residual: [false],
  add_cross_attention: [false],
  is_encoder_decoder: [false],
  pruned_heads: [],
  per_layer_config: [],
  clip_qkv: [],
  // Multipliers.
  attention_multiplier: [],
  attn_logit_softcapping: [],
  dim_model_base: [],
  embedding_multiplier: [1],
  final_logit_softcapping: [],
  logit_scale: [1],
  logits_scaling: [1],
  query_pre_attn_scalar: [],
  residual_multiplier: [1],
  scale_attn_weights: [true],
  scale_depth: [],
  scale_emb: [1],
  mup_attn_multiplier: [],
  mup_embeddings_multiplier: [],
  // Experts, and prediction of several tokens.
  first_k_dense_replace: [],
  moe_intermediate_size: [],
  moe_layer_freq: [],
  n_routed_experts: [0],
  n_shared_experts: [0],
  num_experts: [0],
  num_experts_per_tok: [0],
  num_local_experts: [0],
  // Quantized weights.
  bitnet_config: [],
  compression_config: [],
  quantization: [],
  quantization_config: [],
  quant_method: [],
};

/** Other families' names for the norms' ε. */
const EPSILONS = ["layer_norm_eps", "layer_norm_epsilon", "layernorm_epsilon", "norm_eps"];

/** Reasons to add to the error if the field's name alone does not explain the refusal. */
const REASONS: Readonly<Record<string, string>> = {
  attention_bias: "the family has no biases",
  quantization_config: "quantized weights are not read: give the model in BF16, F16 or F32",
};

/**
 * Refuses a model if a field asks for a feature that is not supported.
 *
 * @param options `path`: for messages; `exempt`: fields that transformers ignores for the family;
 *   `read`: fields that the parser reads elsewhere for this family
 * @returns the unknown and the exempt fields, in the file's order
 * @throws {CheckpointError} that names the first field that asks for such a feature, the field's
 *   value and a supported value
 */
export function checkOtherFields(
  fields: Readonly<Record<string, unknown>>,
  { path, exempt, read }: {
    readonly path: string;
    readonly exempt: readonly string[];
    readonly read: readonly string[];
  },
): string[] {
  const unknown: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (read.includes(name)) continue;
    if (exempt.includes(name)) unknown.push(name);
    else if (EPSILONS.includes(name)) {
      refuseUnlessNeutral(name, { value, neutral: [fields.rms_norm_eps], path });
    } else if (Object.hasOwn(NEUTRAL, name)) {
      refuseUnlessNeutral(name, { value, neutral: NEUTRAL[name]!, path });
    } else if (!isKnown(name)) unknown.push(name);
  }
  return unknown;
}

function refuseUnlessNeutral(
  name: string,
  { value, neutral, path }: {
    readonly value: unknown;
    readonly neutral: readonly unknown[];
    readonly path: string;
  },
): void {
  if (value === null || isEmpty(value)) return;
  if (neutral.some((each) => JSON.stringify(each) === JSON.stringify(value))) return;
  const wanted = neutral.length === 0 ? "null" : JSON.stringify(neutral[0]);
  const reason = Object.hasOwn(REASONS, name) ? `: ${REASONS[name]}` : "";
  throw new CheckpointError(`${path}: ${name} is ${shown(value)}, wanted ${wanted}${reason}`);
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.keys(value).length === 0;
}

function isKnown(name: string): boolean {
  return READ.includes(name) || WITHOUT_EFFECT.includes(name) || name.startsWith("_");
}
