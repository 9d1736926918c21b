/**
 * What the subgroup kernels of attention have in common: R rows that a subgroup owns against a tile of 4 · S
 * columns, four to a lane (queries against keys, or keys against queries).
 */
import { unroll } from "./unroll.ts";

/** What a subgroup kernel of attention is made for. */
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

/** The index, in vec4f, at which each of this lane's rows begins: `name0`, `name1`, … for rows lane, S + lane, …. */
export function ownRows(
  name: string,
  { subgroupSize, rows, headDim }: AttentionSubgroupOptions,
  head: string,
): string {
  return unroll(rows / subgroupSize, (i) => {
    const row = `min(firstRow + ${i * subgroupSize}u + lane, length - 1u)`;
    return `let ${name}${i} = (${head} * length + ${row}) * ${headDim / 4}u;`;
  });
}

/** The inner products of all rows with this lane's four columns of the tile, four of the D numbers a step. */
export interface Products {
  /** The accumulators: `sum0` … are vec4f variables, one for each row. */
  readonly sum: string;
  /** The buffer with the rows, and what `ownRows` called their beginnings. */
  readonly rows: readonly [buffer: string, first: string];
  /** The buffer with the columns; `columnRow`, a vec4u, holds their beginnings. */
  readonly columns: string;
}

/** One step of `Products`, at the vec4f `d`. */
export function productStep(
  { subgroupSize: S, rows: R }: AttentionSubgroupOptions,
  { sum, rows: [buffer, first], columns }: Products,
): string {
  const of = (component: string) =>
    `vec4f(${unroll(4, (j) => `${columns}${j}.${component}`, ", ")})`;
  return `
      ${unroll(4, (j) => `let ${columns}${j} = ${columns}[columnRow.${"xyzw"[j]} + d];`)}
      ${unroll(4, (e) => `let ${columns}Of${e} = ${of("xyzw"[e] ?? "")};`)}
      ${unroll(R / S, (i) => `let ${buffer}${i} = ${buffer}[${first}${i} + d];`)}
      ${
    unroll(R, (r) => {
      const row = `${sum}Row${r}`;
      const terms = unroll(4, (e) => `${row}.${"xyzw"[e]} * ${columns}Of${e}`, " + ");
      return `
      let ${row} = subgroupBroadcast(${buffer}${Math.floor(r / S)}, ${r % S}u);
      ${sum}${r} += ${terms};`;
    })
  }`;
}

/** `running += weights of the tile × rows of the buffer`, for four neighbouring columns held by lane `source`. */
export function accumulateFour(
  { rows: R }: AttentionSubgroupOptions,
  { running, weight, values }: { running: string; weight: string; values: string },
): string {
  return unroll(R, (r) => {
    const four = `${running}Of${r}`;
    const terms = unroll(4, (j) => `${four}.${"xyzw"[j]} * ${values}${j}`, " + ");
    return `
        let ${four} = subgroupShuffle(${weight}${r}, source);
        ${running}${r} += ${terms};`;
  });
}

/** The same in all chunks for one column `k` of the tile, which only the rows for which `seen` holds see. */
export function accumulateSeen(
  options: AttentionSubgroupOptions,
  { running, weight, value, seen }: {
    /** The accumulators: `name{chunk}_{row}`. */
    running: string;
    weight: string;
    /** The column's numbers: `name{chunk}`. */
    value: string;
    seen: (row: number) => string;
  },
): string {
  const { count } = chunksOf(options);
  return unroll(options.rows, (r) => `
        if (${seen(r)}) {
          let ${weight}Seen = subgroupShuffle(${weight}${r}[k % 4u], k / 4u);
          ${unroll(count, (c) => `${running}${c}_${r} += ${weight}Seen * ${value}${c};`)}
        }`);
}
