/** A pretrained model's family, shape and number of positions. */
import type { LlamaConfig } from "../../reference/llama/config.ts";

/** The supported families, by `model_type` in their config.json. */
export const FAMILIES = ["llama", "mistral", "qwen2", "qwen3"] as const;

/** One of {@linkcode FAMILIES}. The shape's fields hold the parts that a family adds to Llama. */
export type Family = typeof FAMILIES[number];

/** A model's description from its config.json. */
export interface Architecture {
  readonly family: Family;
  /** The shape, which decides everything that is computed. */
  readonly config: LlamaConfig;
  /** The model's longest context, `max_position_embeddings`. */
  readonly positions: number;
  /**
   * The tokens of `bos_token_id` and `eos_token_id`; undefined for none. A tokenizer's own files
   * take precedence.
   */
  readonly beginToken: number | undefined;
  readonly endTokens: readonly number[];
  /** Unknown fields of config.json: they may change the model, and were ignored. */
  readonly unknownFields: readonly string[];
}
