/**
 * Causality in tiles: which rows of a tile see which columns. A query sees the keys up to its own
 * position.
 *
 *     rows are queries, columns keys:   row t sees columns j ≤ t
 *     rows are keys, columns queries:   row s sees columns t ≥ s, up to the end of the sequence
 *
 * Most tiles are whole: every row sees every column. In tiles that the diagonal or the end of the
 * sequence crosses, an invocation walks the groups of four columns that all of its rows see, and at
 * the edges single columns that only some rows see.
 */
import { type AttentionTiledOptions, component, eachBlock, tileOf } from "./tile.ts";

/**
 * A range of the tile's columns that only some of an invocation's rows see, from its first column
 * to the one after its last.
 */
export interface Edge {
  readonly from: string;
  readonly to: string;
}

/**
 * Tells which rows see which columns, as WGSL. The texts use the kernel's variables: `firstRow` and
 * `firstColumn`, where the tile begins, and `position{a}`, an invocation's rows.
 */
export interface Sight {
  /** A condition under which every row sees every column, uniform over the workgroup. */
  whole(options: AttentionTiledOptions): string;
  /**
   * Which rows of block `a` see a column, as a vector of booleans. `column` is its index in the
   * head.
   */
  seen(options: AttentionTiledOptions, a: number, column: string): string;
  /**
   * Declares `fullFrom` and `fullTo`, the range of groups of four columns that all of this
   * invocation's rows see, and the variables for `edges`.
   */
  declareGroups(options: AttentionTiledOptions): string;
  /** The columns that only some rows see, before and after the groups of `declareGroups`. */
  readonly edges: { readonly before?: Edge; readonly after: Edge };
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
  whole: (options) => `firstColumn + ${tileOf(options).columns - 1}u <= firstRow`,
  seen: (options, a, column) => `(${vectorOf(options, column)} <= position${a})`,
  declareGroups: (options) => `
    let columnsLeft = min(${tileOf(options).columns}u, length - firstColumn);
    let someTo = min(max(${lastPosition(options)} + 1u, firstColumn) - firstColumn, columnsLeft);
    let fullFrom = 0u;
    let fullTo = min(max(position0.x + 1u, firstColumn) - firstColumn, columnsLeft) / 4u;`,
  edges: { after: { from: "4u * fullTo", to: "someTo" } },
};

/** Rows are keys, columns queries. */
export const queriesFromTheRow: Sight = {
  whole(options) {
    const { rows, columns } = tileOf(options);
    return `(firstColumn >= firstRow + ${rows - 1}u && firstColumn + ${columns}u <= length)`;
  },
  seen(options, a, column) {
    const columns = vectorOf(options, column);
    return `((${columns} >= position${a}) & (${columns} < ${vectorOf(options, "length")}))`;
  },
  declareGroups: (options) => `
    let columnsLeft = min(${tileOf(options).columns}u, length - firstColumn);
    let someFrom = max(position0.x, firstColumn) - firstColumn;
    let fullFrom = (max(${lastPosition(options)}, firstColumn) - firstColumn + 3u) / 4u;
    let fullTo = columnsLeft / 4u;`,
  edges: {
    before: { from: "someFrom", to: "min(4u * fullFrom, columnsLeft)" },
    after: { from: "4u * max(fullFrom, fullTo)", to: "columnsLeft" },
  },
};

/**
 * Declares `seen{a}`: the rows of each block that see a column.
 *
 * @param options the tile
 * @param sight which rows see which columns
 * @param column the column's index in the head
 */
export function declareSeen(
  options: AttentionTiledOptions,
  sight: Sight,
  column: string,
): string {
  return eachBlock(options, (a) => `let seen${a} = ${sight.seen(options, a, column)};`);
}
