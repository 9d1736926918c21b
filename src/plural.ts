/** Writes counts in words. */

/**
 * A count with its noun.
 *
 * @param count how many
 * @param one the singular noun
 * @param many the plural noun; default: the singular with an s
 * @returns for example `1 row` or `3 rows`
 */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
