/** Tests whether two lists of samples differ, and corrects p-values of many tests. */
import { wilcoxonRankSum } from "simple-statistics";

/** What {@linkcode mannWhitney} finds. */
export interface MannWhitney {
  /** In how many pairs the first list's sample is the larger one; ties count half. */
  readonly u: number;
  /** The two-sided p-value. */
  readonly pValue: number;
  /** exact: from all rank orders. normal: from the normal approximation, corrected for ties. */
  readonly method: "exact" | "normal";
}

/**
 * The probability that a standard normal variable exceeds z, with a small relative error far out in
 * the tail as well: corrected p-values live there.
 *
 * By the series of Abramowitz and Stegun 26.2.10 up to 3, and by Lentz' evaluation of the continued
 * fraction 26.2.14 beyond.
 *
 * @param z any finite number
 */
export function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  const density = Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
  if (z < 3) {
    let term = z;
    let sum = z;
    for (let k = 3; Math.abs(term) > 1e-17 * sum; k += 2) {
      term *= z * z / k;
      sum += term;
    }
    return 0.5 - density * sum;
  }
  let fraction = 0;
  for (let k = 120; k >= 1; k--) fraction = k / (z + fraction);
  return density / (z + fraction);
}

/** The number of rank orders for each value of U: the coefficients of the Gaussian binomial. */
function rankOrders(n: number, m: number): Float64Array<ArrayBuffer> {
  const counts = new Float64Array(n * m + 1);
  counts[0] = 1;
  for (let i = 1; i <= n; i++) {
    // times (1 − q^(m+i)), then divided by (1 − q^i)
    for (let u = counts.length - 1; u >= m + i; u--) counts[u]! -= counts[u - m - i]!;
    for (let u = i; u < counts.length; u++) counts[u]! += counts[u - i]!;
  }
  return counts;
}

/** The sum of t³ − t over groups of t equal values. */
function tieTerm(values: Float64Array): number {
  let sum = 0;
  for (let from = 0; from < values.length;) {
    let to = from + 1;
    while (to < values.length && values[to] === values[from]) to++;
    const t = to - from;
    sum += t ** 3 - t;
    from = to;
  }
  return sum;
}

/**
 * The Mann–Whitney U test (Wilcoxon's rank-sum test), two-sided.
 *
 * Exact for at most 400 pairs without ties; else by the normal approximation with the variance
 * corrected for ties and a continuity correction.
 *
 * Source: E. L. Lehmann, Nonparametrics (1975), sections 1.2 to 1.4. The rank sum is
 * simple-statistics'; its permutation test compares means, which interruptions dominate, so it is
 * not used here.
 *
 * @param a independent samples
 * @param b independent samples
 * @returns undefined if either list is empty
 *
 * @example
 * ```ts
 * import { mannWhitney } from "./significance.ts";
 *
 * console.log(mannWhitney([19, 22, 16, 29, 24], [20, 11, 17, 12])?.pValue); // 0.111…
 * ```
 */
export function mannWhitney(a: readonly number[], b: readonly number[]): MannWhitney | undefined {
  const n = a.length;
  const m = b.length;
  if (n === 0 || m === 0) return undefined;
  const u = wilcoxonRankSum([...a], [...b]) - n * (n + 1) / 2;
  const pooled = Float64Array.from([...a, ...b]).sort();
  const ties = tieTerm(pooled);
  const distance = Math.abs(u - n * m / 2);
  if (ties === 0 && n * m <= 400) {
    const counts = rankOrders(n, m);
    let outside = 0;
    let total = 0;
    for (let value = 0; value < counts.length; value++) {
      total += counts[value]!;
      if (Math.abs(value - n * m / 2) >= distance) outside += counts[value]!;
    }
    return { u, pValue: Math.min(1, outside / total), method: "exact" };
  }
  const size = n + m;
  const variance = n * m / 12 * (size + 1 - ties / (size * (size - 1)));
  if (!(variance > 0)) return { u, pValue: 1, method: "normal" }; // All values are equal.
  const z = Math.max(0, distance - 0.5) / Math.sqrt(variance);
  return { u, pValue: Math.min(1, 2 * normalTail(z)), method: "normal" };
}

/**
 * Holm's correction: p-values of a whole table, so that the chance of even one false alarm in it
 * stays below the level that each is compared with.
 *
 * Source: S. Holm, A simple sequentially rejective multiple test procedure (1979).
 *
 * @param pValues one per test; undefined where there was no data, which does not count as a test
 * @returns corrected values in the same order
 */
export function holm(pValues: readonly (number | undefined)[]): (number | undefined)[] {
  const order = pValues.flatMap((p, index) => p === undefined ? [] : [{ p, index }])
    .sort((x, y) => x.p - y.p);
  const corrected: (number | undefined)[] = pValues.map(() => undefined);
  let largest = 0;
  for (const [rank, { p, index }] of order.entries()) {
    largest = Math.max(largest, Math.min(1, p * (order.length - rank)));
    corrected[index] = largest;
  }
  return corrected;
}
