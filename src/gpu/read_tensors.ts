import type { Gpu } from "./gpu.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Copies many tensors to the CPU together: in Deno every `read` costs 10 ms, however small the tensor.
 *
 * @param gpu the GPU that holds the tensors
 * @param tensors any
 * @returns the elements of each
 * @throws {TypeError} if a tensor has been disposed of, or belongs to another `Gpu`
 * @throws {GpuError} if any work enqueued so far failed
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { readTensors } from "./read_tensors.ts";
 *
 * using gpu = await openGpu();
 * const [a, b] = await readTensors(gpu, [gpu.tensor([1, 2], [2]), gpu.tensor([3], [1])]);
 * console.log(a, b);
 * ```
 */
export async function readTensors(
  gpu: Gpu,
  tensors: readonly Tensor[],
): Promise<Float32Array<ArrayBuffer>[]> {
  if (tensors.some((tensor) => !tensor.belongsTo(gpu))) {
    throw new TypeError("readTensors: a tensor belongs to another Gpu");
  }
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.device.limits;
  const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  const results: Float32Array<ArrayBuffer>[] = [];
  for (let first = 0; first < tensors.length;) {
    let bytes = 0;
    let end = first;
    while (end < tensors.length && (end === first || bytes + 4 * tensors[end]!.length <= most)) {
      bytes += 4 * tensors[end++]!.length;
    }
    results.push(...await readGroup(gpu, tensors.slice(first, end), bytes));
    first = end;
  }
  return results;
}

async function readGroup(
  gpu: Gpu,
  tensors: readonly Tensor[],
  bytes: number,
): Promise<Float32Array<ArrayBuffer>[]> {
  const gathered = gpu.storage(bytes);
  try {
    gpu.guard("readTensors", () => {
      const encoder = gpu.device.createCommandEncoder();
      let offset = 0;
      for (const { buffer, length } of tensors) {
        encoder.copyBufferToBuffer(buffer, 0, gathered, offset, 4 * length);
        offset += 4 * length;
      }
      gpu.device.queue.submit([encoder.finish()]);
    });
    const elements = new Float32Array(await gpu.readBuffer(gathered));
    let start = 0;
    return tensors.map(({ length }) => elements.slice(start, start += length));
  } finally {
    gpu.free(gathered);
  }
}
