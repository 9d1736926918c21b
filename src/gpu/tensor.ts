import type { Gpu } from "./gpu.ts";

/**
 * A row-major float32 array in GPU memory. Made by `gpu.tensor`, `gpu.empty` and the operators.
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * using tensor = gpu.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
 * console.log(tensor.shape, await tensor.read());
 * ```
 */
export class Tensor {
  /** The lengths of the dimensions, the last one contiguous in memory. */
  readonly shape: readonly number[];
  /** The number of elements. */
  readonly length: number;
  #uploaded: Float32Array | undefined;
  readonly #gpu: Gpu;
  readonly #buffer: GPUBuffer;
  #disposed = false;

  /** Made by `gpu.tensor`, `gpu.empty` and the operators. */
  constructor(gpu: Gpu, buffer: GPUBuffer, shape: readonly number[], uploaded?: Float32Array) {
    this.#uploaded = uploaded;
    this.shape = Object.freeze([...shape]);
    this.length = shape.reduce((product, size) => product * size, 1);
    this.#gpu = gpu;
    this.#buffer = buffer;
  }

  /**
   * The elements, if the tensor was made from at most 4,096 numbers: small parameters, such as V-scale's
   * constants, are checked against them before anything is enqueued.
   */
  get uploaded(): Float32Array | undefined {
    return this.#uploaded;
  }

  /** True once `dispose()` has been called, or the tensor's `Gpu` has been disposed of. */
  get disposed(): boolean {
    return this.#disposed || this.#gpu.disposed;
  }

  /** True if the tensor lives on this `Gpu`. */
  belongsTo(gpu: Gpu): boolean {
    return this.#gpu === gpu;
  }

  /**
   * The GPU buffer with the elements, for those who write kernels of their own.
   *
   * @throws {TypeError} if the tensor has been disposed of
   */
  get buffer(): GPUBuffer {
    if (this.disposed) throw new TypeError("Cannot use the tensor: it has been disposed of");
    return this.#buffer;
  }

  /**
   * Overwrites the elements. Work enqueued before still sees the old ones, work enqueued from now on the new.
   *
   * @param data as many numbers as the tensor has elements, row-major
   * @throws {TypeError} if the tensor has been disposed of, or `data` is no Float32Array of its length
   *
   * @example
   * ```ts
   * import { openGpu } from "@gradsink/gradsink";
   *
   * using gpu = await openGpu();
   * using tensor = gpu.empty([2]);
   * tensor.write(Float32Array.of(1, 2));
   * console.log(await tensor.read());
   * ```
   */
  write(data: Float32Array): void {
    if (this.disposed) throw new TypeError("Cannot write the tensor: it has been disposed of");
    if (!(data instanceof Float32Array) || data.length !== this.length) {
      throw new TypeError(
        `Cannot write the tensor: data has ${data?.length} elements, wanted a Float32Array of ${this.length}`,
      );
    }
    if (this.#uploaded !== undefined) this.#uploaded = data.slice();
    this.#gpu.guard(
      "tensor",
      () => this.#gpu.device.queue.writeBuffer(this.#buffer, 0, data as Float32Array<ArrayBuffer>),
    );
  }

  /**
   * Waits for all work enqueued so far and copies the elements to the CPU.
   *
   * @returns the elements, row-major
   * @throws {TypeError} if the tensor has been disposed of
   * @throws {GpuError} if any work enqueued so far failed
   */
  async read(): Promise<Float32Array<ArrayBuffer>> {
    if (this.disposed) throw new TypeError("Cannot read the tensor: it has been disposed of");
    return new Float32Array(await this.#gpu.readBuffer(this.#buffer));
  }

  /** Frees the memory. Work already enqueued still finishes. */
  dispose(): void {
    if (this.disposed) return;
    this.#disposed = true;
    this.#gpu.free(this.#buffer);
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
