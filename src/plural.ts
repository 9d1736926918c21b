/** Numbers of things, in words. */

/**
 * A count with its noun.
 *
 * @param count how many
 * @param one the noun of one
 * @param many the noun of several; default: with an s
 * @returns for example `1 row` or `3 rows`
 */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
