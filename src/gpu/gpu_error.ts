/**
 * What a GPU refused or got wrong: a kernel that does not compile, too little memory, a lost
 * device.
 *
 * It ends the whole `Gpu`. Operators enqueue work and return at once, so the error shows at the
 * next `read()` or `gpu.sync()`, and every later one rejects with it as well, because no number
 * computed after the error can be trusted. Open a new `Gpu` to go on; other `Gpu`s are not
 * concerned.
 *
 * Wrong arguments do not lead here: operators and `new Plan` answer them by a TypeError or a
 * RangeError before anything reaches the GPU.
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
