/** Collects the errors of a device, which it reports some time after the calls that cause them. */
import { GpuError } from "../gpu_error.ts";

/** One device's earliest known error, and its unfinished checks (error scopes, compilations). */
export class Failures {
  readonly #device: GPUDevice;
  readonly #checks = new Set<Promise<void>>();
  #failure: { readonly order: number; readonly error: GpuError } | undefined;
  #order = 0;
  #ended = false;
  #lastOperator = "gpu";

  /** @param device the device; its uncaptured errors and its loss are collected too */
  constructor(device: GPUDevice) {
    this.#device = device;
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#fail(
        new GpuError(this.#lastOperator, (event as GPUUncapturedErrorEvent).error.message),
      );
    });
    void device.lost.then(({ reason, message }) => {
      if (this.#ended) return;
      this.#fail(new GpuError(this.#lastOperator, `the device was lost (${reason}): ${message}`));
    });
  }

  /** The operator of the last guarded call. */
  get lastOperator(): string {
    return this.#lastOperator;
  }

  /**
   * Runs a function that calls the device, and collects the errors of its calls.
   *
   * @param operator the operator that an error names
   * @param run calls the device, synchronously
   */
  guard<Result>(operator: string, run: () => Result): Result {
    this.#lastOperator = operator;
    const kinds = ["internal", "out-of-memory", "validation"] as const;
    for (const kind of kinds) this.#device.pushErrorScope(kind);
    try {
      return run();
    } finally {
      for (const _ of kinds) {
        this.watch(
          this.#device.popErrorScope().then((error) =>
            error === null ? undefined : new GpuError(operator, error.message.trim())
          ),
        );
      }
    }
  }

  /**
   * Collects the error of a check once its promise resolves.
   *
   * @param check resolves to an error, or to undefined
   */
  watch(check: Promise<GpuError | undefined>): void {
    const order = this.#order++;
    const watched: Promise<void> = check.then(
      (error) => error && this.#fail(error, order),
      // The promise rejects if the device is gone. After `end` that is expected. Before `end` it is
      // an error with a new, later number. So an error that is known already is reported instead,
      // such as the reason that `lost` gives.
      (error) => this.#ended || this.#fail(new GpuError(this.#lastOperator, String(error))),
    ).then(() => void this.#checks.delete(watched));
    this.#checks.add(watched);
  }

  /**
   * Waits for all checks.
   *
   * @throws {GpuError} the error of the earliest call that caused one
   */
  async settle(): Promise<void> {
    while (this.#checks.size > 0) await Promise.all(this.#checks);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** From now on the device's loss is expected, so it is no failure any more. */
  end(): void {
    this.#ended = true;
  }

  // Errors arrive in any order. Report the one that the earliest call caused.
  #fail(error: GpuError, order: number = this.#order++): void {
    if (order < (this.#failure?.order ?? Infinity)) this.#failure = { order, error };
  }
}
