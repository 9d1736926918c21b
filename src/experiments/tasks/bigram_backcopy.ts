/**
 * Bigram-Backcopy: the smallest task on which attention sinks form.
 *
 * A sequence begins with BOS and a character x₁ that is not a trigger, drawn from the table's
 * unigram distribution π. If x_{t−1} is a trigger, the character before it repeats: x_t = x_{t−2}.
 * Otherwise x_t is drawn from the table's row of x_{t−1}. A head that copies is needed only where
 * the current token is a trigger. At all other tokens it learns to attend to BOS.
 *
 * Source: Guo, Pai, Bai, Jiao, Jordan and Mei, "Active-Dormant Attention Heads", arXiv 2410.13835,
 * section 2. Any bigram table works; the authors' table comes from Shakespeare.
 */
import { type BigramTable, entropy, WEIGHT_SUM } from "./bigram_table.ts";
import { RandomStream } from "./random_stream.ts";
import { checkBatch, type Split, type Task, type TokenBatch } from "./task.ts";

/** The token that begins every sequence. It takes number 0, so character c is token c + 1. */
export const BOS = 0;

/** Options of {@linkcode BigramBackcopy}. */
export interface BigramBackcopyOptions {
  /** How characters follow each other. */
  readonly table: BigramTable;
  /** Tokens in a sequence, at least 2. */
  readonly context: number;
  /** The number of triggers, which are the most frequent characters; at least 1. Default 3. */
  readonly triggers?: number;
  /** Any safe integer of at least 0. */
  readonly seed: number;
}

const STREAMS: Readonly<Record<Split, number>> = { training: 0, validation: 1 };

/**
 * Bigram-Backcopy as a task.
 *
 * @example
 * ```ts
 * import { BigramBackcopy } from "./bigram_backcopy.ts";
 * import { syntheticBigramTable } from "./bigram_table.ts";
 *
 * const table = syntheticBigramTable({ characters: 63, seed: 1 });
 * const task = new BigramBackcopy({ table, context: 64, seed: 1 });
 * const batch = task.batch(1000, { batch: 32 });
 * console.log(batch.inputs[0], task.oracleLoss(batch), task.expectedOracleLoss());
 * ```
 */
export class BigramBackcopy implements Task {
  readonly vocabulary: number;
  readonly context: number;
  /** The first token above the triggers, which are the tokens 1 to `#firstOrdinary − 1`. */
  readonly #firstOrdinary: number;
  readonly #table: BigramTable;
  readonly #seed: number;
  readonly #first: Uint32Array<ArrayBuffer>;
  readonly #firstSum: number;
  readonly #ends: Uint32Array<ArrayBuffer>;

  /**
   * @throws {RangeError} if the context is below 2, if there is no trigger, or if only triggers
   *   ever occur: a sequence's first character must not be a trigger
   */
  constructor(options: BigramBackcopyOptions) {
    const { table, context, triggers = 3, seed } = options;
    const { characters } = table;
    if (!Number.isSafeInteger(context) || context < 2) {
      throw new RangeError(
        `BigramBackcopy: context is ${context}, wanted an integer of at least 2`,
      );
    }
    if (!Number.isSafeInteger(triggers) || triggers < 1 || triggers >= characters) {
      throw new RangeError(
        `BigramBackcopy: triggers is ${triggers}, wanted an integer between 1 and ${
          characters - 1
        }, as the table has ${characters} characters`,
      );
    }
    this.vocabulary = characters + 1;
    this.context = context;
    this.#table = table;
    this.#seed = seed;
    this.#firstOrdinary = triggers + 1;
    this.#first = table.unigram.slice(triggers);
    this.#firstSum = this.#first.reduce((sum, weight) => sum + weight, 0);
    if (this.#firstSum === 0) {
      throw new RangeError("BigramBackcopy: no character but triggers ever occurs in the table");
    }
    this.#ends = cumulative(table);
  }

  isTrigger(token: number): boolean {
    return token !== BOS && token < this.#firstOrdinary;
  }

  batch(
    step: number,
    { batch, split = "training" }: { readonly batch: number; readonly split?: Split },
  ): TokenBatch {
    checkBatch("BigramBackcopy.batch", step, batch);
    const { context } = this;
    const inputs = new Uint32Array(batch * context);
    const targets = new Uint32Array(batch * context);
    const sequence = new Uint32Array(context + 1);
    const stream = new RandomStream([this.#seed, STREAMS[split], step]);
    for (let row = 0; row < batch; row++) {
      this.#write(sequence, stream);
      inputs.set(sequence.subarray(0, context), row * context);
      targets.set(sequence.subarray(1), row * context);
    }
    return { batch, context, inputs, targets };
  }

  #write(sequence: Uint32Array, stream: RandomStream): void {
    const { characters } = this.#table;
    sequence[0] = BOS;
    let place = stream.integer(this.#firstSum);
    let first = 0;
    while (place >= this.#first[first]!) place -= this.#first[first++]!;
    sequence[1] = first + this.#firstOrdinary;
    for (let t = 2; t < sequence.length; t++) {
      const before = sequence[t - 1]!;
      sequence[t] = this.isTrigger(before)
        ? sequence[t - 2]!
        : 1 + firstBeyond(this.#ends, (before - 1) * characters, characters, stream.weight());
    }
  }

  oracleLoss({ batch, context, inputs, targets }: TokenBatch): number {
    let total = 0;
    for (let row = 0; row < batch; row++) {
      for (let t = 0; t < context; t++) {
        total -= Math.log(
          this.#probability(inputs, row * context + t, targets[row * context + t]!),
        );
      }
    }
    return total / (batch * context);
  }

  /** The oracle's probability that token `next` follows the input at index `place`. */
  #probability(inputs: Uint32Array, place: number, next: number): number {
    const token = inputs[place]!;
    if (token === BOS) return this.#first[next - this.#firstOrdinary]! / this.#firstSum;
    if (this.isTrigger(token)) return next === inputs[place - 1]! ? 1 : 0;
    return this.#table.rows[(token - 1) * this.#table.characters + next - 1]! / WEIGHT_SUM;
  }

  /**
   * The oracle's expected loss over all sequences, in nats per token: the mean over positions of
   * the next token's entropy, given the tokens before it.
   */
  expectedOracleLoss(): number {
    const { characters, rows } = this.#table;
    const triggers = this.#firstOrdinary - 1;
    const entropies = Float64Array.from(
      { length: characters },
      (_, a) => entropy(rows.subarray(a * characters, (a + 1) * characters)),
    );
    // `ordinary[a]` is the probability that the current character is `a`, which is no trigger.
    // `copying[a]` is the probability that the current character is a trigger and the next is `a`.
    let ordinary = Float64Array.from(
      { length: characters },
      (_, a) => a < triggers ? 0 : this.#first[a - triggers]! / this.#firstSum,
    );
    let copying = new Float64Array(characters);
    let total = entropy(this.#first, this.#firstSum);
    for (let t = 1; t < this.context; t++) {
      const next = Float64Array.from(copying);
      const copies = new Float64Array(characters);
      for (let a = triggers; a < characters; a++) {
        const share = ordinary[a]!;
        total += share * entropies[a]!;
        for (let b = 0; b < characters; b++) {
          const probability = share * rows[a * characters + b]! / WEIGHT_SUM;
          if (b < triggers) copies[a]! += probability;
          else next[b]! += probability;
        }
      }
      [ordinary, copying] = [next, copies];
    }
    return total / this.context;
  }

  /** A query is idle if its token is no trigger, so that nothing is copied. BOS is never idle. */
  idleQueries({ inputs }: TokenBatch): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(inputs, (token) => token === BOS || this.isTrigger(token) ? 0 : 1);
  }
}

/** The cumulative sums of each row's weights. */
function cumulative({ characters, rows }: BigramTable): Uint32Array<ArrayBuffer> {
  const ends = new Uint32Array(rows.length);
  for (let a = 0; a < characters; a++) {
    let sum = 0;
    for (let b = 0; b < characters; b++) {
      ends[a * characters + b] = sum += rows[a * characters + b]!;
    }
  }
  return ends;
}

/**
 * Searches `length` non-decreasing numbers of `ends`, from `offset` on, for the first one above
 * `value`. Returns its index, counted from `offset`.
 */
function firstBeyond(ends: Uint32Array, offset: number, length: number, value: number): number {
  let low = 0;
  let high = length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[offset + middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
