/**
 * A model's tokenizer, from tokenizer.json and tokenizer_config.json in Hugging Face's form. It
 * uses @huggingface/tokenizers, which Deno fetches from npm once a tokenizer is opened.
 */
import { join } from "node:path";
import type { Tokenizer as Library } from "@huggingface/tokenizers";
import { CheckpointError } from "../checkpoint/error.ts";
import { readJsonObject, reasonOf, shown } from "../checkpoint/json.ts";
import type { Architecture } from "./architecture.ts";
import { compareSettings } from "./tokenizer/agreement.ts";
import { exactComponents } from "./tokenizer/components.ts";
import { specialTokens } from "./tokenizer/special_tokens.ts";
import { checkVocabulary } from "./tokenizer/vocabulary.ts";

/** A tokenizer for one model. */
export interface Tokenizer {
  /** BOS, the token that a text may begin with; undefined for none. */
  readonly beginToken: number | undefined;
  /** EOS, the token after a document; undefined for none. */
  readonly endToken: number | undefined;
  /** The tokens that the tokenizer itself puts before every text, such as BOS; may be empty. */
  readonly prefix: readonly number[];
  /** Notes on the files for the user, one line each. */
  readonly notes: readonly string[];

  /**
   * Splits a text into tokens; adds no special tokens.
   *
   * @param text any text
   * @throws {CheckpointError} if a token is not in the model's vocabulary, or a part of the text
   *   has no token
   */
  encode(text: string): number[];

  /**
   * A token's text in the vocabulary; `#` and the number if the vocabulary has no such token.
   *
   * @param token the token's number
   */
  spelling(token: number): string;
}

/**
 * Opens a model's tokenizer.
 *
 * @param folder the folder with tokenizer.json and perhaps tokenizer_config.json
 * @throws {CheckpointError} if the tokenizer is missing or malformed, contradicts its settings or
 *   the model, or has unsupported parts, or if the library cannot be loaded
 *
 * @example
 * ```ts
 * import { openTokenizer } from "./tokenizer.ts";
 *
 * const tokenizer = await openTokenizer("fixtures/tokenizers/llama3", {
 *   architecture: { config: { vocabulary: 320 }, beginToken: undefined, endTokens: [] },
 * });
 * const tokens = tokenizer.encode("It was");
 * console.log([...tokenizer.prefix, ...tokens].map((token) => tokenizer.spelling(token)));
 * ```
 */
export async function openTokenizer(
  folder: string,
  { architecture }: {
    readonly architecture: Pick<Architecture, "beginToken" | "endTokens"> & {
      readonly config: { readonly vocabulary: number };
    };
  },
): Promise<Tokenizer> {
  const path = join(folder, "tokenizer.json");
  const given = await readTokenizer(folder, path);
  const { parts, notes } = exactComponents(given, path);
  const added = checkVocabulary(parts, path);
  const settings = await readOptional(join(folder, "tokenizer_config.json")) ?? {};
  // Do not pass the library `settings`. It would follow some that Hugging Face's tokenizers ignore,
  // such as remove_space.
  const library = await loadLibrary(path, { ...parts, added_tokens: added });
  const prefix = prefixOf(library, path);
  const named = await specialTokens(folder, {
    settings,
    architecture,
    idOf: (token) => library.token_to_id(token),
  });
  const differences = compareSettings(folder, {
    settings,
    parts: given,
    added: new Map(added.map(({ content, id }) => [content as string, id as number])),
    prefix,
    beginToken: named.beginToken,
  });
  const { vocabulary } = architecture.config;
  for (const token of [...prefix, named.beginToken, named.endToken]) {
    if (token !== undefined) checkToken(token, { library, vocabulary, path });
  }
  return {
    ...named,
    notes: [...notes, ...differences, ...named.notes],
    prefix,
    encode: (text) => {
      const { ids } = library.encode(text, { add_special_tokens: false });
      for (const token of ids) checkToken(token, { library, vocabulary, path });
      return ids;
    },
    spelling: (token) => library.id_to_token(token) ?? `#${token}`,
  };
}

async function readTokenizer(folder: string, path: string): Promise<Record<string, unknown>> {
  const exists = async (name: string) => {
    try {
      return (await Deno.stat(join(folder, name))).isFile;
    } catch {
      return false; // If tokenizer.json cannot be read, the read below reports why.
    }
  };
  if (!(await exists("tokenizer.json"))) {
    for (const other of ["tokenizer.model", "vocab.json", "vocab.txt", "tekken.json"]) {
      if (!(await exists(other))) continue;
      throw new CheckpointError(
        `${folder}: has no tokenizer.json, but ${other}, a tokenizer of an older kind: convert it with ` +
          "transformers, AutoTokenizer.from_pretrained(…) and save_pretrained(…)",
      );
    }
    if (!(await hasEntry(path))) {
      throw new CheckpointError(
        `${path}: no such file: fetch the model's tokenizer.json too, or write it with transformers, ` +
          "AutoTokenizer.from_pretrained(…) and save_pretrained(…)",
      );
    }
  }
  return await readJsonObject(path);
}

/** Whether there is anything at a path: even a broken link, or a file that may not be read. */
async function hasEntry(path: string): Promise<boolean> {
  return await Deno.lstat(path)
    .then(() => true, (error) => !(error instanceof Deno.errors.NotFound));
}

async function readOptional(path: string): Promise<Record<string, unknown> | undefined> {
  return await hasEntry(path) ? await readJsonObject(path) : undefined;
}

async function loadLibrary(
  path: string,
  tokenizer: object,
): Promise<Library> {
  // The imported name is not a literal, so Deno downloads the library only when `import` runs.
  const specifier = "@huggingface/tokenizers";
  let module: { readonly Tokenizer: typeof Library };
  try {
    module = await import(specifier);
  } catch (error) {
    throw new CheckpointError(`${specifier}: cannot be loaded: ${reasonOf(error)}`);
  }
  try {
    return new module.Tokenizer(tokenizer, {});
  } catch (error) {
    throw new CheckpointError(`${path}: is no tokenizer that can be read: ${reasonOf(error)}`);
  }
}

/** The tokens that the tokenizer's post-processor puts before every text. */
function prefixOf(library: Library, path: string): number[] {
  const piece = "\0";
  let whole: readonly string[];
  try {
    whole = library.post_processor?.post_process([piece], null, true).tokens ?? [piece];
  } catch (error) {
    throw new CheckpointError(`${path}: post_processor: cannot be read: ${reasonOf(error)}`);
  }
  const start = whole.indexOf(piece);
  if (start < 0) {
    throw new CheckpointError(`${path}: its post_processor leaves the text out`);
  }
  if (whole.lastIndexOf(piece) !== start) {
    throw new CheckpointError(`${path}: its post_processor repeats the text`);
  }
  return whole.slice(0, start).map((spelling) => {
    const token = library.token_to_id(spelling);
    if (token !== undefined) return token;
    throw new CheckpointError(
      `${path}: its post_processor adds ${shown(spelling)}, which is not in its vocabulary`,
    );
  });
}

function checkToken(
  token: number | undefined,
  { library, vocabulary, path }: {
    readonly library: Library;
    readonly vocabulary: number;
    readonly path: string;
  },
): void {
  if (token === undefined) {
    throw new CheckpointError(
      `${path}: has no token for a part of the text, nor one for the unknown`,
    );
  }
  if (token < vocabulary) return;
  throw new CheckpointError(
    `${path}: has the token ${token}, ${
      shown(library.id_to_token(token))
    }, but the model's vocabulary ` +
      `has ${vocabulary}: it is another model's tokenizer`,
  );
}
