/**
 * An error of the GPU: a kernel that does not compile, too little memory, a lost device.
 *
 * It ends the whole `Gpu`. Operators enqueue work and return at once, so the error shows at the
 * next `read()` or `gpu.sync()`, and at every later one, because numbers computed after an error
 * cannot be trusted. Open a new `Gpu` to go on; other `Gpu`s are not affected.
 *
 * For wrong arguments, operators and `new Plan` throw a TypeError or RangeError instead, before
 * anything reaches the GPU.
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
   * Used by `Gpu` for an error that its device reports.
   *
   * @param operator the operator whose work failed
   * @param reason what the GPU said
   */
  constructor(operator: string, reason: string) {
    super(`${operator}: ${reason}`);
    this.operator = operator;
  }
}
