import { checkedLength, checkNumbers } from "./gpu/arguments.ts";
import { Failures } from "./gpu/failures.ts";
import { GpuError } from "./gpu_error.ts";
import type { GpuInfo } from "./gpu_info.ts";
import { PipelineCache } from "./pipelines.ts";
import type { BufferOwner, Scalar } from "./owner.ts";
import { encodeForRun, type Plan } from "./plan.ts";
import { Recorder } from "./plan/recorder.ts";
import { Tensor } from "./tensor.ts";

/** Bytes per texel of a texture: four words of 32 bits. */
const TEXEL_BYTES = 16;

/**
 * An opened GPU: makes tensors, runs plans, reports errors. Opened by `openGpu`.
 *
 * Work is enqueued and runs in order. An error that the GPU reports later (a kernel that does not
 * compile, too little memory, a lost device) ends the whole `Gpu`: the next `read()` or `sync()`
 * rejects with a `GpuError`, and so does every later one. Open a new `Gpu` to go on.
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * console.log(gpu.info.vendor, gpu.info.backend, gpu.info.software ? "software" : "hardware");
 * ```
 */
export class Gpu implements BufferOwner {
  /** The adapter and runtime that were opened. */
  readonly info: GpuInfo;
  /** The device, for callers with their own kernels. */
  readonly device: GPUDevice;
  /** The compiled kernels. */
  readonly pipelines: PipelineCache;
  /**
   * The tuned choices for this adapter. A key names an operator and a class of shapes, such as
   * `rmsNormForward vector d<=1024 rows<=4096`; its value is the name of the variant to run.
   */
  readonly variants: Map<string, string> = new Map();
  readonly #buffers = new Set<GPUBuffer>();
  readonly #textures = new Set<GPUTexture>();
  readonly #failures: Failures;
  #disposed = false;

  /** Use `openGpu` instead. */
  constructor(device: GPUDevice, info: GpuInfo) {
    this.device = device;
    this.info = info;
    this.#failures = new Failures(device);
    const watch = (check: Promise<GpuError | undefined>) => this.#failures.watch(check);
    this.pipelines = new PipelineCache(device, info.runtime, watch);
  }

  /** True once `dispose()` has been called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /**
   * `buffers` counts the GPU buffers and textures alive, `bytes` is their total size. Both are
   * zero once everything has been disposed of.
   */
  get memory(): { readonly buffers: number; readonly bytes: number } {
    let bytes = 0;
    for (const buffer of this.#buffers) bytes += buffer.size;
    for (const { width, height, depthOrArrayLayers } of this.#textures) {
      bytes += TEXEL_BYTES * width * height * depthOrArrayLayers;
    }
    return { buffers: this.#buffers.size + this.#textures.size, bytes };
  }

  /**
   * Copies numbers to the GPU.
   *
   * @param data the elements, row-major; an array's numbers are rounded to float32
   * @param shape the lengths of the dimensions, each at least 1
   * @returns a new tensor
   * @throws {TypeError} if `data` is neither Float32Array nor an array of numbers, `shape` is not a
   *   list of positive integers, or `data` has more or fewer elements than that shape; if the `Gpu`
   *   has been disposed of
   * @throws {RangeError} if the tensor is larger than the adapter allows
   */
  tensor(data: Float32Array | readonly number[], shape: readonly number[]): Tensor {
    checkNumbers("tensor", data);
    const length = this.#checkShape("tensor", shape);
    if (data.length !== length) {
      throw new TypeError(
        `tensor: data has ${data.length} elements, wanted ${length} for shape [${
          shape.join(", ")
        }]`,
      );
    }
    const elements = data instanceof Float32Array ? data : Float32Array.from(data);
    const tensor = new Tensor(this, this.storage(length * 4), shape);
    tensor.write(elements);
    return tensor;
  }

  /**
   * Makes a tensor whose contents are undefined until written.
   *
   * @param shape the lengths of the dimensions, each at least 1
   * @returns a new tensor
   * @throws {TypeError} if `shape` is not a list of positive integers, or the `Gpu` has been
   *   disposed of
   * @throws {RangeError} if the tensor is larger than the adapter allows
   */
  empty(shape: readonly number[]): Tensor {
    const length = this.#checkShape("empty", shape);
    return new Tensor(this, this.storage(length * 4), shape);
  }

  /**
   * Enqueues plans, all in one submission.
   *
   * @param plans one plan, or several to run in this order
   * @throws {TypeError} if the `Gpu`, a plan or a plan's tensor has been disposed of, or a plan
   *   belongs to another `Gpu`
   */
  run(plans: Plan | readonly Plan[]): void {
    this.#checkAlive();
    const list = Array.isArray(plans) ? plans as readonly Plan[] : [plans as Plan];
    const foreign = list.find((plan) => !plan.belongsTo(this));
    if (foreign !== undefined) {
      throw new TypeError(`${foreign.operator}: the plan belongs to another Gpu`);
    }
    this.guard(operatorsOf(list), () => {
      const recorder = new Recorder(this.device.createCommandEncoder());
      for (const plan of list) encodeForRun(plan, recorder);
      this.device.queue.submit([recorder.encoder.finish()]);
    });
  }

  /**
   * Waits until all enqueued work has finished.
   *
   * @throws {GpuError} if any of it failed
   * @throws {TypeError} if the `Gpu` has been disposed of
   */
  async sync(): Promise<void> {
    this.#checkAlive();
    await this.#failures.settle();
    await this.device.queue.onSubmittedWorkDone();
    await this.#failures.settle();
  }

  /** Frees all tensors and plans and the device itself. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#failures.end();
    for (const resource of [...this.#buffers, ...this.#textures]) resource.destroy();
    this.#buffers.clear();
    this.#textures.clear();
    this.device.destroy();
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Runs a function that calls the device. If the device refuses a call, the next read or sync
   * rejects with a `GpuError` that names this operator.
   *
   * @param operator the operator that the error names
   * @param run calls the device, synchronously
   * @returns what `run` returns
   */
  guard<Result>(operator: string, run: () => Result): Result {
    return this.#failures.guard(operator, run);
  }

  /**
   * Makes a storage buffer. `memory` counts it until `free` frees it.
   *
   * @param size bytes, a multiple of 4
   * @throws {RangeError} if the adapter does not allow a buffer of this size
   * @throws {TypeError} if the `Gpu` has been disposed of
   */
  storage(size: number): GPUBuffer {
    this.checkSize("storage", size);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    return this.#allocate({ size, usage });
  }

  /** The bytes of the largest storage buffer that a kernel can use on this device. */
  get largestStorage(): number {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    return Math.min(maxBufferSize, maxStorageBufferBindingSize);
  }

  /**
   * Throws if the device allows no storage buffer of this size.
   *
   * @param operator the operator that needs the buffer
   * @param size bytes
   * @throws {RangeError} that says how many bytes the device allows
   */
  checkSize(operator: string, size: number): void {
    if (size > this.largestStorage) {
      throw new RangeError(
        `${operator}: a buffer of ${size} bytes is wanted, this adapter allows ${this.largestStorage}`,
      );
    }
  }

  /**
   * Makes a uniform buffer with these numbers. `memory` counts it until `free` frees it.
   *
   * @param scalars the fields of a WGSL struct of u32 and f32 members, in order
   * @throws {TypeError} if the `Gpu` has been disposed of
   */
  uniform(scalars: readonly Scalar[]): GPUBuffer {
    // Some graphics interfaces round the size of a uniform struct up to a multiple of 16 bytes.
    const bytes = new DataView(new ArrayBuffer(Math.max(1, Math.ceil(scalars.length / 4)) * 16));
    scalars.forEach((scalar, i) => {
      if ("u32" in scalar) bytes.setUint32(4 * i, scalar.u32, true);
      else bytes.setFloat32(4 * i, scalar.f32, true);
    });
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    const buffer = this.#allocate({ size: bytes.byteLength, usage });
    this.device.queue.writeBuffer(buffer, 0, bytes.buffer);
    return buffer;
  }

  /**
   * Makes a texture that kernels can read, with four words of 32 bits per texel. `memory` counts it
   * until `freeTexture` frees it.
   *
   * @param size its width and height, in texels, and its layers
   * @param format the type of its words
   * @throws {TypeError} if the `Gpu` has been disposed of
   */
  texture(
    size: readonly [width: number, height: number, layers: number],
    format: "rgba32float" | "rgba32uint",
  ): GPUTexture {
    this.#checkAlive();
    const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_SRC |
      GPUTextureUsage.COPY_DST;
    const texture = this.guard(
      this.#failures.lastOperator,
      () => this.device.createTexture({ size: [...size], format, usage }),
    );
    this.#textures.add(texture);
    return texture;
  }

  /** Frees a buffer made by `storage` or `uniform`. Work already enqueued still finishes. */
  free(buffer: GPUBuffer): void {
    if (this.#buffers.delete(buffer)) buffer.destroy();
  }

  /** Frees a texture made by `texture`. Work already enqueued still finishes. */
  freeTexture(texture: GPUTexture): void {
    if (this.#textures.delete(texture)) texture.destroy();
  }

  /**
   * Waits for all work enqueued so far and copies a buffer to the CPU.
   *
   * @param buffer a buffer made by `storage`
   * @param range the bytes to copy; all by default
   * @param into the memory to fill, of the range's size; new memory by default
   * @returns the ArrayBuffer of `into`
   * @throws {GpuError} if any work enqueued so far failed
   * @throws {TypeError} if the `Gpu` has been disposed of
   */
  async readBuffer(
    buffer: GPUBuffer,
    range: { readonly offset: number; readonly size: number } = { offset: 0, size: buffer.size },
    into: Uint8Array<ArrayBuffer> = new Uint8Array(range.size),
  ): Promise<ArrayBuffer> {
    this.#checkAlive();
    const operator = this.#failures.lastOperator;
    await this.#failures.settle();
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const staging = this.#allocate({ size: range.size, usage });
    try {
      this.guard(operator, () => {
        const encoder = this.device.createCommandEncoder();
        encoder.copyBufferToBuffer(buffer, range.offset, staging, 0, range.size);
        this.device.queue.submit([encoder.finish()]);
      });
      await staging.mapAsync(GPUMapMode.READ).catch(async (error: Error) => {
        this.#checkAlive();
        // Wait for the cause of the error: the report of a lost device may come a moment later.
        await Promise.race([this.device.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
        await this.#failures.settle();
        throw new GpuError(operator, error.message);
      });
      await this.#failures.settle();
      into.set(new Uint8Array(staging.getMappedRange()));
      return into.buffer;
    } finally {
      this.free(staging);
    }
  }

  #allocate(descriptor: GPUBufferDescriptor): GPUBuffer {
    this.#checkAlive();
    const buffer = this.guard(
      this.#failures.lastOperator,
      () => this.device.createBuffer(descriptor),
    );
    this.#buffers.add(buffer);
    return buffer;
  }

  #checkAlive(): void {
    if (this.#disposed) throw new TypeError("Cannot use the Gpu: it has been disposed of");
  }

  #checkShape(operator: string, shape: readonly number[]): number {
    const length = checkedLength(operator, shape);
    this.checkSize(operator, 4 * length);
    return length;
  }
}

// Names the operators of a submission for an error message: the first three, and how many others.
function operatorsOf(plans: readonly Plan[]): string {
  const operators = [...new Set(plans.map((plan) => plan.operator))];
  const named = operators.slice(0, 3).join(", ");
  const others = operators.length - 3;
  return others > 0 ? `${named} and ${others} other operators` : named || "run";
}
