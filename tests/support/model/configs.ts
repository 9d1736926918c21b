/**
 * The config.json of tiny models of each family, with the fields that transformers 4.57 and 5
 * write.
 */

export type Fields = Readonly<Record<string, unknown>>;

const shape = {
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  hidden_act: "silu",
  max_position_embeddings: 128,
  initializer_range: 0.02,
  rms_norm_eps: 1e-6,
  attention_dropout: 0,
  use_cache: true,
};

const llama = {
  ...shape,
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  attention_bias: false,
  mlp_bias: false,
  head_dim: 8,
  bos_token_id: 1,
  eos_token_id: [2, 3],
  pretraining_tp: 1,
  tie_word_embeddings: true,
};

const llama3 = {
  rope_type: "llama3",
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 16,
};

const mistral = {
  ...shape,
  architectures: ["MistralForCausalLM"],
  model_type: "mistral",
  head_dim: null,
  sliding_window: null,
  tie_word_embeddings: false,
};

const qwen2 = {
  ...shape,
  architectures: ["Qwen2ForCausalLM"],
  model_type: "qwen2",
  max_window_layers: 2,
  sliding_window: 32,
  use_sliding_window: false,
  tie_word_embeddings: true,
};

const qwen3 = {
  ...shape,
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  attention_bias: false,
  head_dim: 16,
  max_window_layers: 2,
  sliding_window: null,
  use_sliding_window: false,
  tie_word_embeddings: true,
  layer_types: ["full_attention", "full_attention"],
};

const old = { rope_theta: 1e6, rope_scaling: null, torch_dtype: "bfloat16" };
const current = {
  rope_parameters: { rope_type: "default", rope_theta: 1e6 },
  dtype: "bfloat16",
  transformers_version: "5.24.0",
};

/** Configurations by family and version. */
export const CONFIGS = {
  llamaOf4: { ...llama, rope_theta: 500_000, rope_scaling: llama3, torch_dtype: "bfloat16" },
  llamaOf5: { ...llama, rope_parameters: { ...llama3, rope_theta: 500_000 }, dtype: "bfloat16" },
  mistralOf4: { ...mistral, ...old },
  qwen2Of4: { ...qwen2, ...old },
  qwen2Of5: { ...qwen2, ...current },
  qwen3Of4: { ...qwen3, ...old },
  qwen3Of5: { ...qwen3, ...current },
} as const satisfies Record<string, Fields>;
