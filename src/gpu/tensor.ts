import type { BufferOwner } from "./owner.ts";

/** The CPU remembers the elements of a tensor only if it has at most this many. */
const MOST_KNOWN = 4096;

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
  /** For a whole tensor: its elements, if there are few and the CPU was the last to write them. */
  #known: Float32Array | undefined;
  /** For a whole tensor: whether its elements may change at a time that this class cannot know. */
  #exposed = false;
  readonly #gpu: BufferOwner;
  readonly #buffer: GPUBuffer;
  /** For a slice: the whole tensor, and the index in it of the slice's first element. */
  readonly #part: { readonly whole: Tensor; readonly start: number } | undefined;
  #disposed = false;

  /** Use `gpu.tensor`, `gpu.empty` or `slice` instead. */
  constructor(
    gpu: BufferOwner,
    buffer: GPUBuffer,
    shape: readonly number[],
    part?: { readonly whole: Tensor; readonly start: number },
  ) {
    this.#part = part;
    this.shape = Object.freeze([...shape]);
    this.length = shape.reduce((product, size) => product * size, 1);
    this.#gpu = gpu;
    this.#buffer = buffer;
  }

  /**
   * The elements, if the CPU knows them. Operators use them to check small parameters, such as
   * V-scale's constants, before they enqueue anything. The CPU knows the elements of a tensor with
   * at most 4,096 that `gpu.tensor` or `write` wrote last. The result is undefined after a plan has
   * written any part. It is undefined for good once code has read `buffer` or `binding`, or has
   * called `Plan.encode` of a plan that writes the tensor.
   *
   * @returns a copy of the elements
   */
  get uploaded(): Float32Array | undefined {
    return this.#whole.#known?.slice(this.#start, this.#start + this.length);
  }

  /**
   * Forgets the elements. `Plan` calls this for every tensor that it writes.
   *
   * @param options `forGood`: a later `write` does not make them known again
   */
  forget({ forGood = false }: { readonly forGood?: boolean } = {}): void {
    this.#whole.#known = undefined;
    this.#whole.#exposed ||= forGood;
  }

  /**
   * True once the tensor, its `Gpu`, or the whole tensor of which it is a slice has been disposed
   * of.
   */
  get disposed(): boolean {
    return this.#disposed || this.#gpu.disposed || (this.#part?.whole.disposed ?? false);
  }

  /** True once the memory is freed. For a slice: once its whole tensor has been disposed of. */
  get freed(): boolean {
    return this.#whole.#disposed || this.#gpu.disposed;
  }

  /** True unless the tensor is a slice. */
  get isWhole(): boolean {
    return this.#part === undefined;
  }

  /** True if the tensor lives on this `Gpu`. */
  belongsTo(gpu: BufferOwner): boolean {
    return this.#gpu === gpu;
  }

  /**
   * Where the elements lie in memory. WebGPU may be unable to bind this region, so give a `Plan`
   * the tensor itself.
   *
   * @throws {TypeError} if the tensor has been disposed of
   */
  get region(): { readonly buffer: GPUBuffer; readonly offset: number; readonly size: number } {
    if (this.disposed) throw new TypeError("Cannot use the tensor: it has been disposed of");
    return { buffer: this.#buffer, offset: 4 * this.#start, size: 4 * this.length };
  }

  /**
   * The GPU buffer with the elements, for code that calls the device directly. A `Plan` takes the
   * tensor itself.
   *
   * @throws {TypeError} if the tensor has been disposed of, or is a slice that begins after its
   *   buffer's start
   */
  get buffer(): GPUBuffer {
    if (this.disposed) throw new TypeError("Cannot use the tensor: it has been disposed of");
    if (this.#offset !== 0) {
      throw new TypeError("Cannot use the tensor's buffer: it begins inside it; use `binding`");
    }
    this.forget({ forGood: true }); // From now on the caller may write the buffer at any time.
    return this.#buffer;
  }

  /**
   * The elements as a storage binding, for code that makes its own bind groups. A `Plan` takes the
   * tensor itself, and copies a slice that cannot be bound.
   *
   * @throws {TypeError} if the tensor has been disposed of, or is a slice that begins at an offset
   *   that cannot be bound
   */
  get binding(): GPUBuffer | GPUBufferBinding {
    if (this.#part === undefined) return this.buffer;
    if (this.disposed) throw new TypeError("Cannot use the tensor: it has been disposed of");
    const { minStorageBufferOffsetAlignment } = this.#gpu.device.limits;
    if (this.#offset % minStorageBufferOffsetAlignment !== 0) {
      throw new TypeError(
        `Cannot bind the tensor: it begins at byte ${this.#offset} of its buffer, ` +
          `wanted a multiple of ${minStorageBufferOffsetAlignment}; give the tensor to a Plan instead`,
      );
    }
    this.forget({ forGood: true });
    return this.region;
  }

  /**
   * Returns neighboring elements as a tensor that uses the same memory. Disposing of the slice
   * frees nothing.
   *
   * Every operator takes slices and gives the same results as for separate tensors. WebGPU binds a
   * slice directly if it begins at a multiple of `minStorageBufferOffsetAlignment` bytes (256 at
   * most) and the same dispatch writes no other part of the tensor. Otherwise the plan copies it,
   * which costs time and memory.
   *
   * @param start the first element, counted from 0
   * @param shape the slice's shape
   * @throws {TypeError} if the tensor has been disposed of, or `shape` is not a list of positive
   *   integers
   * @throws {RangeError} if the elements are not all within this tensor
   *
   * @example
   * ```ts
   * import { openGpu } from "@gradsink/gradsink";
   *
   * using gpu = await openGpu();
   * using tensor = gpu.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
   * console.log(await tensor.slice(3, [3]).read()); // 4, 5, 6
   * ```
   */
  slice(start: number, shape: readonly number[]): Tensor {
    if (this.disposed) throw new TypeError("Cannot slice the tensor: it has been disposed of");
    if (!shape.every((size) => Number.isSafeInteger(size) && size >= 1)) {
      throw new TypeError(
        `Cannot slice the tensor: shape is [${shape}], wanted a list of positive integers`,
      );
    }
    const length = shape.reduce((product, size) => product * size, 1);
    if (!Number.isSafeInteger(start) || start < 0 || start + length > this.length) {
      throw new RangeError(
        `Cannot slice the tensor: ${length} elements from ${start} on, wanted within ${this.length}`,
      );
    }
    return new Tensor(this.#gpu, this.#buffer, shape, {
      whole: this.#whole,
      start: this.#start + start,
    });
  }

  get #whole(): Tensor {
    return this.#part?.whole ?? this;
  }

  get #start(): number {
    return this.#part?.start ?? 0;
  }

  get #offset(): number {
    return 4 * this.#start;
  }

  // Updates the whole tensor's known elements after the CPU has written `data` to this tensor.
  #remember(data: Float32Array): void {
    const whole = this.#whole;
    if (whole.#exposed || whole.length > MOST_KNOWN) return;
    if (this.length === whole.length) whole.#known = data.slice();
    else whole.#known?.set(data, this.#start);
  }

  /**
   * Overwrites the elements. Work that is already enqueued sees the old ones, later work the new
   * ones.
   *
   * @param data as many numbers as the tensor has elements, row-major
   * @throws {TypeError} if the tensor has been disposed of, or `data` is not a Float32Array of the
   *   tensor's length
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
    this.#remember(data);
    this.#gpu.guard(
      "tensor",
      () =>
        this.#gpu.device.queue.writeBuffer(
          this.#buffer,
          this.#offset,
          data as Float32Array<ArrayBuffer>,
        ),
    );
  }

  /**
   * Waits for all work enqueued so far and copies the elements to the CPU.
   *
   * @param into the array to fill; a new one by default
   * @returns the elements, row-major
   * @throws {TypeError} if the tensor has been disposed of, or `into` has another length
   * @throws {GpuError} if any work enqueued so far failed
   */
  async read(
    into: Float32Array<ArrayBuffer> = new Float32Array(this.length),
  ): Promise<Float32Array<ArrayBuffer>> {
    if (this.disposed) throw new TypeError("Cannot read the tensor: it has been disposed of");
    if (into.length !== this.length) {
      throw new TypeError(
        `Cannot read the tensor: into has ${into.length} elements, wanted ${this.length}`,
      );
    }
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    await this.#gpu.readBuffer(
      this.#buffer,
      { offset: this.#offset, size: bytes.length },
      bytes,
    );
    return into;
  }

  /** Frees the memory, unless this is a slice. Work already enqueued still finishes. */
  dispose(): void {
    if (this.disposed) return;
    this.#disposed = true;
    if (this.#part === undefined) this.#gpu.free(this.#buffer);
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
