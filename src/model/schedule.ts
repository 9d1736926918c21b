/** The learning rate: a warm-up, then half a cosine down to a share of the peak. */

/** The parameters of {@linkcode learningRate}. */
export interface Schedule {
  /** The largest rate, above 0. */
  readonly peak: number;
  /** The number of steps of the linear rise to the peak; 0 for none. */
  readonly warmUp: number;
  /** The number of all steps; more than `warmUp`. */
  readonly steps: number;
  /** The last step's rate as a share of the peak, from 0 to 1; 1 keeps the peak. Default: 0.1. */
  readonly floor?: number;
}

/**
 * The learning rate of a step. It rises linearly to the peak and then falls along half a cosine to
 * `floor` times the peak at the last step, where it stays.
 *
 * Source: Loshchilov and Hutter, arXiv 1608.03983.
 *
 * @param step counted from 0
 * @param schedule the peak, the warm-up and the number of steps
 * @throws {RangeError} for an impossible step or schedule
 *
 * @example
 * ```ts
 * import { learningRate } from "./schedule.ts";
 *
 * const schedule = { peak: 1, warmUp: 2, steps: 12 };
 * console.log([0, 1, 2, 11].map((step) => learningRate(step, schedule))); // 0.5, 1, ≈ 0.978, 0.1
 * ```
 */
export function learningRate(step: number, schedule: Schedule): number {
  const { peak, warmUp, steps, floor = 0.1 } = schedule;
  refuseUnless(Number.isSafeInteger(step) && step >= 0, "step", step, "an integer of at least 0");
  refuseUnless(peak > 0 && peak < Infinity, "peak", peak, "a finite number above 0");
  refuseUnless(
    Number.isSafeInteger(warmUp) && warmUp >= 0,
    "warmUp",
    warmUp,
    "an integer of at least 0",
  );
  refuseUnless(
    Number.isSafeInteger(steps) && steps > warmUp,
    "steps",
    steps,
    `an integer above the ${warmUp} of the warm-up`,
  );
  refuseUnless(floor >= 0 && floor <= 1, "floor", floor, "a number from 0 to 1");
  if (step < warmUp) return peak * (step + 1) / warmUp;
  const done = Math.min(1, (step + 1 - warmUp) / (steps - warmUp));
  return peak * (floor + (1 - floor) * (1 + Math.cos(Math.PI * done)) / 2);
}

function refuseUnless(holds: boolean, field: string, given: unknown, wanted: string): void {
  if (!holds) throw new RangeError(`learningRate: ${field} is ${given}, wanted ${wanted}`);
}
