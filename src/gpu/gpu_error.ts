/**
 * What a GPU refused or got wrong: a failed pipeline, a validation error, no memory, a lost device.
 *
 * Operators enqueue work and return at once, so such an error shows at the next `read()` or
 * `gpu.sync()`. It stays: every later read and sync rejects with it as well, since results computed
 * after it cannot be trusted. Open a new `Gpu` to go on.
 *
 * @example
 * ```ts
 * import { GpuError } from "@gradsink/gradsink";
 *
 * const error = new GpuError("attentionForward", "out of memory");
 * console.log(error.operator, error.message); // attentionForward attentionForward: out of memory
 * ```
 */
export class GpuError extends Error {
  /** The name of the class. */
  override readonly name = "GpuError";
  /** The operator whose work failed, for example `attentionForward`. */
  readonly operator: string;

  /**
   * Made by a `Gpu` from what its device reports.
   *
   * @param operator the operator whose work failed
   * @param reason what the GPU said
   */
  constructor(operator: string, reason: string) {
    super(`${operator}: ${reason}`);
    this.operator = operator;
  }
}
