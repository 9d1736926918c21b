/** Decides whether a score exceeds a threshold and uniform attention's score, and so is a sink. */

/**
 * The score α_s of uniform attention, where a_tj = 1 / (t + 1) for j ≤ t. The score is the mean of
 * a_ts over the queries t = s … end − 1.
 *
 * @param position s, from 0 on
 * @param end one past the last query, above s
 *
 * @example
 * ```ts
 * import { uniformScore } from "./uniform.ts";
 *
 * console.log(uniformScore(0, 64).toFixed(3), uniformScore(0, 8).toFixed(2)); // 0.074 0.34
 * ```
 */
export function uniformScore(position: number, end: number): number {
  let sum = 0;
  for (let t = position; t < end; t++) sum += 1 / (t + 1);
  return sum / (end - position);
}

/**
 * A sink's score must exceed the score of uniform attention by this relative margin. Rounding
 * float32 logits below 100 changes a score by less.
 */
const ROUNDING = 1e-5;

/**
 * Whether a score counts as a sink.
 *
 * @param score α_s
 * @param options ε, and the score of uniform attention over the same queries
 */
export function isSink(
  score: number,
  { threshold, uniform }: { readonly threshold: number; readonly uniform: number },
): boolean {
  return score > threshold && score > uniform * (1 + ROUNDING);
}
