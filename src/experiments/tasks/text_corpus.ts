/**
 * Byte-level text from the user's own files. Every byte is a token. The files are joined and cut
 * into contexts, which are sequences of equal length. The seed determines the order of the training
 * contexts; none is used again before all have been used.
 */
import { RandomStream } from "./random_stream.ts";
import { checkBatch, type Split, type Task, type TokenBatch } from "./task.ts";
import { describePassed, findFiles, type FoundFile, whyNoText } from "./text_files.ts";

/** The error of a corpus that cannot be used. The message is one line. */
export class CorpusError extends Error {
  override readonly name = "CorpusError";
}

/** Options of {@linkcode TextCorpus}. */
export interface TextCorpusOptions {
  /** The text's bytes. */
  readonly bytes: Uint8Array;
  /** Tokens per sequence, at least 2. */
  readonly context: number;
  /** Any safe integer of at least 0; determines the order of the training contexts. */
  readonly seed: number;
  /**
   * A byte at position 0 of every context, before the text; the text's first byte is then the first
   * target. Default: none.
   */
  readonly firstToken?: number | undefined;
}

/** The share of contexts for validation. */
const VALIDATION_SHARE = 0.05;

/**
 * Byte-level text as a task: its batches are contexts of the text.
 *
 * @example
 * ```ts
 * import { TextCorpus } from "./text_corpus.ts";
 *
 * const line = "To be, or not to be, that is the question. ";
 * const bytes = new TextEncoder().encode(line.repeat(100));
 * const corpus = new TextCorpus({ bytes, context: 64, seed: 1 });
 * console.log(corpus.batch(0, { batch: 8 }).inputs.length); // 512
 * ```
 */
export class TextCorpus implements Task {
  readonly vocabulary = 256;
  readonly context: number;
  /** The number of contexts in each split. */
  readonly contexts: Readonly<Record<Split, number>>;
  readonly #bytes: Uint8Array;
  readonly #seed: number;
  readonly #firstToken: number | undefined;
  #order: { readonly epoch: number; readonly contexts: Uint32Array } | undefined;

  /**
   * @throws {RangeError} if the context is below 2, or the first token is not a byte
   * @throws {CorpusError} if the text does not fill two contexts, one for training and one for
   *   validation
   */
  constructor({ bytes, context, seed, firstToken }: TextCorpusOptions) {
    if (!Number.isSafeInteger(context) || context < 2) {
      throw new RangeError(`TextCorpus: context is ${context}, wanted an integer of at least 2`);
    }
    if (firstToken !== undefined && !isByte(firstToken)) {
      throw new RangeError(
        `TextCorpus: firstToken is ${firstToken}, wanted an integer from 0 to 255`,
      );
    }
    // A context's last target is the byte after the context, so the text's last context needs one
    // more byte. With a first token, every target is a byte of the context itself.
    const needed = firstToken === undefined ? 1 : 0;
    const total = Math.floor((bytes.length - needed) / context);
    if (total < 2) {
      throw new CorpusError(
        `the corpus has ${bytes.length} bytes, wanted at least ${
          2 * context + needed
        }: a context of ${context} to train on and another to validate; a smaller --context needs less`,
      );
    }
    const validation = Math.max(1, Math.floor(total * VALIDATION_SHARE));
    this.context = context;
    this.contexts = { training: total - validation, validation };
    this.#bytes = bytes;
    this.#seed = seed;
    this.#firstToken = firstToken;
  }

  batch(
    step: number,
    { batch, split = "training" }: { readonly batch: number; readonly split?: Split },
  ): TokenBatch {
    checkBatch("TextCorpus.batch", step, batch);
    const { context } = this;
    const first = this.#firstToken;
    const inputs = new Uint32Array(batch * context);
    const targets = new Uint32Array(batch * context);
    for (let row = 0; row < batch; row++) {
      const offset = this.#contextAt(step * batch + row, split) * context;
      if (first === undefined) {
        inputs.set(this.#bytes.subarray(offset, offset + context), row * context);
        targets.set(this.#bytes.subarray(offset + 1, offset + context + 1), row * context);
      } else {
        inputs[row * context] = first;
        inputs.set(this.#bytes.subarray(offset, offset + context - 1), row * context + 1);
        targets.set(this.#bytes.subarray(offset, offset + context), row * context);
      }
    }
    return { batch, context, inputs, targets };
  }

  /**
   * A split repeats its contexts without end. Returns the index, among all the text's contexts, of
   * the context that comes after `turn` others.
   */
  #contextAt(turn: number, split: Split): number {
    const count = this.contexts[split];
    if (split === "validation") return this.contexts.training + turn % count;
    const epoch = Math.floor(turn / count);
    if (this.#order?.epoch !== epoch) {
      const contexts = new RandomStream([this.#seed, epoch]).permutation(count);
      this.#order = { epoch, contexts };
    }
    return this.#order!.contexts[turn % count]!;
  }

  oracleLoss(): undefined {
    return undefined;
  }

  idleQueries(): undefined {
    return undefined;
  }

  /** Spells a byte: its character if it is visible ASCII, ␣ for a space, else an escape or hex. */
  spelling(token: number): string {
    const known: Readonly<Record<number, string>> = { 9: "\\t", 10: "\\n", 13: "\\r", 32: "␣" };
    return known[token] ??
      (token > 32 && token < 127
        ? String.fromCharCode(token)
        : `x${token.toString(16).padStart(2, "0")}`);
  }
}

/** Whether a number is a byte. */
export function isByte(token: number): boolean {
  return Number.isSafeInteger(token) && token >= 0 && token <= 255;
}

/** The most bytes to read. */
const MAXIMUM_BYTES = 2 ** 30;

/**
 * Reads a file, or all files of a folder and its subfolders in the order of their names. In a
 * folder, it skips and reports hidden files, links, and files that are not byte text, such as
 * packed files, programs, UTF-16, and files with a zero byte.
 *
 * @param note receives a line that says how many files were skipped, which, and why
 * @returns the bytes of all files, with a line feed between files
 * @throws {CorpusError} if the path does not exist, a file cannot be read, no file is text, or the
 *   text exceeds 1 GiB
 */
export async function readCorpus(
  path: string,
  note: (line: string) => void = () => {},
): Promise<Uint8Array<ArrayBuffer>> {
  const files: Uint8Array[] = [];
  const passed: string[] = [];
  let total = 0;
  for (const file of found(path)) {
    if ("reason" in file) {
      passed.push(`${file.path} (${file.reason})`);
      continue;
    }
    const { size } = await readable(file.path, Deno.stat);
    if (total + size > MAXIMUM_BYTES) {
      throw new CorpusError(`--corpus: ${path} is larger than ${MAXIMUM_BYTES / 2 ** 30} GiB`);
    }
    const bytes = await readable(file.path, (name) => Deno.readFile(name));
    const reason = whyNoText(bytes);
    if (reason !== undefined) {
      if (file.path === path) throw new CorpusError(`--corpus: ${path} is ${reason}`);
      passed.push(`${file.path} (${reason})`);
      continue;
    }
    files.push(bytes);
    total += bytes.length + 1;
  }
  const told = passed.length === 0 ? "" : describePassed(passed);
  if (files.length === 0) {
    throw new CorpusError(`--corpus: ${path} holds no text${told === "" ? "" : `; ${told}`}`);
  }
  if (told !== "") note(`--corpus: ${told}`);
  const text = new Uint8Array(total - 1).fill(0x0a);
  let offset = 0;
  for (const bytes of files) {
    text.set(bytes, offset);
    offset += bytes.length + 1;
  }
  return text;
}

function found(path: string): FoundFile[] {
  try {
    return [...findFiles(path)];
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function readable<Result>(
  path: string,
  read: (path: string) => Promise<Result>,
): Promise<Result> {
  try {
    return await read(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Makes the error for a file or folder that is missing or cannot be read. */
export function unreadable(path: string, error: unknown): CorpusError {
  const problem = error instanceof Deno.errors.NotFound
    ? "no such file or folder"
    : error instanceof Error
    ? error.message
    : String(error);
  return new CorpusError(`--corpus: ${path}: ${problem}`);
}
