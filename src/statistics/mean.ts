/** Sums and means that add in the given order, so every caller gets the same bits. */

/** The sum of numbers, added in order. */
export function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** The mean of numbers; NaN if there are none. */
export function mean(values: Iterable<number>): number {
  const list = [...values];
  return sum(list) / list.length;
}
