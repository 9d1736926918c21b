/** Probabilities of the normal distribution, and the correction of p-values of many tests. */

/**
 * The probability that a standard normal variable exceeds z, with a small relative error even far
 * out in the tail, where corrected p-values lie.
 *
 * Uses the series of Abramowitz and Stegun 26.2.11 for |z| below 3, else 120 terms of their
 * continued fraction 26.2.14.
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

/**
 * Holm's correction of a table's p-values. If only corrected values below a level count as
 * significant, the chance of even one false alarm in the whole table is at most that level.
 *
 * Source: S. Holm, A simple sequentially rejective multiple test procedure (1979).
 *
 * @param pValues one per row of the table; undefined for a row without data, which does not count
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
