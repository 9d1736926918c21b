/** A model's batch: its tokens and targets, and their tensors. */
import type { Tensor } from "../../gpu/tensor.ts";
import { embeddingOrder } from "../../ops/model/embedding.ts";
import type { LlamaOptions } from "./build.ts";
import type { Workspace } from "../workspace.ts";

/** One batch. */
export interface Batch {
  /** Token numbers, below the vocabulary's size V: `[B, T]`. */
  readonly inputs: Uint32Array;
  /** The token that each position must predict: `[B, T]`. */
  readonly targets: Uint32Array;
}

/** A batch on the GPU. */
export interface BatchTensors {
  /** [B, T] */
  readonly tokens: Tensor;
  /** [B · T] */
  readonly targets: Tensor;
  /** [B · T], from {@linkcode embeddingOrder} */
  readonly order: Tensor;
  /** [V + 1], from {@linkcode embeddingOrder} */
  readonly starts: Tensor;
}

/** Allocates tensors for batches of B sequences of T tokens. */
export function batchTensors(
  workspace: Workspace,
  { config, batch, context }: LlamaOptions,
): BatchTensors {
  const { gpu } = workspace;
  const length = batch * context;
  return {
    tokens: workspace.keep(gpu.empty([batch, context])),
    targets: workspace.keep(gpu.empty([length])),
    order: workspace.keep(gpu.empty([length])),
    starts: workspace.keep(gpu.empty([config.vocabulary + 1])),
  };
}

/**
 * Checks a batch's lengths and tokens.
 *
 * @param options `operation`: the caller's name, for error messages; `length`: B · T;
 *   `vocabulary`: V, the vocabulary's size
 * @throws {TypeError} for a wrong type or length
 * @throws {RangeError} for a token outside the vocabulary
 */
export function checkBatch(
  batch: Batch,
  { operation, length, vocabulary }: {
    readonly operation: string;
    readonly length: number;
    readonly vocabulary: number;
  },
): void {
  for (const name of ["inputs", "targets"] as const) {
    const given = batch[name];
    if (!(given instanceof Uint32Array) || given.length !== length) {
      throw new TypeError(
        `${operation}: ${name} has ${given?.length} elements, wanted a Uint32Array of ${length}`,
      );
    }
    const wrong = given.findIndex((token) => token >= vocabulary);
    if (wrong >= 0) {
      throw new RangeError(
        `${operation}: ${name}[${wrong}] is ${given[wrong]}, wanted at most ${vocabulary - 1}`,
      );
    }
  }
}

/**
 * Uploads a batch.
 *
 * @param tensors tensors of the batch's size
 * @param options the batch, and the vocabulary's size
 * @throws {TypeError} for a wrong type or length
 * @throws {RangeError} for a token outside the vocabulary
 */
export function writeBatch(
  tensors: BatchTensors,
  { batch, vocabulary }: { readonly batch: Batch; readonly vocabulary: number },
): void {
  checkBatch(batch, { operation: "Llama", length: tensors.targets.length, vocabulary });
  const { order, starts } = embeddingOrder(batch.inputs, vocabulary);
  tensors.tokens.write(Float32Array.from(batch.inputs));
  tensors.targets.write(Float32Array.from(batch.targets));
  tensors.order.write(order);
  tensors.starts.write(starts);
}
