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
   * The tokens that config.json names in `bos_token_id` and `eos_token_id`, if any. If the
   * tokenizer's own files name other tokens, those files take precedence.
   */
  readonly beginToken: number | undefined;
  readonly endTokens: readonly number[];
  /** The fields of config.json that gradsink ignores as unknown. They may change the model. */
  readonly unknownFields: readonly string[];
}
