/** Copies contiguous elements from one tensor to another. */
import copySource from "../../../kernels/arithmetic/copy.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { Planned } from "../shared/run_once.ts";
import { checkCall, checkInteger, checkTensor, spreadWorkgroups } from "../shared/validation.ts";

/** Arguments of {@linkcode planCopy}. */
export interface CopyOptions {
  /** The tensor to copy from. */
  readonly source: Tensor;
  /** The first element to copy. Default: 0. */
  readonly sourceStart?: number;
  /** The tensor to copy to, which shares no memory with `source`. */
  readonly copied: Tensor;
  /** The first element to overwrite. Default: 0. */
  readonly copiedStart?: number;
  /** The number of elements. Default: as many as the smaller tensor has. */
  readonly length?: number;
}

/**
 * Prepares a copy of contiguous elements from one tensor to another.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors, and the elements' places
 * @returns the plan
 * @throws {TypeError} for wrong types, or if the two tensors share memory
 * @throws {RangeError} if the elements are not within both tensors
 *
 * @example
 * ```ts
 * import { openGpu, planCopy } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const copied = gpu.tensor([0, 0, 0], [3]);
 * const source = gpu.tensor([1, 2, 3], [3]);
 * const { plan } = planCopy(gpu, { source, sourceStart: 1, copied, length: 2 });
 * gpu.run(plan);
 * console.log(await copied.read()); // 2, 3, 0
 * ```
 */
export function planCopy(gpu: Gpu, options: CopyOptions): Planned<object> {
  const operator = "copy";
  checkCall(operator, gpu, options);
  const { source, copied, sourceStart = 0, copiedStart = 0 } = options;
  checkTensor(gpu, source, { operator, name: "source" });
  checkTensor(gpu, copied, { operator, name: "copied" });
  const length = options.length ?? Math.min(source.length, copied.length);
  checkInteger(length, {
    operator,
    name: "length",
    minimum: 1,
    maximum: Math.min(source.length, copied.length),
  });
  for (
    const [name, start, tensor] of [
      ["sourceStart", sourceStart, source],
      ["copiedStart", copiedStart, copied],
    ] as const
  ) {
    checkInteger(start, { operator, name, minimum: 0, maximum: tensor.length - length });
  }
  const plan = new Plan(gpu, {
    operator,
    tensors: { source, copied },
    cost: { flops: 0, bytes: 8 * length },
    dispatches: [{
      kernel: { parts: [{ file: "arithmetic/copy.wgsl", source: copySource }] },
      parameters: [{ u32: length }, { u32: sourceStart }, { u32: copiedStart }],
      buffers: [source, copied],
      workgroups: spreadWorkgroups(gpu, Math.ceil(length / 64)),
    }],
  });
  return { plan };
}
