/** The products of attention's subgroup kernel: R query rows that a subgroup owns against a tile of 4 · S keys, four to a lane. */
import { unroll } from "./unroll.ts";

/** The sides of the tile. */
export interface AttentionSubgroupOptions {
  /** S, the size of every subgroup; divides `rows`. */
  readonly subgroupSize: number;
  /** R, rows of a workgroup. */
  readonly rows: number;
  /** D, a multiple of 4. */
  readonly headDim: number;
}

/** The vec4f columns of a row of D numbers, spread over the lanes S at a time. */
export interface Chunks {
  /** D / 4 */
  readonly vectors: number;
  /** ⌈D / 4S⌉ */
  readonly count: number;
  /** The column that a lane holds in a chunk; past the end the last one, which is then not written. */
  column(chunk: number): string;
  /** True for a lane that holds a column in this chunk. */
  holds(chunk: number): string;
}

/** How D numbers are spread over lanes. */
export function chunksOf({ subgroupSize, headDim }: AttentionSubgroupOptions): Chunks {
  const vectors = headDim / 4;
  const column = (chunk: number) => `lane + ${chunk * subgroupSize}u`;
  return {
    vectors,
    count: Math.ceil(vectors / subgroupSize),
    column: (chunk) =>
      (chunk + 1) * subgroupSize <= vectors
        ? column(chunk)
        : `min(${column(chunk)}, ${vectors - 1}u)`,
    holds: (chunk) => `${column(chunk)} < ${vectors}u`,
  };
}

/** The index, in vec4f, at which each of this lane's rows begins: `queryRow0`, … for rows lane, S + lane, …. */
export function ownRows({ subgroupSize, rows, headDim }: AttentionSubgroupOptions): string {
  return unroll(rows / subgroupSize, (i) => {
    const row = `min(firstRow + ${i * subgroupSize}u + lane, length - 1u)`;
    return `let queryRow${i} = (queryHead * length + ${row}) * ${headDim / 4}u;`;
  });
}

/**
 * One step, at the vec4f `d`, of the inner products of all rows with this lane's four keys: adds to `score0`, …, a vec4f
 * a row. The keys begin at `columnRow`, a vec4u.
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
 * Adds the products of the weights with four values to the outputs of a chunk, `running{chunk}_0`, …: those of lane
 * `source`'s keys, whose values are `value0` to `value3`.
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

/** The same in all chunks for the tile's key `k`, which only later rows see; its value is `valueSeen{chunk}`. */
export function accumulateSeen(options: AttentionSubgroupOptions): string {
  const { count } = chunksOf(options);
  return unroll(options.rows, (r) => `
        if (firstKey + k <= firstRow + ${r}u) {
          let weightSeen = subgroupShuffle(weight${r}[k % 4u], k / 4u);
          ${unroll(count, (c) => `running${c}_${r} += weightSeen * valueSeen${c};`)}
        }`);
}
