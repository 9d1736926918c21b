/**
 * The products of attention's subgroup kernel: R query rows that a subgroup owns against a tile of
 * 4 · S keys, four to a lane. `vectors` is D / 4, the vec4f columns of a row, which the lanes share
 * S at a time.
 */
import { unroll } from "../unroll.ts";

/** The sides of the tile. */
export interface AttentionSubgroupOptions {
  /** S, the size of every subgroup; divides `rows`. */
  readonly subgroupSize: number;
  /** R, rows of a workgroup. */
  readonly rows: number;
  /** vec4f columns of a lane: ⌈D / 4S⌉. */
  readonly chunks: number;
}

/**
 * The index of a lane's vec4f column in a chunk; past the end the last one, which is then not
 * written.
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
 * The index, in vec4f, at which each of this lane's rows begins: `queryRow0`, … for rows lane, S +
 * lane, ….
 */
export function ownRows({ subgroupSize, rows }: AttentionSubgroupOptions): string {
  return unroll(rows / subgroupSize, (i) => {
    const row = `min(firstRow + ${i * subgroupSize}u + lane, length - 1u)`;
    return `let queryRow${i} = (queryHead * length + ${row}) * vectors;`;
  });
}

/**
 * One step, at the vec4f `d`, of the inner products of all rows with this lane's four keys: adds to
 * `score0`, …, one vec4f per row. The keys begin at `columnRow`, a vec4u.
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
 * Adds the products of the weights with four values to the outputs of a chunk, `running{chunk}_0`,
 * …: those of lane `source`'s keys, whose values are `value0` to `value3`.
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
 * The same in all chunks for the tile's key `k`, which only later rows see; its value is
 * `valueSeen{chunk}`.
 */
export function accumulateSeen({ rows, chunks }: AttentionSubgroupOptions): string {
  return unroll(rows, (r) => `
        if (firstKey + k <= firstRow + ${r}u) {
          let weightSeen = subgroupShuffle(weight${r}[k % 4u], k / 4u);
          ${unroll(chunks, (c) => `running${c}_${r} += weightSeen * valueSeen${c};`)}
        }`);
}
