/**
 * Texts for a pretrained model: documents as its own tokenizer cuts them, joined and cut into
 * contexts, or each by itself. BOS stands in front as the user wants it, since it changes the
 * measurements by a factor.
 */
import { plural } from "../../plural.ts";
import type { Tokenizer } from "../../model/pretrained/tokenizer.ts";
import { checkBatch, type Task, type TokenBatch } from "./task.ts";
import { CorpusError } from "./text_corpus.ts";

/** A document and its name for messages. */
export interface TextDocument {
  readonly name: string;
  readonly text: string;
}

/** When a text begins with BOS: as the model's tokenizer does it, always, or never. */
export const BEGIN_POLICIES = ["as-tokenizer", "always", "never"] as const;

/** One of {@linkcode BEGIN_POLICIES}. */
export type BeginPolicy = typeof BEGIN_POLICIES[number];

/** Whether documents stand one behind the other in a text, or each by itself. */
export const DOCUMENT_POLICIES = ["joined", "apart"] as const;

/** One of {@linkcode DOCUMENT_POLICIES}. */
export type DocumentPolicy = typeof DOCUMENT_POLICIES[number];

/** What {@linkcode TokenTexts} are made from. */
export interface TokenTextsOptions {
  readonly tokenizer: Tokenizer;
  /** V of the model. */
  readonly vocabulary: number;
  /** Tokens in a text, BOS among them; at least 2. */
  readonly context: number;
  /** How many texts; fewer if there are fewer and `exactly` is false. */
  readonly texts: number;
  /** Whether fewer texts are a mistake. Default: true. */
  readonly exactly?: boolean;
  readonly begin: BeginPolicy;
  readonly documents: DocumentPolicy;
}

/**
 * The texts, as a task: batch after batch of them, each once.
 *
 * @example
 * ```ts
 * import { openTokenizer } from "../../model/pretrained/tokenizer.ts";
 * import { TokenTexts } from "./token_texts.ts";
 *
 * const tokenizer = await openTokenizer("fixtures/tokenizers/llama3", {
 *   architecture: { config: { vocabulary: 320 }, beginToken: undefined, endTokens: [] },
 * });
 * const document = { name: "opening", text: "It was the best of times, it was the worst of times. ".repeat(9) };
 * const texts = new TokenTexts([document], {
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
  /** How many texts there are. */
  readonly texts: number;
  /** What every text begins with. */
  readonly prefix: readonly number[];
  /** What a user should know of the texts, one line each. */
  readonly notes: readonly string[];
  /** The tokens of each text, and the one after them: [texts, context + 1]. */
  readonly #tokens: readonly Uint32Array[];
  readonly #tokenizer: Tokenizer;

  /**
   * Cuts documents into texts. No more of them is read than the texts need.
   *
   * @param documents in their order
   * @param options the tokenizer and what is wanted of it
   * @throws {RangeError} if the context is below 2 or leaves no room behind the prefix, or no text
   *   is requested
   * @throws {CorpusError} if there is too little text, or no BOS token where one is wanted
   * @throws {CheckpointError} if the tokenizer gives tokens that the model does not have
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

  /**
   * The tokens that the first text begins with.
   *
   * @param count how many at most
   */
  firstTokens(count: number): number[] {
    return [...this.#tokens[0]!.subarray(0, Math.min(count, this.context))];
  }

  /**
   * The texts from `step · batch` on.
   *
   * @param step from 0 on
   * @param options how many texts; there are no splits
   * @throws {RangeError} if there are fewer texts
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

  /** The token's text as the tokenizer writes it. */
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
  /** Tokens of a document in a text. */
  readonly room: number;
  readonly texts: number;
}

interface Pieces {
  /** The tokens of each text after the prefix, and the next one: `room + 1`. */
  readonly pieces: readonly number[][];
  readonly notes: readonly string[];
  /** Why there are no more texts. */
  readonly problem: string;
}

/** Joins documents with EOS between them, and cuts where a text is full. */
function joined(documents: Iterable<TextDocument>, { tokenizer, room, texts }: Wanted): Pieces {
  const { endToken } = tokenizer;
  // The last token of a text needs the one behind it.
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

/** Reads each document by itself, from its beginning. */
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

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} others` : shown;
}

/**
 * Characters that a token has at least on average; where it has fewer, more of the text is read.
 */
const CHARACTERS = 4;

/**
 * How far from a cut tokens are those of the whole text: they depend on the words around them,
 * which the cut may split.
 */
const MARGIN = 64;

/**
 * The tokens that a text begins with, without those of all of it, which takes seconds for a
 * megabyte.
 *
 * @returns at least as many as are wanted, or all
 */
function encodeStart(tokenizer: Tokenizer, text: string, wanted: number): number[] {
  for (let length = CHARACTERS * (wanted + MARGIN);; length *= 2) {
    if (length >= text.length) return tokenizer.encode(text);
    const tokens = tokenizer.encode(text.slice(0, length));
    if (tokens.length >= wanted + MARGIN) return tokens.slice(0, wanted);
  }
}
