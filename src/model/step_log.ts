/**
 * Keeps each training step's loss on the GPU and reads many at once, because a readback costs 10 ms
 * in Deno.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";

/** The record of one step. */
export interface StepRecord {
  /** The step's number, as given to `record`. */
  readonly step: number;
  /** In nats per token. */
  readonly loss: number;
  /** The norm of all gradients together, before clipping. */
  readonly gradientNorm: number;
}

/**
 * Keeps the loss and the gradient's norm of the steps that are not yet read.
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { StepLog } from "./step_log.ts";
 *
 * using gpu = await openGpu();
 * const [loss, clipping] = [gpu.tensor([4.1], [1]), gpu.tensor([0.7, 1], [2])];
 * using log = new StepLog(gpu, { loss, clipping, capacity: 10 });
 * log.record(0);
 * loss.write(Float32Array.of(4));
 * log.record(1);
 * console.log(await log.read()); // both steps
 * ```
 */
export class StepLog {
  readonly capacity: number;
  readonly #gpu: Gpu;
  readonly #loss: Tensor;
  readonly #clipping: Tensor;
  readonly #records: Tensor;
  #pending: { readonly step: number; readonly place: number }[] = [];
  /** The number of steps that unfinished reads will return: their slots are not free yet. */
  #reading = 0;
  #next = 0;

  /**
   * @param options `loss`, [1], and `clipping`, [2], whose first element is the gradient's norm:
   *   every training step fills these two tensors; `capacity`: the most unread steps
   * @throws {RangeError} if the capacity is not a positive integer
   */
  constructor(gpu: Gpu, { loss, clipping, capacity }: {
    readonly loss: Tensor;
    readonly clipping: Tensor;
    readonly capacity: number;
  }) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new RangeError(`StepLog: capacity is ${capacity}, wanted a positive integer`);
    }
    this.#gpu = gpu;
    this.#loss = loss;
    this.#clipping = clipping;
    this.capacity = capacity;
    this.#records = gpu.empty([capacity, 2]);
  }

  get pending(): number {
    return this.#pending.length;
  }

  /**
   * Enqueues copying the last step's loss and gradient norm into the log.
   *
   * @param step the step's number
   * @throws {RangeError} if the log is full: it holds `capacity` unread steps
   */
  record(step: number): void {
    const length = this.#pending.length + this.#reading;
    if (length >= this.capacity) {
      throw new RangeError(`StepLog: ${length} steps have not been read, no more fit`);
    }
    const place = this.#next;
    this.#gpu.guard("StepLog", () => {
      const encoder = this.#gpu.device.createCommandEncoder();
      const { buffer } = this.#records;
      encoder.copyBufferToBuffer(this.#loss.buffer, 0, buffer, 8 * place, 4);
      encoder.copyBufferToBuffer(this.#clipping.buffer, 0, buffer, 8 * place + 4, 4);
      this.#gpu.device.queue.submit([encoder.finish()]);
    });
    this.#next = (place + 1) % this.capacity;
    this.#pending.push({ step, place });
  }

  /**
   * Waits for all work enqueued so far and reads the log.
   *
   * @returns the steps recorded since the last read, in their order
   * @throws {GpuError} if any work enqueued so far failed
   */
  async read(): Promise<StepRecord[]> {
    const steps = this.#pending;
    this.#pending = [];
    this.#reading += steps.length;
    try {
      const numbers = await this.#records.read();
      return steps.map(({ step, place }) => ({
        step,
        loss: numbers[2 * place]!,
        gradientNorm: numbers[2 * place + 1]!,
      }));
    } finally {
      this.#reading -= steps.length;
    }
  }

  /** Frees the log. */
  dispose(): void {
    this.#records.dispose();
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
