/** The embedding table, with a row for each token, and the table's gradient. */
import backwardSource from "../../../kernels/model/embedding_backward.wgsl" with { type: "text" };
import forwardSource from "../../../kernels/model/embedding_forward.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { elementKernel } from "../rows/parts.ts";
import { type Planned, runOnce } from "../shared/run_once.ts";
import {
  checkCall,
  checkIndices,
  checkShape,
  checkTensor,
  elementCount,
  emptyTensors,
  outputTensors,
  spreadWorkgroups,
} from "../shared/validation.ts";

/** Arguments of {@linkcode embeddingForward}. */
export interface EmbeddingForwardOptions {
  /**
   * `[…]`: integers from 0 to V − 1. If only the GPU knows them, no error reports a larger token:
   * the kernel reads the table's last row for it.
   */
  readonly tokens: Tensor;
  /** `[V, d]` */
  readonly table: Tensor;
}

/** Results of {@linkcode embeddingForward}. */
export interface EmbeddingForwardResult {
  /** `[…, d]`: the table's row of every token. */
  readonly output: Tensor;
}

/** The places in a text where each token occurs, for {@linkcode embeddingBackward}. */
export interface EmbeddingOrder {
  /** `[N]`: the places 0 to N − 1, sorted by their tokens; the sort is stable. */
  readonly order: Float32Array<ArrayBuffer>;
  /** `[V + 1]`: where each token's places begin in `order`, then N. */
  readonly starts: Float32Array<ArrayBuffer>;
}

/** Arguments of {@linkcode embeddingBackward}. */
export interface EmbeddingBackwardOptions {
  /** `[N]`, from {@linkcode embeddingOrder}. */
  readonly order: Tensor;
  /** `[V + 1]`, from {@linkcode embeddingOrder}. */
  readonly starts: Tensor;
  /** The loss's gradient with respect to the output: `[…, d]` with N rows. */
  readonly outputGradient: Tensor;
  /** The tensor for the table's gradient, `[V, d]`. Default: a new one. */
  readonly tableGradient?: Tensor;
}

/** Results of {@linkcode embeddingBackward}. */
export interface EmbeddingBackwardResult {
  /** `[V, d]`; zero for tokens that do not occur. */
  readonly tableGradient: Tensor;
}

/** float32 holds all integers up to this one. */
const LARGEST_COUNT = 2 ** 24;

/**
 * Prepares {@linkcode embeddingForward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for tokens outside the table, if the CPU knows them, or sizes beyond the
 *   adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planEmbeddingForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const table = gpu.tensor([1, 2, 3, 4], [2, 2]);
 * const { plan, output } = planEmbeddingForward(gpu, { tokens: gpu.tensor([1, 0], [2]), table });
 * gpu.run(plan);
 * console.log(output.shape, plan.cost.bytes);
 * ```
 */
export function planEmbeddingForward(
  gpu: Gpu,
  options: EmbeddingForwardOptions,
): Planned<EmbeddingForwardResult> {
  const operator = "embeddingForward";
  checkCall(operator, gpu, options);
  const { tokens, table } = options;
  checkTensor(gpu, tokens, { operator, name: "tokens" });
  checkShape(gpu, table, { operator, name: "table", wanted: ["V", "d"] });
  const [vocabulary, columns] = table.shape as [number, number];
  checkIndices(tokens, { operator, name: "tokens", count: vocabulary });
  const outputs = emptyTensors(gpu, operator, { output: [...tokens.shape, columns] });
  const { kernel, elements } = elementKernel(columns, {
    file: "model/embedding_forward.wgsl",
    source: forwardSource,
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { tokens, table, ...outputs },
    cost: { flops: 0, bytes: 4 * tokens.length * (1 + 2 * columns) },
    dispatches: [{
      kernel,
      parameters: [{ u32: tokens.length }, { u32: elements }, { u32: vocabulary }],
      buffers: [tokens, table, outputs.output],
      workgroups: spreadWorkgroups(gpu, Math.ceil(tokens.length * elements / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * Embedding: `output[i] = table[tokens[i]]`.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `tokens` […], `table` [V, d]
 * @returns `output` […, d]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for tokens outside the table, if the CPU knows them, or sizes beyond the
 *   adapter's limits
 *
 * @example
 * ```ts
 * import { embeddingForward, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const table = gpu.tensor([1, 2, 3, 4], [2, 2]);
 * const { output } = embeddingForward(gpu, { tokens: gpu.tensor([1, 0], [2]), table });
 * console.log(await output.read()); // 3, 4, 1, 2
 * ```
 */
export function embeddingForward(
  gpu: Gpu,
  options: EmbeddingForwardOptions,
): EmbeddingForwardResult {
  return runOnce(gpu, planEmbeddingForward(gpu, options));
}

/**
 * Sorts the places of a text by their tokens, so the table's gradient can be added up in a fixed
 * order.
 *
 * @param tokens N integers from 0 to V − 1
 * @param vocabulary V
 * @returns the order and where each token's places begin
 * @throws {RangeError} for a token outside the vocabulary, or if N or V is 2²⁴ or more, because
 *   float32 does not hold all larger integers
 *
 * @example
 * ```ts
 * import { embeddingOrder } from "@gradsink/gradsink";
 *
 * const { order, starts } = embeddingOrder([2, 0, 2], 3);
 * console.log(order, starts); // 1, 0, 2 and 0, 1, 1, 3
 * ```
 */
export function embeddingOrder(tokens: ArrayLike<number>, vocabulary: number): EmbeddingOrder {
  if (Math.max(tokens.length, vocabulary) >= LARGEST_COUNT) {
    throw new RangeError(
      `embeddingOrder: ${tokens.length} tokens of a vocabulary of ${vocabulary}, ` +
        `wanted fewer than ${LARGEST_COUNT}`,
    );
  }
  const starts = new Float32Array(vocabulary + 1);
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (!(Number.isInteger(token) && token >= 0 && token < vocabulary)) {
      throw new RangeError(
        `embeddingOrder: tokens[${i}] is ${token}, wanted an integer from 0 to ${vocabulary - 1}`,
      );
    }
    starts[token + 1]! += 1;
  }
  for (let token = 0; token < vocabulary; token++) starts[token + 1]! += starts[token]!;
  const next = starts.slice();
  const order = new Float32Array(tokens.length);
  for (let i = 0; i < tokens.length; i++) order[next[tokens[i]!]!++] = i;
  return { order, starts };
}

/**
 * Prepares {@linkcode embeddingBackward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes, or if `tableGradient` shares memory with an input
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { embeddingOrder, openGpu, planEmbeddingBackward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { order, starts } = embeddingOrder([1, 0, 1], 2);
 * const { plan, tableGradient } = planEmbeddingBackward(gpu, {
 *   order: gpu.tensor(order, [3]),
 *   starts: gpu.tensor(starts, [3]),
 *   outputGradient: gpu.tensor([1, 2, 3, 4, 5, 6], [3, 2]),
 * });
 * gpu.run(plan);
 * console.log(tableGradient.shape, plan.cost.flops);
 * ```
 */
export function planEmbeddingBackward(
  gpu: Gpu,
  options: EmbeddingBackwardOptions,
): Planned<EmbeddingBackwardResult> {
  const operator = "embeddingBackward";
  checkCall(operator, gpu, options);
  const { order, starts, outputGradient } = options;
  checkTensor(gpu, outputGradient, { operator, name: "outputGradient" });
  const columns = outputGradient.shape.at(-1) ?? 1;
  const rows = elementCount(outputGradient.shape) / columns;
  checkShape(gpu, order, { operator, name: "order", wanted: [rows] });
  checkShape(gpu, starts, { operator, name: "starts", wanted: ["V + 1"] });
  const vocabulary = starts.length - 1;
  if (vocabulary < 1) {
    throw new TypeError(`${operator}: starts has shape [1], wanted [V + 1] with V at least 1`);
  }
  const outputs = outputTensors(gpu, operator, {
    shapes: { tableGradient: [vocabulary, columns] },
    given: options,
    inputs: { order, starts, outputGradient },
  });
  const { kernel, elements } = elementKernel(columns, {
    file: "model/embedding_backward.wgsl",
    source: backwardSource,
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { order, starts, outputGradient, ...outputs },
    cost: {
      flops: rows * columns,
      bytes: 4 * ((rows + vocabulary) * columns + rows + vocabulary + 1),
    },
    dispatches: [{
      kernel,
      parameters: [{ u32: rows }, { u32: elements }, { u32: vocabulary }],
      buffers: [
        order,
        starts,
        outputGradient,
        outputs.tableGradient,
      ],
      workgroups: spreadWorkgroups(gpu, Math.ceil(vocabulary * elements / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * The gradient of {@linkcode embeddingForward}: `tableGradient[v] = Σ outputGradient[i]` over the
 * places i of token v. It adds in the order of {@linkcode embeddingOrder}, so the same input gives
 * the same bits.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `order` [N], `starts` [V + 1], `outputGradient` […, d] with N rows
 * @returns `tableGradient` [V, d]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes, or if `tableGradient` shares memory with an input
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { embeddingBackward, embeddingOrder, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { order, starts } = embeddingOrder([1, 0, 1], 2);
 * const { tableGradient } = embeddingBackward(gpu, {
 *   order: gpu.tensor(order, [3]),
 *   starts: gpu.tensor(starts, [3]),
 *   outputGradient: gpu.tensor([1, 2, 3, 4, 5, 6], [3, 2]),
 * });
 * console.log(await tableGradient.read()); // 3, 4, 6, 8
 * ```
 */
export function embeddingBackward(
  gpu: Gpu,
  options: EmbeddingBackwardOptions,
): EmbeddingBackwardResult {
  return runOnce(gpu, planEmbeddingBackward(gpu, options));
}
