/** Writes a count with its noun in the singular or plural. */

/** For example `1 row` or `3 rows`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
