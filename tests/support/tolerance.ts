/**
 * Bounds of the distance between a float32 kernel and the float64 twin, from a forward error
 * analysis. attention/tolerance.ts has the bounds of attention, rows/tolerance.ts those of RMSNorm
 * and V-scale.
 *
 * Every operation contributes its rounding error. For +, − and · that is u = 2^-24, relative. For
 * the rest it is what the WGSL specification allows: a division 2.5 ulp, exp x 3 + 2|x| ulp, log 3
 * ulp (2^-21 absolute between ½ and 2), a square root 2 ulp and a division. An ulp is at most 2u.
 * Subnormal numbers may be flushed to zero: an absolute error of 2^-126 for each product.
 *
 * A sum of terms in any order is off by at most n u Σ|terms| (Higham, Accuracy and Stability of
 * Numerical Algorithms, section 4.2), where n is the longest chain of additions that a term goes
 * through. Among the variants, the longest chain counts: that of D products added one by one, of
 * the keys in a tile of 32, or of the sums of 64 invocations.
 *
 * A logit's error δ reaches its weight through exp as exp(δ) − 1, to all orders. So the bounds also
 * hold for logits in the thousands, and are wide there, as the kernel's errors are.
 */

/** Unit roundoff of float32. */
export const U = 2 ** -24;

/** The smallest normal float32: an error of this size is a flushed subnormal. */
export const FLUSH = 2 ** -126;

/** The relative error of a division. */
export const DIVISION = 5 * U;

/** The relative error of exp(x) if x itself has no error. */
export function exponential(x: number): number {
  return 2 * U * (3 + 2 * Math.abs(x));
}
