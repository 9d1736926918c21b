/** Splits each position's row into the rows of its heads, and joins these again. */
import source from "../../../kernels/model/heads.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { compiledLengths } from "../shared/compiled_lengths.ts";
import { type Planned, runOnce } from "../shared/run_once.ts";
import {
  checkCall,
  checkInteger,
  checkShape,
  emptyTensors,
  spreadWorkgroups,
} from "../shared/validation.ts";

/** Arguments of {@linkcode splitHeads}. */
export interface SplitHeadsOptions {
  /** `[B, T, H · D]` */
  readonly input: Tensor;
  /** H. Must divide the last dimension; the quotient D must be a multiple of 4. */
  readonly heads: number;
}

/** Arguments of {@linkcode mergeHeads}. */
export interface MergeHeadsOptions {
  /** `[B, H, T, D]`, D a multiple of 4. */
  readonly input: Tensor;
}

/** Results of {@linkcode splitHeads} and {@linkcode mergeHeads}. */
export interface HeadsResult {
  /** `[B, H, T, D]` of `splitHeads`, `[B, T, H · D]` of `mergeHeads`. */
  readonly output: Tensor;
}

// Plans the swap of heads and positions, the two middle dimensions: the input [B, J, I, D] becomes
// [B, I, J, D]. The input's last two dimensions may be joined.
function planSwap(
  gpu: Gpu,
  input: Tensor,
  { operator, swapped: [batches, outer, inner, headDim], shape }: {
    readonly operator: string;
    /** B, I, J and D: the output's lengths before any dimensions are joined. */
    readonly swapped: readonly [number, number, number, number];
    /**
     * The output's shape: the lengths of `swapped`, with the last two joined if heads are merged.
     */
    readonly shape: readonly number[];
  },
): Planned<HeadsResult> {
  if (headDim % 4 !== 0) {
    throw new TypeError(`${operator}: a head has ${headDim} columns, wanted a multiple of 4`);
  }
  const outputs = emptyTensors(gpu, operator, { output: shape });
  const plan = new Plan(gpu, {
    operator,
    tensors: { input, ...outputs },
    cost: { flops: 0, bytes: 8 * input.length },
    dispatches: [{
      kernel: {
        parts: [{ file: "model/heads.wgsl", source }],
        constants: compiledLengths(gpu, {
          invocations: input.length / 4,
          lengths: { OUTER: outer, INNER: inner, VECTORS: headDim / 4 },
        }),
      },
      parameters: [batches, outer, inner, headDim / 4].map((u32) => ({ u32 })),
      buffers: [input, outputs.output],
      workgroups: spreadWorkgroups(gpu, Math.ceil(input.length / 256)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * Prepares {@linkcode splitHeads} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensor and the number of heads
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a wrong number of heads, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planSplitHeads } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor(Array.from({ length: 16 }, (_, i) => i), [1, 2, 8]);
 * const { plan, output } = planSplitHeads(gpu, { input, heads: 2 });
 * gpu.run(plan);
 * console.log(output.shape, plan.cost.bytes);
 * ```
 */
export function planSplitHeads(gpu: Gpu, options: SplitHeadsOptions): Planned<HeadsResult> {
  const operator = "splitHeads";
  checkCall(operator, gpu, options);
  const { input, heads } = options;
  checkShape(gpu, input, { operator, name: "input", wanted: ["B", "T", "H D"] });
  const [batches, sequenceLength, width] = input.shape as [number, number, number];
  checkInteger(heads, { operator, name: "heads", minimum: 1, maximum: width });
  if (width % heads !== 0) {
    throw new RangeError(`${operator}: heads is ${heads}, wanted a divisor of ${width}`);
  }
  const headDim = width / heads;
  const swapped = [batches, heads, sequenceLength, headDim] as const;
  return planSwap(gpu, input, { operator, swapped, shape: swapped });
}

/**
 * Splits rows into heads: `output[b][h][t] = input[b][t][h]`.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `input` [B, T, H · D], `heads` H
 * @returns `output` [B, H, T, D]; enqueued, not waited for. {@linkcode mergeHeads} turns the
 *   gradient of `output` into the gradient of `input`.
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a wrong number of heads, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, splitHeads } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor(Array.from({ length: 16 }, (_, i) => i), [1, 2, 8]);
 * const { output } = splitHeads(gpu, { input, heads: 2 });
 * console.log(output.shape); // [1, 2, 2, 4]
 * console.log(await output.read()); // 0 to 3, 8 to 11, 4 to 7, 12 to 15
 * ```
 */
export function splitHeads(gpu: Gpu, options: SplitHeadsOptions): HeadsResult {
  return runOnce(gpu, planSplitHeads(gpu, options));
}

/**
 * Prepares {@linkcode mergeHeads} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensor
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planMergeHeads } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor(Array.from({ length: 16 }, (_, i) => i), [1, 2, 2, 4]);
 * const { plan, output } = planMergeHeads(gpu, { input });
 * gpu.run(plan);
 * console.log(output.shape, plan.cost.bytes);
 * ```
 */
export function planMergeHeads(gpu: Gpu, options: MergeHeadsOptions): Planned<HeadsResult> {
  const operator = "mergeHeads";
  checkCall(operator, gpu, options);
  const { input } = options;
  checkShape(gpu, input, { operator, name: "input", wanted: ["B", "H", "T", "D"] });
  const [batches, heads, sequenceLength, headDim] = input.shape as [number, number, number, number];
  return planSwap(gpu, input, {
    operator,
    swapped: [batches, sequenceLength, heads, headDim],
    shape: [batches, sequenceLength, heads * headDim],
  });
}

/**
 * Merges heads into rows: `output[b][t][h] = input[b][h][t]`, the inverse of {@linkcode
 * splitHeads}.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `input` [B, H, T, D]
 * @returns `output` [B, T, H · D]; enqueued, not waited for. {@linkcode splitHeads} turns the
 *   gradient of `output` into the gradient of `input`.
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { mergeHeads, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor(Array.from({ length: 16 }, (_, i) => i), [1, 2, 2, 4]);
 * const { output } = mergeHeads(gpu, { input });
 * console.log(output.shape, await output.read()); // [1, 2, 8]: 0 to 3, 8 to 11, 4 to 7, 12 to 15
 * ```
 */
export function mergeHeads(gpu: Gpu, options: MergeHeadsOptions): HeadsResult {
  return runOnce(gpu, planMergeHeads(gpu, options));
}
