/**
 * Texts of equal length for a pretrained model, whose own tokenizer splits documents into tokens.
 * Either the documents are joined and cut into texts, or each document's beginning becomes a text.
 * The user decides whether texts begin with BOS: this changes the measurements strongly.
 */
import { plural } from "../../plural.ts";
import type { Tokenizer } from "../../model/pretrained/tokenizer.ts";
import { checkBatch, type Task, type TokenBatch } from "./task.ts";
import { CorpusError } from "./text_corpus.ts";
import { listed } from "./text_files.ts";

/** A document with a name for messages. */
export interface TextDocument {
  readonly name: string;
  readonly text: string;
}

/** Whether texts begin with BOS: as the model's tokenizer decides, always, or never. */
export const BEGIN_POLICIES = ["as-tokenizer", "always", "never"] as const;

/** One of {@linkcode BEGIN_POLICIES}. */
export type BeginPolicy = typeof BEGIN_POLICIES[number];

/** Whether documents are joined and cut into texts, or each document's beginning becomes a text. */
export const DOCUMENT_POLICIES = ["joined", "apart"] as const;

/** One of {@linkcode DOCUMENT_POLICIES}. */
export type DocumentPolicy = typeof DOCUMENT_POLICIES[number];

/** Options of {@linkcode TokenTexts}. */
export interface TokenTextsOptions {
  readonly tokenizer: Tokenizer;
  readonly vocabulary: number;
  /** Tokens per text, including BOS; at least 2. */
  readonly context: number;
  /** The wanted number of texts. */
  readonly texts: number;
  /** Whether fewer texts than wanted are an error. Default: true. No text at all always is. */
  readonly exactly?: boolean;
  readonly begin: BeginPolicy;
  readonly documents: DocumentPolicy;
}

/**
 * The texts as a task: each text occurs in one batch.
 *
 * @example
 * ```ts
 * import { openTokenizer } from "../../model/pretrained/tokenizer.ts";
 * import { TokenTexts } from "./token_texts.ts";
 *
 * const tokenizer = await openTokenizer("fixtures/tokenizers/llama3", {
 *   architecture: { config: { vocabulary: 320 }, beginToken: undefined, endTokens: [] },
 * });
 * const text = "It was the best of times, it was the worst of times. ".repeat(9);
 * const texts = new TokenTexts([{ name: "opening", text }], {
 *   tokenizer,
 *   vocabulary: 320,
 *   context: 16,
 *   texts: 4,
 *   begin: "as-tokenizer",
 *   documents: "joined",
 * });
 * console.log(texts.firstTokens(4).map((token) => tokenizer.spelling(token)));
 * ```
 */
export class TokenTexts implements Task {
  readonly vocabulary: number;
  readonly context: number;
  /** The number of texts. */
  readonly texts: number;
  readonly prefix: readonly number[];
  /** Notes for the user, one line each. */
  readonly notes: readonly string[];
  /** [texts, context + 1]: each text's tokens, then the target of its last token. */
  readonly #tokens: readonly Uint32Array[];
  readonly #tokenizer: Tokenizer;

  /**
   * Makes texts from documents, and reads only as many documents as the texts need.
   *
   * @throws {RangeError} if the context is below 2, or no longer than the tokens that begin every
   *   text, or if no text is requested
   * @throws {CorpusError} if there is too little text, or no BOS token although one is requested
   * @throws {CheckpointError} if the tokenizer gives tokens outside the model's vocabulary
   */
  constructor(documents: Iterable<TextDocument>, options: TokenTextsOptions) {
    const { tokenizer, vocabulary, context, texts, begin, exactly = true } = options;
    for (const [name, given, least] of [["context", context, 2], ["texts", texts, 1]] as const) {
      if (!Number.isSafeInteger(given) || given < least) {
        throw new RangeError(
          `TokenTexts: ${name} is ${given}, wanted an integer of at least ${least}`,
        );
      }
    }
    this.#tokenizer = tokenizer;
    this.vocabulary = vocabulary;
    this.context = context;
    this.prefix = prefixOf(tokenizer, begin);
    const room = context - this.prefix.length;
    if (room < 1) {
      throw new RangeError(
        `TokenTexts: context is ${context}, wanted more than the ${this.prefix.length} tokens that ` +
          "every text begins with",
      );
    }
    const cut = options.documents === "joined" ? joined : apart;
    const { pieces, notes, problem } = cut(documents, { tokenizer, room, texts });
    if (pieces.length === 0 || (exactly && pieces.length < texts)) {
      const many = pieces.length === 0 ? "no text" : plural(pieces.length, "text");
      throw new CorpusError(
        `the corpus makes ${many} of ${context} tokens, wanted ${texts}: ${problem}`,
      );
    }
    this.texts = pieces.length;
    this.notes = pieces.length < texts
      ? [...notes, `the corpus makes ${plural(pieces.length, "text")} of ${context} tokens`]
      : notes;
    this.#tokens = pieces.map((piece) => Uint32Array.of(...this.prefix, ...piece));
  }

  /** The first text's first tokens, at most `count`. */
  firstTokens(count: number): number[] {
    return [...this.#tokens[0]!.subarray(0, Math.min(count, this.context))];
  }

  /**
   * Returns `batch` texts, from the text with index `step · batch` on.
   *
   * @param options the number of texts; there are no splits
   * @throws {RangeError} if fewer than `batch` texts remain
   */
  batch(step: number, { batch }: { readonly batch: number }): TokenBatch {
    checkBatch("TokenTexts.batch", step, batch);
    const { context } = this;
    const first = step * batch;
    if (first + batch > this.texts) {
      throw new RangeError(
        `TokenTexts.batch: texts ${first} to ${
          first + batch - 1
        }, wanted some of the ${this.texts}`,
      );
    }
    const inputs = new Uint32Array(batch * context);
    const targets = new Uint32Array(batch * context);
    for (let row = 0; row < batch; row++) {
      const tokens = this.#tokens[first + row]!;
      inputs.set(tokens.subarray(0, context), row * context);
      targets.set(tokens.subarray(1), row * context);
    }
    return { batch, context, inputs, targets };
  }

  oracleLoss(): undefined {
    return undefined;
  }

  idleQueries(): undefined {
    return undefined;
  }

  spelling(token: number): string {
    return this.#tokenizer.spelling(token);
  }
}

function prefixOf(tokenizer: Tokenizer, begin: BeginPolicy): readonly number[] {
  const { prefix, beginToken } = tokenizer;
  if (begin === "as-tokenizer") return prefix;
  if (begin === "never") return [];
  if (beginToken === undefined) {
    throw new CorpusError(
      "--bos=always: neither the tokenizer nor config.json names a BOS token; --bos=never or " +
        "--bos=as-tokenizer does without",
    );
  }
  return prefix.includes(beginToken) ? prefix : [beginToken, ...prefix];
}

interface Wanted {
  readonly tokenizer: Tokenizer;
  /** Tokens per text besides the prefix. */
  readonly room: number;
  readonly texts: number;
}

interface Pieces {
  /** For each text: its `room` tokens after the prefix, then the target of the last of them. */
  readonly pieces: readonly number[][];
  readonly notes: readonly string[];
  /** Why there are no further texts. */
  readonly problem: string;
}

/**
 * Joins documents, with EOS between them if the tokenizer has it, and cuts them into full texts.
 */
function joined(documents: Iterable<TextDocument>, { tokenizer, room, texts }: Wanted): Pieces {
  const { endToken } = tokenizer;
  // One more token than the texts hold, because the last text's last token needs a target.
  const wanted = texts * room + 1;
  const stream: number[] = [];
  let used = 0;
  for (const { text } of documents) {
    if (stream.length >= wanted) break;
    if (used > 0 && endToken !== undefined) stream.push(endToken);
    for (const token of encodeStart(tokenizer, text, wanted - stream.length)) stream.push(token);
    used++;
  }
  const count = Math.min(texts, Math.max(0, Math.floor((stream.length - 1) / room)));
  const separator = endToken === undefined
    ? "nothing between them"
    : `${tokenizer.spelling(endToken)} between them`;
  return {
    pieces: Array.from(
      { length: count },
      (_, i) => stream.slice(i * room, (i + 1) * room + 1),
    ),
    notes: used > 1 ? [`${used} documents are joined, with ${separator}`] : [],
    problem: `its documents have ${stream.length} tokens together, and ${wanted} are needed`,
  };
}

/** Makes a text from the beginning of each document that has enough tokens. */
function apart(documents: Iterable<TextDocument>, { tokenizer, room, texts }: Wanted): Pieces {
  const pieces: number[][] = [];
  const short: string[] = [];
  for (const { name, text } of documents) {
    if (pieces.length === texts) break;
    const tokens = encodeStart(tokenizer, text, room + 1);
    if (tokens.length <= room) short.push(name);
    else pieces.push(tokens.slice(0, room + 1));
  }
  const left = `${plural(short.length, "document")} of fewer than ${room + 1} tokens: ${
    listed(short)
  }`;
  return {
    pieces,
    notes: short.length === 0 ? [] : [`left out: ${left}`],
    problem: short.length === 0
      ? `it has ${plural(pieces.length, "document")}, and --documents=apart makes one text of each`
      : `there are ${left}`,
  };
}

/**
 * The assumed number of characters per token. If tokens turn out to be longer, a longer part of the
 * text is encoded.
 */
const CHARACTERS = 4;

/**
 * If a text is cut before it is encoded, at most this many tokens before the cut are assumed wrong:
 * the cut may split a word, and tokens depend on the whole word around them.
 */
const MARGIN = 64;

/**
 * Returns the text's first tokens: at least `wanted` of them, or all if the text has fewer. It
 * encodes only a part of a long text, because encoding takes seconds per megabyte.
 */
function encodeStart(tokenizer: Tokenizer, text: string, wanted: number): number[] {
  for (let length = CHARACTERS * (wanted + MARGIN);; length *= 2) {
    if (length >= text.length) return tokenizer.encode(text);
    const tokens = tokenizer.encode(text.slice(0, length));
    if (tokens.length >= wanted + MARGIN) return tokens.slice(0, wanted);
  }
}
