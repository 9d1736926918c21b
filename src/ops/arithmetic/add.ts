/** Sums of tensors, into a new tensor or in place. */
import accumulateSource from "../../../kernels/arithmetic/accumulate.wgsl" with { type: "text" };
import addSource from "../../../kernels/arithmetic/add.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { elementKernel } from "../rows/parts.ts";
import { type Planned, runOnce } from "../shared/run_once.ts";
import {
  checkCall,
  checkShape,
  checkTensor,
  outputTensors,
  spreadWorkgroups,
} from "../shared/validation.ts";

/** Arguments of {@linkcode add}. */
export interface AddOptions {
  /** Two or three tensors of one shape. */
  readonly terms: readonly [Tensor, Tensor, Tensor?];
  /** The tensor for the sum, which shares no memory with the terms. Default: a new one. */
  readonly sum?: Tensor;
}

/** Results of {@linkcode add}. */
export interface AddResult {
  /** Of the terms' shape. */
  readonly sum: Tensor;
}

/** Arguments of {@linkcode accumulate}. */
export interface AccumulateOptions {
  /** The tensor to add. */
  readonly term: Tensor;
  /** The tensor that `term` is added to, of the same shape. */
  readonly total: Tensor;
}

/**
 * Prepares {@linkcode add} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes, or if `sum` shares memory with a term
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planAdd } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { plan, sum } = planAdd(gpu, { terms: [gpu.tensor([1], [1]), gpu.tensor([2], [1])] });
 * gpu.run(plan);
 * console.log(sum.shape, plan.cost.bytes);
 * ```
 */
export function planAdd(gpu: Gpu, options: AddOptions): Planned<AddResult> {
  const operator = "add";
  checkCall(operator, gpu, options);
  const { terms } = options;
  if (!Array.isArray(terms) || terms.length < 2 || terms.length > 3) {
    throw new TypeError(`${operator}: terms has ${terms?.length} tensors, wanted 2 or 3`);
  }
  const [first, second, third] = terms as [Tensor, Tensor, Tensor | undefined];
  checkTensor(gpu, first, { operator, name: "terms[0]" });
  checkShape(gpu, second, { operator, name: "terms[1]", wanted: first.shape });
  if (third !== undefined) {
    checkShape(gpu, third, { operator, name: "terms[2]", wanted: first.shape });
  }
  const count = third === undefined ? 2 : 3;
  const outputs = outputTensors(gpu, operator, {
    shapes: { sum: first.shape },
    given: options,
    inputs: { terms },
  });
  const { kernel, elements } = elementKernel(first.length, {
    file: "arithmetic/add.wgsl",
    source: addSource,
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { terms, ...outputs },
    cost: { flops: (count - 1) * first.length, bytes: 4 * (count + 1) * first.length },
    dispatches: [{
      kernel,
      parameters: [{ u32: elements }, { u32: count }],
      buffers: [first, second, third ?? second, outputs.sum],
      workgroups: spreadWorkgroups(gpu, Math.ceil(elements / 64)),
    }],
  });
  return { plan, ...outputs };
}

/**
 * Adds two or three tensors element by element, in the order of `terms`.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `terms`: two or three of one shape
 * @returns `sum`, of that shape; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes, or if `sum` shares memory with a term
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { add, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { sum } = add(gpu, { terms: [gpu.tensor([1, 2], [2]), gpu.tensor([10, 20], [2])] });
 * console.log(await sum.read()); // 11, 22
 * ```
 */
export function add(gpu: Gpu, options: AddOptions): AddResult {
  return runOnce(gpu, planAdd(gpu, options));
}

/**
 * Prepares {@linkcode accumulate} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan
 * @throws {TypeError} for wrong types or shapes, or if `term` and `total` share memory
 *
 * @example
 * ```ts
 * import { openGpu, planAccumulate } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const total = gpu.tensor([1, 2], [2]);
 * const { plan } = planAccumulate(gpu, { term: gpu.tensor([10, 20], [2]), total });
 * gpu.run([plan, plan]); // adds twice
 * console.log(plan.cost.flops);
 * ```
 */
export function planAccumulate(gpu: Gpu, options: AccumulateOptions): Planned<object> {
  const operator = "accumulate";
  checkCall(operator, gpu, options);
  const { term, total } = options;
  checkTensor(gpu, total, { operator, name: "total" });
  checkShape(gpu, term, { operator, name: "term", wanted: total.shape });
  const { kernel, elements } = elementKernel(total.length, {
    file: "arithmetic/accumulate.wgsl",
    source: accumulateSource,
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { term, total },
    cost: { flops: total.length, bytes: 12 * total.length },
    dispatches: [{
      kernel,
      parameters: [{ u32: elements }],
      buffers: [term, total],
      workgroups: spreadWorkgroups(gpu, Math.ceil(elements / 64)),
    }],
  });
  return { plan };
}

/**
 * Adds a tensor to another in place: `total += term`. The addition is enqueued, not waited for.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `term` and `total`, of one shape
 * @throws {TypeError} for wrong types or shapes, or if `term` and `total` share memory
 *
 * @example
 * ```ts
 * import { accumulate, openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const total = gpu.tensor([1, 2], [2]);
 * accumulate(gpu, { term: gpu.tensor([10, 20], [2]), total });
 * console.log(await total.read()); // 11, 22
 * ```
 */
export function accumulate(gpu: Gpu, options: AccumulateOptions): void {
  runOnce(gpu, planAccumulate(gpu, options));
}
