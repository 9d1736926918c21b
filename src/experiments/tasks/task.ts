/** The interface of a task: batches of tokens, each decided by a seed and a step. */

/** Sequences of tokens, and for each token the one that follows. */
export interface TokenBatch {
  /** How many sequences. */
  readonly batch: number;
  /** Tokens in each. */
  readonly context: number;
  /** [batch, context] */
  readonly inputs: Uint32Array<ArrayBuffer>;
  /** [batch, context]: the inputs, one place further on. */
  readonly targets: Uint32Array<ArrayBuffer>;
}

/** Which sequences a batch is of: validation's never occur in training. */
export type Split = "training" | "validation";

/** A source of batches. */
export interface Task {
  /** How many different tokens there are. */
  readonly vocabulary: number;
  /** Tokens in a sequence. */
  readonly context: number;

  /**
   * How many different sequences each split has, after which they come again; undefined for endless
   * ones.
   */
  readonly contexts?: Readonly<Record<Split, number>>;

  /**
   * A batch. The same task, split, step and size give the same batch, whatever was requested
   * before.
   *
   * @param step from 0 on
   * @param options how many sequences, and of which split (training by default)
   */
  batch(step: number, options: { readonly batch: number; readonly split?: Split }): TokenBatch;

  /**
   * The loss, in nats per token, of an oracle that knows how the sequences are made, on these very
   * sequences. Undefined for a task without an oracle.
   */
  oracleLoss(batch: TokenBatch): number | undefined;

  /**
   * Which queries have no reason to look at a certain token, [batch, context], 1 for those: over
   * them sinks are measured as well. Undefined where all queries are alike.
   */
  idleQueries(batch: TokenBatch): Uint8Array<ArrayBuffer> | undefined;

  /** How a token is written, for pictures. Tasks whose tokens are not text leave it out. */
  spelling?(token: number): string;
}

/**
 * Refuses a step or a size that no batch has.
 *
 * @param operation for the message
 * @param step from 0 on
 * @param batch at least 1
 * @throws {RangeError} if one of them is not such an integer
 */
export function checkBatch(operation: string, step: number, batch: number): void {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new RangeError(`${operation}: step is ${step}, wanted an integer of at least 0`);
  }
  if (!Number.isSafeInteger(batch) || batch < 1) {
    throw new RangeError(`${operation}: batch is ${batch}, wanted an integer of at least 1`);
  }
}
