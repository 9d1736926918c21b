/**
 * Causality in tiles: which rows of a tile see which columns. A query sees the keys up to its own
 * position.
 *
 *     rows are queries, columns keys:   row t sees columns j ≤ t
 *     rows are keys, columns queries:   row s sees columns t ≥ s, up to the end of the sequence
 *
 * Most tiles are whole: every row sees every column. In tiles that the diagonal or the end of the
 * sequence crosses, an invocation multiplies the runs of columns that all of its rows see, as in
 * whole tiles, and then the other columns that some of its rows see.
 */
import { type AttentionTiledOptions, component, eachBlock, tileOf } from "./tile.ts";

/**
 * Tells which rows see which columns, as WGSL. The WGSL uses the kernel's variables: `firstRow` and
 * `firstColumn`, where the tile begins, and `position{a}`, an invocation's rows.
 */
export interface Sight {
  /** The condition that every row sees every column. It is uniform over the workgroup. */
  whole(options: AttentionTiledOptions): string;
  /**
   * Which rows of block `a` see a column, as a vector of booleans. `column` is its index in the
   * head.
   */
  seen(options: AttentionTiledOptions, a: number, column: string): string;
  /**
   * The condition that all of this invocation's rows see the `count` columns from the tile's column
   * `from` on.
   */
  sees(options: AttentionTiledOptions, from: string, count: number): string;
  /**
   * Declares the columns that some of this invocation's rows see, `someFrom` to `someTo`, and the
   * runs of `count` columns that all of them see, `fullFrom` to `fullTo`. Columns are counted
   * within the tile, and each range ends before its `To`. If `fullFrom` is not below `fullTo`,
   * there is no such run.
   */
  declareRange(options: AttentionTiledOptions, count: number): string;
  /**
   * On how many sides of `fullFrom` to `fullTo` there can be other visible columns: 1 is after, 2
   * is before and after.
   */
  readonly ends: 1 | 2;
}

function vectorOf(options: AttentionTiledOptions, column: string): string {
  return `vec${tileOf(options).side}u(${column})`;
}

// The last of an invocation's rows.
function lastPosition(options: AttentionTiledOptions): string {
  return `position${options.blocksDown - 1}.${component(tileOf(options).side - 1)}`;
}

/** Rows are queries, columns keys. */
export const keysUpToTheRow: Sight = {
  ends: 1,
  whole: (options) => `firstColumn + ${tileOf(options).columns - 1}u <= firstRow`,
  seen: (options, a, column) => `(${vectorOf(options, column)} <= position${a})`,
  sees: (_options, from, count) => `firstColumn + ${from} + ${count - 1}u <= position0.x`,
  declareRange(options, count) {
    const { columns } = tileOf(options);
    const upTo = (row: string) => `min(max(${row} + 1u, firstColumn) - firstColumn, ${columns}u)`;
    return `
      let someFrom = 0u;
      let someTo = ${upTo(lastPosition(options))};
      let fullFrom = 0u;
      let fullTo = ${upTo("position0.x")} / ${count}u * ${count}u;`;
  },
};

/** Rows are keys, columns queries. */
export const queriesFromTheRow: Sight = {
  ends: 2,
  whole(options) {
    const { rows, columns } = tileOf(options);
    return `(firstColumn >= firstRow + ${rows - 1}u && firstColumn + ${columns}u <= length)`;
  },
  seen(options, a, column) {
    const columns = vectorOf(options, column);
    return `((${columns} >= position${a}) & (${columns} < ${vectorOf(options, "length")}))`;
  },
  sees: (options, from, count) =>
    `firstColumn + ${from} >= ${lastPosition(options)} && ` +
    `firstColumn + ${from} + ${count}u <= length`,
  declareRange(options, count) {
    const fromRow = (row: string) => `(max(${row}, firstColumn) - firstColumn)`;
    return `
      let someFrom = ${fromRow("position0.x")};
      let someTo = min(${tileOf(options).columns}u, length - firstColumn);
      let fullFrom = (${fromRow(lastPosition(options))} + ${count - 1}u) / ${count}u * ${count}u;
      let fullTo = someTo / ${count}u * ${count}u;`;
  },
};

/**
 * Declares `seen{a}`, a vector of booleans: which rows of block `a` see a column.
 *
 * @param column the column's index in the head
 */
export function declareSeen(
  options: AttentionTiledOptions,
  sight: Sight,
  column: string,
): string {
  return eachBlock(options, (a) => `let seen${a} = ${sight.seen(options, a, column)};`);
}
