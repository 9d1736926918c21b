/**
 * Stores lists of similar objects by column: each field's name once, with the list of its values.
 * This halves the JSON of many rows.
 */
import { isRecord } from "../../files/untrusted_json.ts";

/**
 * The columns of some rows: one list if the rows are plain values, or one entry per field if they
 * are objects. If all rows are lists of one length n, the only entry is "": a list of n columns.
 */
export type Columns = readonly unknown[] | {
  readonly [name: string]: Columns | readonly Columns[];
};

/** Lists with more elements than this are not split into columns. */
const LONGEST = 8;

/**
 * Turns rows into columns.
 *
 * @param rows rows of JSON values. A field whose values are all objects with the same names, or all
 *   lists of the same short length, is itself split into columns, like `pair` below. Any other
 *   field becomes one list of its values, like `step`.
 *
 * @example
 * ```ts
 * import { toColumns } from "./columns.ts";
 *
 * console.log(toColumns([{ step: 1, pair: [5, 6] }, { step: 2, pair: [7, 8] }]));
 * // { step: [1, 2], pair: { "": [[5, 7], [6, 8]] } }
 * ```
 */
export function toColumns(rows: readonly unknown[]): Columns {
  const first = rows[0];
  if (isRecord(first)) {
    const names = Object.keys(first);
    const alike = names.length > 0 && !names.includes("") &&
      rows.every((row) =>
        isRecord(row) && Object.keys(row).length === names.length &&
        names.every((name) => Object.hasOwn(row, name))
      );
    if (!alike) return rows;
    return Object.fromEntries(
      names.map((name) => [name, toColumns(rows.map((row) => (row as typeof first)[name]))]),
    );
  }
  if (Array.isArray(first)) {
    const { length } = first;
    const alike = length > 0 && length <= LONGEST &&
      rows.every((row) => Array.isArray(row) && row.length === length);
    if (!alike) return rows;
    return { "": first.map((_, i) => toColumns(rows.map((row) => (row as unknown[])[i]))) };
  }
  return rows;
}

/**
 * Turns columns back into rows. Throws no error, even for an untrusted file: a value missing from a
 * column becomes null, and anything but a list or an object gives no rows.
 *
 * @param count the number of rows
 */
export function fromColumns(columns: unknown, count: number): unknown[] {
  if (Array.isArray(columns)) return columns.slice(0, count);
  if (!isRecord(columns)) return [];
  if (Object.hasOwn(columns, "")) {
    const lists = columns[""];
    if (!Array.isArray(lists)) return [];
    const parts = lists.map((each) => fromColumns(each, count));
    return Array.from({ length: count }, (_, row) => parts.map((part) => part[row] ?? null));
  }
  const parts = Object.entries(columns).map(([name, each]) =>
    [name, fromColumns(each, count)] as const
  );
  return Array.from(
    { length: count },
    (_, row) => Object.fromEntries(parts.map(([name, part]) => [name, part[row] ?? null])),
  );
}
