/**
 * Finds the tokens that begin and end a document. It looks in tokenizer_config.json first, then in
 * special_tokens_map.json, then in config.json.
 */
import { join } from "node:path";
import { CheckpointError } from "../../checkpoint/error.ts";
import { readJsonObject, shown } from "../../checkpoint/json.ts";
import type { Architecture } from "../architecture.ts";

/** The tokens found. */
export interface SpecialTokens {
  readonly beginToken: number | undefined;
  readonly endToken: number | undefined;
  readonly notes: readonly string[];
}

/**
 * Finds BOS and EOS, the tokens that begin and end a document.
 *
 * @param folder the model's folder
 * @param options the fields of tokenizer_config.json, the model, and a function from a token's text
 *   to its number
 * @throws {CheckpointError} if tokenizer_config.json or special_tokens_map.json names a token that
 *   tokenizer.json does not have, or special_tokens_map.json cannot be read
 */
export async function specialTokens(
  folder: string,
  { settings, architecture, idOf }: {
    readonly settings: Readonly<Record<string, unknown>>;
    readonly architecture: Pick<Architecture, "beginToken" | "endTokens">;
    readonly idOf: (token: string) => number | undefined;
  },
): Promise<SpecialTokens> {
  const path = join(folder, "special_tokens_map.json");
  const map = await isFile(path) ? await readJsonObject(path) : {};
  const find = (field: "bos_token" | "eos_token"): number | undefined => {
    const given = settings[field] ?? map[field] ?? null;
    if (given === null) return undefined;
    // A token is given by its text, or by an object that holds the text.
    const spelling = typeof given === "object" ? (given as { content?: unknown }).content : given;
    const token = typeof spelling === "string" ? idOf(spelling) : undefined;
    if (token === undefined) {
      throw new CheckpointError(
        `${folder}: the tokenizer's ${field} is ${
          shown(given)
        }, which tokenizer.json does not have`,
      );
    }
    return token;
  };
  const begin = find("bos_token");
  const end = find("eos_token");
  const notes: string[] = [];
  const { beginToken, endTokens } = architecture;
  if (begin === undefined && beginToken !== undefined) {
    notes.push(`the tokenizer has no BOS token; config.json names ${beginToken} as one`);
  }
  return { beginToken: begin ?? beginToken, endToken: end ?? endTokens[0], notes };
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
