/** Counts the memory of a training step before anything is allocated. */
import {
  attentionGates,
  checkConfig,
  hasSinkLogit,
  type LlamaConfig,
} from "../../reference/llama/config.ts";
import { LOGITS_BYTES } from "./head.ts";
import { packedLength } from "../parameter_packs.ts";

/** Bytes on the GPU. */
export interface TrainingMemory {
  /** Parameters, gradients and AdamW's two moments. */
  readonly parameters: number;
  /** States of a micro-batch and their gradients: all are kept, because measurements read them. */
  readonly states: number;
  /** Logits, their gradients and the loss's other tensors. */
  readonly head: number;
  /** The sum. */
  readonly total: number;
}

/**
 * Counts the bytes that a `Llama` and its `AdamW` allocate. Scratch memory of kernels counts only
 * where it grows with the batch, so the real bytes differ by a few percent. Left out are the copies
 * that software adapters need if B · T or the vocabulary's size is not a multiple of 4.
 *
 * @param options `batch`: B; `context`: T; `microBatches`: how many a step has, 1 by default
 * @throws {RangeError} for an invalid configuration
 *
 * @example
 * ```ts
 * import { trainingMemory } from "./memory.ts";
 * import { PLAIN_LLAMA } from "../../reference/llama/config.ts";
 *
 * const config = {
 *   vocabulary: 64,
 *   layers: 2,
 *   modelDim: 64,
 *   queryHeads: 1,
 *   keyValueHeads: 1,
 *   headDim: 64,
 *   feedForwardDim: 176,
 *   ...PLAIN_LLAMA,
 * };
 * console.log(trainingMemory(config, { batch: 16, context: 64 }).total / 1e6, "MB");
 * ```
 */
export function trainingMemory(
  config: LlamaConfig,
  { batch, context, microBatches = 1 }: {
    readonly batch: number;
    readonly context: number;
    readonly microBatches?: number;
  },
): TrainingMemory {
  checkConfig(config);
  const rows = batch * context;
  const { layers, layersWithoutAttention, modelDim, headDim, keyValueHeads } = config;
  const withAttention = layers - layersWithoutAttention.length;
  const parameters = (microBatches > 1 ? 5 : 4) * packedLength(config);
  const states = 3 * rows + config.vocabulary + context * headDim + keyValueHeads +
    rows * modelDim + layers * mlpLength(config, rows) +
    withAttention * attentionLength(config, rows);
  const head = headLength(config, rows);
  const bytes = [parameters, states, head].map((length) => 4 * length) as [number, number, number];
  return {
    parameters: bytes[0],
    states: bytes[1],
    head: bytes[2],
    total: bytes[0] + bytes[1] + bytes[2],
  };
}

/**
 * The scratch elements for a gain's gradient: a partial sum [d] for each group of rows. There is a
 * group for every 8 rows, but there are at most 512 groups.
 */
function gainLength({ modelDim }: LlamaConfig, rows: number): number {
  return Math.min(512, Math.ceil(rows / 8)) * modelDim;
}

// Six tensors [rows, d]. Forward: the norm's output, the branch's residual, and the stream plus the
// residual. Backward: the gradients of the norm's output, of the norm's input, and of the stream.
// Besides these tensors, each row's 1/rms, and the scratch for the gain's gradient.
function branchLength(config: LlamaConfig, rows: number): number {
  return 6 * rows * config.modelDim + rows + gainLength(config, rows);
}

// The gate and up projections and the hidden state, each with its gradient.
function mlpLength(config: LlamaConfig, rows: number): number {
  return branchLength(config, rows) + 6 * rows * config.feedForwardDim;
}

function attentionLength(config: LlamaConfig, rows: number): number {
  const { queryHeads, keyValueHeads, headDim, vScale } = config;
  const query = rows * queryHeads * headDim;
  const key = rows * keyValueHeads * headDim;
  // The joint projection and its parts, and the gradients of both. Then the heads' output and its
  // gradient, in two layouts if there are several heads.
  const projections = 4 * (query + 2 * key);
  const outputs = (queryHeads > 1 ? 4 : 2) * query;
  // Each sink logit takes two numbers. Each query row takes three: logSumExp, and two numbers that
  // the backward pass needs. With V-scale, each value row takes six.
  const sinks = hasSinkLogit(config) ? 2 * queryHeads : 0;
  const statistics = sinks + 3 * rows * queryHeads +
    (vScale === "none" ? 0 : 6 * rows * keyValueHeads);
  // Each gate takes three numbers: its logit, its opening and the logit's gradient. Each element of
  // the heads' outputs takes two: the gated output and its gradient. Each element of the norm's
  // output takes two: the part of its gradient that comes through the gates, and the sum of this
  // part and the part that comes through the projections.
  const gates = attentionGates(config);
  const gated = gates === 0 ? 0 : 3 * rows * gates + 2 * query + 2 * rows * config.modelDim;
  return branchLength(config, rows) + projections + outputs + statistics + gated;
}

function headLength(config: LlamaConfig, rows: number): number {
  const { vocabulary, modelDim, tiedHead } = config;
  const chunks = Math.ceil(4 * rows * vocabulary / LOGITS_BYTES);
  const chunkRows = Math.ceil(rows / chunks);
  const matrix = vocabulary * modelDim;
  return 2 * chunkRows * vocabulary + chunkRows * (modelDim + 2) +
    // The final norm's output, and the gradient of the norm's input.
    2 * rows * modelDim + rows + gainLength(config, rows) +
    (chunks > 1 ? rows * (modelDim + 1) + chunkRows * (modelDim + 1) + matrix : 0) +
    (tiedHead ? 2 * matrix : 0);
}
