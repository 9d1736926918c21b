import type { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/pipelines.ts";
import { Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { mergeHeadsKernel, splitHeadsKernel } from "./model_kernels.ts";
import { type Planned, runOnce } from "./run_once.ts";
import {
  checkCall,
  checkFinite,
  checkInteger,
  checkShape,
  emptyTensors,
  spreadWorkgroups,
} from "./validation.ts";

/** Arguments of {@linkcode splitHeads}. */
export interface SplitHeadsOptions {
  /** `[B, T, H · D]` */
  readonly input: Tensor;
  /** H, which divides the last dimension into an even D. */
  readonly heads: number;
  /** `[T, D]`, of {@linkcode rotaryAngles}: turns the rows by RoPE. Default: they stay as they are. */
  readonly angles?: Tensor;
}

/** Arguments of {@linkcode mergeHeads}. */
export interface MergeHeadsOptions {
  /** `[B, H, T, D]`, D even. */
  readonly input: Tensor;
  /** `[T, D]`, of {@linkcode rotaryAngles}: turns the rows back. Default: they stay as they are. */
  readonly angles?: Tensor;
}

/** Results of {@linkcode splitHeads} and {@linkcode mergeHeads}. */
export interface HeadsResult {
  /** `[B, H, T, D]` of `splitHeads`, `[B, T, H · D]` of `mergeHeads`. */
  readonly output: Tensor;
}

/** What {@linkcode rotaryAngles} is told. */
export interface RotaryOptions {
  /** T */
  readonly sequenceLength: number;
  /** D, even. */
  readonly headDim: number;
  /** The base of the angles. Default: 10000. */
  readonly base?: number;
}

/**
 * Cosines and sines of RoPE's angles `t · base^(−2i/D)`: for every position t and every pair i of columns its cosine and
 * its sine, side by side.
 *
 * Source: Su et al., arXiv 2104.09864.
 *
 * @param options the lengths, and the base
 * @returns `[T, D]` numbers, computed in float64
 * @throws {TypeError} for what is not a number
 * @throws {RangeError} for lengths that are not positive integers, an odd D, or a base that is not above 0
 *
 * @example
 * ```ts
 * import { rotaryAngles } from "@gradsink/gradsink";
 *
 * console.log(rotaryAngles({ sequenceLength: 2, headDim: 2 })); // 1, 0, cos 1, sin 1
 * ```
 */
export function rotaryAngles(
  { sequenceLength, headDim, base = 10000 }: RotaryOptions,
): Float32Array<ArrayBuffer> {
  const operator = "rotaryAngles";
  const limits = { operator, minimum: 1, maximum: 2 ** 24 };
  checkInteger(sequenceLength, { ...limits, name: "sequenceLength" });
  checkInteger(headDim, { ...limits, name: "headDim" });
  checkFinite(base, { operator, name: "base" });
  if (headDim % 2 !== 0) {
    throw new RangeError(`${operator}: headDim is ${headDim}, wanted an even number`);
  }
  if (base <= 0) throw new RangeError(`${operator}: base is ${base}, wanted a number above 0`);
  const angles = new Float32Array(sequenceLength * headDim);
  for (let t = 0; t < sequenceLength; t++) {
    for (let i = 0; i < headDim; i += 2) {
      const angle = t * base ** (-i / headDim);
      angles[t * headDim + i] = Math.cos(angle);
      angles[t * headDim + i + 1] = Math.sin(angle);
    }
  }
  return angles;
}

interface HeadsShape {
  readonly batches: number;
  readonly heads: number;
  readonly sequenceLength: number;
  readonly headDim: number;
}

function planHeads(
  gpu: Gpu,
  { batches, heads, sequenceLength, headDim }: HeadsShape,
  { operator, kernel, input, angles, shape }: {
    readonly operator: string;
    readonly kernel: Kernel;
    readonly input: Tensor;
    readonly angles: Tensor | undefined;
    readonly shape: readonly number[];
  },
): Planned<HeadsResult> {
  if (headDim % 2 !== 0) {
    throw new TypeError(`${operator}: a head has ${headDim} columns, wanted an even number`);
  }
  if (angles !== undefined) {
    checkShape(gpu, angles, { operator, name: "angles", wanted: [sequenceLength, headDim] });
  }
  const outputs = emptyTensors(gpu, operator, { output: shape });
  // Something has to stand in the binding, and it is not read beyond its first pair.
  const turned = angles ?? input;
  const pairs = input.length / 2;
  const plan = new Plan(gpu, {
    operator,
    // A turned number: two products and a sum.
    cost: {
      flops: angles === undefined ? 0 : 3 * input.length,
      bytes: 4 * (2 * input.length + (angles?.length ?? 0)),
    },
    dispatches: [{
      kernel,
      parameters: [
        { u32: batches },
        { u32: heads },
        { u32: sequenceLength },
        { u32: headDim / 2 },
        { u32: angles === undefined ? 0 : 1 },
      ],
      buffers: [turned.binding, input.binding, outputs.output.binding],
      workgroups: spreadWorkgroups(gpu, Math.ceil(pairs / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * Prepares {@linkcode splitHeads} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a wrong number of heads, or sizes beyond the adapter
 *
 * @example
 * ```ts
 * import { openGpu, planSplitHeads } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 4]);
 * const { plan, output } = planSplitHeads(gpu, { input, heads: 2 });
 * gpu.run(plan);
 * console.log(output.shape, plan.cost.bytes);
 * ```
 */
export function planSplitHeads(gpu: Gpu, options: SplitHeadsOptions): Planned<HeadsResult> {
  const operator = "splitHeads";
  checkCall(operator, gpu, options);
  const { input, heads, angles } = options;
  checkShape(gpu, input, { operator, name: "input", wanted: ["B", "T", "H D"] });
  const [batches, sequenceLength, width] = input.shape as [number, number, number];
  checkInteger(heads, { operator, name: "heads", minimum: 1, maximum: width });
  if (width % heads !== 0) {
    throw new RangeError(`${operator}: heads is ${heads}, wanted a divisor of ${width}`);
  }
  const headDim = width / heads;
  return planHeads(gpu, { batches, heads, sequenceLength, headDim }, {
    operator,
    kernel: splitHeadsKernel,
    input,
    angles,
    shape: [batches, heads, sequenceLength, headDim],
  });
}

/**
 * Divides rows into heads and, with `angles`, turns them by RoPE: columns i and i + D/2 of a head, `x` and `y`, become
 * `x cos − y sin` and `x sin + y cos` of position t's angle i.
 *
 * Source: Su et al., arXiv 2104.09864, in the order of columns of Hugging Face's Llama.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `input` [B, T, H · D], `heads` H, `angles` [T, D]
 * @returns `output` [B, H, T, D]; enqueued, not waited for. Its gradient is {@linkcode mergeHeads} of the same angles.
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a wrong number of heads, or sizes beyond the adapter
 *
 * @example
 * ```ts
 * import { openGpu, splitHeads } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 4]);
 * const { output } = splitHeads(gpu, { input, heads: 2 });
 * console.log(output.shape, await output.read()); // [1, 2, 2, 2]: 1, 2, 5, 6, 3, 4, 7, 8
 * ```
 */
export function splitHeads(gpu: Gpu, options: SplitHeadsOptions): HeadsResult {
  return runOnce(gpu, planSplitHeads(gpu, options));
}

/**
 * Prepares {@linkcode mergeHeads} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter
 *
 * @example
 * ```ts
 * import { openGpu, planMergeHeads } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([1, 2, 5, 6, 3, 4, 7, 8], [1, 2, 2, 2]);
 * const { plan, output } = planMergeHeads(gpu, { input });
 * gpu.run(plan);
 * console.log(output.shape, plan.cost.bytes);
 * ```
 */
export function planMergeHeads(gpu: Gpu, options: MergeHeadsOptions): Planned<HeadsResult> {
  const operator = "mergeHeads";
  checkCall(operator, gpu, options);
  const { input, angles } = options;
  checkShape(gpu, input, { operator, name: "input", wanted: ["B", "H", "T", "D"] });
  const [batches, heads, sequenceLength, headDim] = input.shape as [number, number, number, number];
  return planHeads(gpu, { batches, heads, sequenceLength, headDim }, {
    operator,
    kernel: mergeHeadsKernel,
    input,
    angles,
    shape: [batches, sequenceLength, heads * headDim],
  });
}

/**
 * Puts heads side by side again and, with `angles`, turns them back: the inverse of {@linkcode splitHeads}, and its
 * gradient, since rotations are orthogonal.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `input` [B, H, T, D], `angles` [T, D]
 * @returns `output` [B, T, H · D]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter
 *
 * @example
 * ```ts
 * import { mergeHeads, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([1, 2, 5, 6, 3, 4, 7, 8], [1, 2, 2, 2]);
 * const { output } = mergeHeads(gpu, { input });
 * console.log(output.shape, await output.read()); // [1, 2, 4]: 1 to 8
 * ```
 */
export function mergeHeads(gpu: Gpu, options: MergeHeadsOptions): HeadsResult {
  return runOnce(gpu, planMergeHeads(gpu, options));
}
