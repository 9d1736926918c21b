/**
 * Steadier variances for many rows of few values each. If the rows' variances resemble each other,
 * each row borrows degrees of freedom from the others.
 *
 * Source: G. K. Smyth, Linear models and empirical Bayes methods for assessing differential
 * expression in microarray experiments (2004), section 6.2. The rows' variances are modeled as
 * draws from a scaled inverse chi-square distribution. The mean and the variance of the logarithms
 * of the rows' variances determine this distribution's two parameters.
 */
import { sum } from "./mean.ts";

/** A variance and how well it is known. */
export interface EstimatedVariance {
  /** 0 or more. */
  readonly variance: number;
  /** Degrees of freedom, 0 or more; Infinity for a variance that is known. */
  readonly df: number;
}

/** Fewer rows say too little about how much their variances differ. */
const LEAST_ROWS = 4;

/**
 * Variances below this share of the rows' median variance are raised to it. They arise where the
 * clock's step is so coarse that different times look equal.
 */
const LEAST_SHARE = 1e-5;

/** ψ(x), the derivative of log Γ, for x > 0: by recurrence, then Stirling's series. */
export function digamma(x: number): number {
  let shift = 0;
  let z = x;
  for (; z < 10; z++) shift -= 1 / z;
  const inverse = 1 / (z * z);
  return shift + Math.log(z) - 0.5 / z -
    inverse * (1 / 12 - inverse * (1 / 120 - inverse * (1 / 252 - inverse / 240)));
}

/** ψ′(x), for x > 0: by recurrence, then Stirling's series. */
export function trigamma(x: number): number {
  let shift = 0;
  let z = x;
  for (; z < 10; z++) shift += 1 / (z * z);
  const inverse = 1 / (z * z);
  return shift + 1 / z + inverse / 2 +
    inverse / z * (1 / 6 - inverse * (1 / 30 - inverse * (1 / 42 - inverse / 30)));
}

/** Solves ψ′(x) = value, for a value above 0, by bisection: ψ′ decreases. */
function trigammaInverse(value: number): number {
  let low = Math.log(1e-8);
  let high = Math.log(1e8);
  for (let step = 0; step < 100; step++) {
    const middle = (low + high) / 2;
    if (trigamma(Math.exp(middle)) > value) low = middle;
    else high = middle;
  }
  return Math.exp((low + high) / 2);
}

/**
 * Moderates variances.
 *
 * @param rows one variance per row; rows without degrees of freedom get the common variance
 * @returns the moderated variances in the same order. No row gets more degrees of freedom than all
 *   rows have together. The rows are returned unchanged if fewer than four have degrees of freedom,
 *   or if the median variance of the rows with degrees of freedom is 0
 *
 * @example
 * ```ts
 * import { moderateVariances } from "./moderation.ts";
 *
 * const rows = [1, 2, 4, 3, 2].map((variance) => ({ variance, df: 2 }));
 * console.log(moderateVariances(rows)[0]); // { variance: 2.4, df: 10 }
 * ```
 */
export function moderateVariances(rows: readonly EstimatedVariance[]): EstimatedVariance[] {
  const known = rows.filter(({ df }) => df > 0);
  const ordered = known.map(({ variance }) => variance).sort((a, b) => a - b);
  const least = LEAST_SHARE * (ordered[Math.floor(ordered.length / 2)] ?? 0);
  if (known.length < LEAST_ROWS || !(least > 0)) return [...rows];
  const logarithms = known.map(({ variance, df }) =>
    Math.log(Math.max(variance, least)) - digamma(df / 2) + Math.log(df / 2)
  );
  const mean = sum(logarithms) / known.length;
  const scatter = sum(logarithms.map((value) => (value - mean) ** 2)) / (known.length - 1);
  const excess = scatter - sum(known.map(({ df }) => trigamma(df / 2))) / known.length;
  const most = sum(known.map(({ df }) => df));
  const priorDf = excess > 0 ? 2 * trigammaInverse(excess) : Infinity;
  // If the variances differ no more than by chance, every row gets the mean of the variances,
  // weighted by df.
  const prior = excess > 0
    ? Math.exp(mean + digamma(priorDf / 2) - Math.log(priorDf / 2))
    : sum(known.map(({ variance, df }) => df * variance)) / most;
  return rows.map(({ variance, df }) => ({
    variance: priorDf === Infinity
      ? prior
      : (priorDf * prior + df * Math.max(variance, least)) / (priorDf + df),
    df: Math.min(most, priorDf + df),
  }));
}
