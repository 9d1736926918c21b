/** A pretrained model's family, shape and number of positions. */
import type { LlamaConfig } from "../../reference/llama/config.ts";

/** The families that are read, by `model_type` in their config.json. */
export const FAMILIES = ["llama", "mistral", "qwen2", "qwen3"] as const;

/** One of {@linkcode FAMILIES}. What a family has beyond Llama stands in the shape's fields. */
export type Family = typeof FAMILIES[number];

/** A model's description, as its config.json gives it. */
export interface Architecture {
  readonly family: Family;
  /** The shape: everything that decides what is computed. */
  readonly config: LlamaConfig;
  /** The longest context that the model was made for, `max_position_embeddings`. */
  readonly positions: number;
  /**
   * The tokens that `bos_token_id` and `eos_token_id` name; undefined for none. A tokenizer's own
   * files go before them.
   */
  readonly beginToken: number | undefined;
  readonly endTokens: readonly number[];
  /** The fields of config.json that are not known: they may change the model, and were not read. */
  readonly unknownFields: readonly string[];
}
