/** Student's t distribution: tails and quantiles for any positive degrees of freedom. */
import { gammaln } from "simple-statistics";
import { normalTail } from "./significance.ts";

/**
 * The regularized incomplete beta function, by Lentz' evaluation of its continued fraction.
 *
 * Source: M. Abramowitz, I. Stegun, Handbook of mathematical functions, 26.5.8.
 */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // For an x this large the continued fraction converges slowly; so use the function's symmetry.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(
    gammaln(a + b) - gammaln(a) - gammaln(b) + a * Math.log(x) + b * Math.log1p(-x),
  ) / a;
  const tiny = 1e-300;
  const away = (value: number): number => Math.abs(value) < tiny ? tiny : value;
  let d = 1 / away(1 - (a + b) * x / (a + 1));
  let c = 1;
  let fraction = d;
  for (let m = 1; m <= 500; m++) {
    const even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    fraction *= d * c;
    const odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return front * fraction;
}

/** From this df on, use the normal distribution: at t = 6, the tails differ by less than 1 %. */
const NORMAL_FROM = 1e5;

/**
 * The probability that Student's t exceeds a value.
 *
 * @param t any number
 * @param df degrees of freedom, above 0; Infinity is the normal distribution
 */
export function studentTail(t: number, df: number): number {
  if (t < 0) return 1 - studentTail(-t, df);
  if (df >= NORMAL_FROM) return normalTail(t);
  return incompleteBeta(df / (df + t * t), df / 2, 0.5) / 2;
}

/**
 * The value that Student's t exceeds with a given probability.
 *
 * @param tail the probability, in (0, 0.5]
 * @param df degrees of freedom, above 0; Infinity is the normal distribution
 * @returns 0 or more; Infinity if the value is above 1e100
 */
export function studentQuantile(tail: number, df: number): number {
  let low = 0;
  let high = 1;
  while (studentTail(high, df) > tail) {
    low = high;
    high *= 2;
    if (high > 1e100) return Infinity;
  }
  // 60 halvings narrow the interval to about float64's precision.
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (studentTail(middle, df) > tail) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
