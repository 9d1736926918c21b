/** Sums and means in the numbers' own order: the same bits wherever they are taken. */

/** The sum of numbers, one added after the other. */
export function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** The mean of numbers; NaN of none. */
export function mean(values: Iterable<number>): number {
  const list = [...values];
  return sum(list) / list.length;
}
