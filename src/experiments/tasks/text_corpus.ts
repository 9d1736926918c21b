/**
 * Byte-level text from the user's own files: every byte is a token, files are packed one after the other
 * into contexts, and the contexts come in a seeded order, all of them once before any comes again.
 */
import { join } from "node:path";
import { RandomStream } from "./random_stream.ts";
import { checkBatch, type Split, type Task, type TokenBatch } from "./task.ts";

/** A corpus that cannot be used; the message is one line and says why. */
export class CorpusError extends Error {
  override readonly name = "CorpusError";
}

/** What a {@linkcode TextCorpus} is made from. */
export interface TextCorpusOptions {
  /** The text's bytes. */
  readonly bytes: Uint8Array;
  /** Tokens in a sequence, at least 2. */
  readonly context: number;
  /** Any safe integer of at least 0: the order of the contexts. */
  readonly seed: number;
}

/** The share of the contexts that is kept for validation: the last ones. */
const VALIDATION_SHARE = 0.05;

/**
 * The task.
 *
 * @example
 * ```ts
 * import { TextCorpus } from "./text_corpus.ts";
 *
 * const bytes = new TextEncoder().encode("To be, or not to be, that is the question. ".repeat(100));
 * const corpus = new TextCorpus({ bytes, context: 64, seed: 1 });
 * console.log(corpus.batch(0, { batch: 8 }).inputs.length); // 512
 * ```
 */
export class TextCorpus implements Task {
  readonly vocabulary = 256;
  readonly context: number;
  /** How many contexts of each split there are. */
  readonly contexts: Readonly<Record<Split, number>>;
  readonly #bytes: Uint8Array;
  readonly #seed: number;
  #order: { readonly epoch: number; readonly contexts: Uint32Array } | undefined;

  /**
   * @param options bytes, context and seed
   * @throws {RangeError} if the context is below 2
   * @throws {CorpusError} if the text does not fill two contexts, one to train on and one to validate
   */
  constructor({ bytes, context, seed }: TextCorpusOptions) {
    if (!Number.isSafeInteger(context) || context < 2) {
      throw new RangeError(`TextCorpus: context is ${context}, wanted an integer of at least 2`);
    }
    // A context needs one byte more than it has tokens: the last one's target.
    const total = Math.floor((bytes.length - 1) / context);
    if (total < 2) {
      throw new CorpusError(
        `the corpus has ${bytes.length} bytes, wanted at least ${
          2 * context + 1
        }: a context of ${context} to train on and another to validate`,
      );
    }
    const validation = Math.max(1, Math.floor(total * VALIDATION_SHARE));
    this.context = context;
    this.contexts = { training: total - validation, validation };
    this.#bytes = bytes;
    this.#seed = seed;
  }

  batch(
    step: number,
    { batch, split = "training" }: { readonly batch: number; readonly split?: Split },
  ): TokenBatch {
    checkBatch("TextCorpus.batch", step, batch);
    const { context } = this;
    const inputs = new Uint32Array(batch * context);
    const targets = new Uint32Array(batch * context);
    for (let row = 0; row < batch; row++) {
      const offset = this.#contextAt(step * batch + row, split) * context;
      inputs.set(this.#bytes.subarray(offset, offset + context), row * context);
      targets.set(this.#bytes.subarray(offset + 1, offset + context + 1), row * context);
    }
    return { batch, context, inputs, targets };
  }

  /** The place of the context that comes at this turn. */
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
}

/** The most text that is read. */
const MAXIMUM_BYTES = 2 ** 30;

/**
 * Reads a file, or all files of a folder and its folders in the order of their names. Hidden files are
 * passed over, and so is what holds a zero byte, which text does not.
 *
 * @param path a file or a folder
 * @returns the bytes, a line feed between files
 * @throws {CorpusError} if there is nothing there, nothing to read, or more than 1 GiB
 */
export async function readCorpus(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const files: Uint8Array[] = [];
  let total = 0;
  try {
    for await (const name of filesOf(path)) {
      const { size } = await Deno.stat(name);
      if (total + size > MAXIMUM_BYTES) {
        throw new CorpusError(`--corpus: ${path} is larger than ${MAXIMUM_BYTES / 2 ** 30} GiB`);
      }
      const bytes = await Deno.readFile(name);
      if (bytes.length === 0 || bytes.includes(0)) continue;
      files.push(bytes);
      total += bytes.length + 1;
    }
  } catch (error) {
    if (error instanceof CorpusError) throw error;
    const problem = error instanceof Deno.errors.NotFound
      ? "no such file or folder"
      : error instanceof Error
      ? error.message
      : String(error);
    throw new CorpusError(`--corpus: ${path}: ${problem}`);
  }
  if (files.length === 0) throw new CorpusError(`--corpus: ${path} holds no text`);
  const text = new Uint8Array(total - 1).fill(0x0a);
  let offset = 0;
  for (const bytes of files) {
    text.set(bytes, offset);
    offset += bytes.length + 1;
  }
  return text;
}

async function* filesOf(path: string): AsyncGenerator<string> {
  const { isDirectory } = await Deno.stat(path);
  if (!isDirectory) return yield path;
  const entries = await Array.fromAsync(Deno.readDir(path));
  // By code units, so that the order is the same in every locale.
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory, isFile } of entries) {
    if (name.startsWith(".")) continue;
    // Links are not followed: they may lead out of the folder, or round in circles.
    if (isDirectory) yield* filesOf(join(path, name));
    else if (isFile) yield join(path, name);
  }
}
