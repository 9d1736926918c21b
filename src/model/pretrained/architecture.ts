/** A pretrained model's family, shape and number of positions. */
import type { LlamaConfig } from "../../reference/llama/config.ts";

/** The supported families, by `model_type` in their config.json. */
export const FAMILIES = ["llama", "mistral", "qwen2", "qwen3"] as const;

/** One of {@linkcode FAMILIES}. */
export type Family = typeof FAMILIES[number];

/** A model's description from its config.json. */
export interface Architecture {
  readonly family: Family;
  /** The shape, which decides everything that is computed. */
  readonly config: LlamaConfig;
  /** The model's longest context, `max_position_embeddings`. */
  readonly positions: number;
  /**
   * The tokens of `bos_token_id` and `eos_token_id`, if config.json names them. A tokenizer's own
   * files take precedence.
   */
  readonly beginToken: number | undefined;
  readonly endTokens: readonly number[];
  /** The unknown fields of config.json. They were ignored, but may change the model. */
  readonly unknownFields: readonly string[];
}
