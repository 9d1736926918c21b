/**
 * The products of attention's subgroup kernel: R query rows of a subgroup with a tile of 4 · S
 * keys, four per lane. `vectors` is D / 4, the number of vec4f columns in a row; a chunk has S of
 * them, one per lane.
 */
import { unroll } from "../unroll.ts";

/** The sides of the tile. */
export interface AttentionSubgroupOptions {
  /** S, the size of every subgroup; a divisor of `rows`. */
  readonly subgroupSize: number;
  /** R, rows per workgroup. */
  readonly rows: number;
  /** vec4f columns per lane: ⌈D / 4S⌉. */
  readonly chunks: number;
}

/**
 * The index of a lane's vec4f column in a chunk. A lane past the last column reads that column
 * again and writes nothing.
 */
export function columnOf(
  { subgroupSize, chunks }: AttentionSubgroupOptions,
  chunk: number,
): string {
  const column = `lane + ${chunk * subgroupSize}u`;
  return chunk + 1 < chunks ? column : `min(${column}, vectors - 1u)`;
}

/** True for a lane that holds a column in this chunk. */
export function holdsColumn({ subgroupSize }: AttentionSubgroupOptions, chunk: number): string {
  return `lane + ${chunk * subgroupSize}u < vectors`;
}

/**
 * Declares where this lane's rows start, counted in vec4f: `queryRow0`, … for the tile's rows lane,
 * S + lane, ….
 */
export function ownRows({ subgroupSize, rows }: AttentionSubgroupOptions): string {
  return unroll(rows / subgroupSize, (i) => {
    const row = `min(firstRow + ${i * subgroupSize}u + lane, length - 1u)`;
    return `let queryRow${i} = (queryHead * length + ${row}) * vectors;`;
  });
}

/**
 * Adds the terms of the vec4f column `d` to the inner products of all rows with this lane's four
 * keys: `score0`, …, a vec4f for each row. `columnRow`, a vec4u, holds where the four keys begin.
 */
export function scoreStep({ subgroupSize: S, rows: R }: AttentionSubgroupOptions): string {
  const of = (component: string) => `vec4f(${unroll(4, (j) => `key${j}.${component}`, ", ")})`;
  return `
      ${unroll(4, (j) => `let key${j} = key[columnRow.${"xyzw"[j]} + d];`)}
      ${unroll(4, (e) => `let keyOf${e} = ${of("xyzw"[e] ?? "")};`)}
      ${unroll(R / S, (i) => `let query${i} = query[queryRow${i} + d];`)}
      ${
    unroll(R, (r) => {
      const row = `scoreRow${r}`;
      const terms = unroll(4, (e) => `${row}.${"xyzw"[e]} * keyOf${e}`, " + ");
      return `
      let ${row} = subgroupBroadcast(query${Math.floor(r / S)}, ${r % S}u);
      score${r} += ${terms};`;
    })
  }`;
}

/**
 * Adds weights times four values to the outputs of a chunk, `running{chunk}_0`, …. The weights are
 * those of lane `source`'s keys, the values are `value0` to `value3`.
 */
export function accumulateFour({ rows: R }: AttentionSubgroupOptions, chunk: number): string {
  return unroll(R, (r) => {
    const four = `running${chunk}_Of${r}`;
    const terms = unroll(4, (j) => `${four}.${"xyzw"[j]} * value${j}`, " + ");
    return `
        let ${four} = subgroupShuffle(weight${r}, source);
        running${chunk}_${r} += ${terms};`;
  });
}

/**
 * Adds the weight of one key `k` of the tile, times its value `valueSeen{chunk}`, to all chunks of
 * the outputs of those rows that see the key.
 */
export function accumulateSeen({ rows, chunks }: AttentionSubgroupOptions): string {
  return unroll(rows, (r) => `
        if (firstKey + k <= firstRow + ${r}u) {
          let weightSeen = subgroupShuffle(weight${r}[k % 4u], k / 4u);
          ${unroll(chunks, (c) => `running${c}_${r} += weightSeen * valueSeen${c};`)}
        }`);
}
