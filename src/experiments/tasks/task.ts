/** A task makes batches of tokens, each determined by a seed and a step. */

export interface TokenBatch {
  /** The number of sequences. */
  readonly batch: number;
  /** The number of tokens in a sequence. */
  readonly context: number;
  /** [batch, context] */
  readonly inputs: Uint32Array<ArrayBuffer>;
  /** [batch, context]: the token after each input. */
  readonly targets: Uint32Array<ArrayBuffer>;
}

/** The part of a task that a batch comes from; each part has its own sequences. */
export type Split = "training" | "validation";

/** A source of batches. */
export interface Task {
  /** The number of different tokens. */
  readonly vocabulary: number;
  /** The number of tokens in a sequence. */
  readonly context: number;

  /**
   * The number of different sequences in each split. After so many, the sequences repeat. Undefined
   * if they never repeat.
   */
  readonly contexts?: Readonly<Record<Split, number>>;

  /**
   * Makes a batch, which depends only on the task, the split, the step and the size.
   *
   * @param step from 0 on
   * @param options the number of sequences, and their split (training by default)
   */
  batch(step: number, options: { readonly batch: number; readonly split?: Split }): TokenBatch;

  /**
   * The loss on this batch, in nats per token, of an oracle that knows how sequences are made;
   * undefined for a task without an oracle.
   */
  oracleLoss(batch: TokenBatch): number | undefined;

  /**
   * [batch, context]: 1 for an idle query, which has no reason to attend to any particular token.
   * Sinks are also measured over idle queries alone. Undefined if the task does not distinguish
   * queries.
   */
  idleQueries(batch: TokenBatch): Uint8Array<ArrayBuffer> | undefined;

  /** A token's text, for pictures. */
  spelling?(token: number): string;
}

/**
 * Lowers a number of batches, if necessary, so that no sequence occurs twice in them. Returns at
 * least 1, even if the split has fewer sequences than one batch needs.
 */
export function freshBatches(
  task: Task,
  { batch, batches, split = "validation" }: {
    readonly batch: number;
    readonly batches: number;
    readonly split?: Split;
  },
): number {
  const contexts = task.contexts?.[split] ?? Infinity;
  return Math.max(1, Math.min(batches, Math.floor(contexts / batch)));
}

/**
 * Refuses an impossible step or batch size.
 *
 * @param operation names the caller in the message
 * @param batch the number of sequences in the batch
 * @throws {RangeError} if the step is not an integer of at least 0, or the batch size is not an
 *   integer of at least 1
 */
export function checkBatch(operation: string, step: number, batch: number): void {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new RangeError(`${operation}: step is ${step}, wanted an integer of at least 0`);
  }
  if (!Number.isSafeInteger(batch) || batch < 1) {
    throw new RangeError(`${operation}: batch is ${batch}, wanted an integer of at least 1`);
  }
}
