/**
 * The register tile of the attention kernels for GPUs. A workgroup of `across` × `down` invocations
 * owns a tile of rows and walks past tiles of columns: queries against keys, or keys against
 * queries.
 *
 * A tile is cut into blocks of `side` × `side` cells. Invocation (x, y) owns blocksDown ×
 * blocksAcross of them:
 *
 *     its rows      side · blocksDown neighbors, from side · blocksDown · y on
 *     its columns   x + across · b + columnBlocks · c, for its block b and the block's column c
 *
 * It holds in registers, for each of its blocks of rows a and each of its columns (b, c), one
 * vector of `side` rows: `name{a}_{b}_{c}`. Of results with D numbers per row it holds the vec4f x,
 * x + across, … of its rows: `name{row}_{n}`. Columns are dealt out, so that neighboring
 * invocations write the lines of workgroup memory that lie side by side (memory.ts); rows are
 * neighbors, so that the diagonal crosses few of an invocation's groups of columns (accumulate.ts).
 *
 * The kernels are composed of these pieces:
 *
 *     memory.ts      what lies where in workgroup memory
 *     storage.ts     how a number is kept there: f32, or rounded to f16
 *     staging.ts     global memory → workgroup memory, turned by a quarter
 *     products.ts    rows × columns over D: logits, and the gradients of the weights
 *     sight.ts       which rows see which columns
 *     accumulate.ts  weights × rows of a buffer: output, and the gradients
 *     scale.ts       weights of any size in f16
 *
 * To try one kernel: `deno task bench --kernels=attention --variants=tiled-64x64-4x4`.
 *
 * Source: Volkov and Demmel, "Benchmarking GPUs to tune dense linear algebra", SC 2008; Dao, arXiv
 * 2307.08691.
 */
import type { TileStorage } from "./storage.ts";
import { unroll } from "../../unroll.ts";

/** Options of a tiled kernel of attention. */
export interface AttentionTiledOptions {
  /** Invocations of a workgroup, one below the other. */
  readonly down: number;
  /** Invocations of a workgroup, side by side. */
  readonly across: number;
  /** Blocks that an invocation owns, one below the other. */
  readonly blocksDown: number;
  /** Blocks that an invocation owns, side by side. */
  readonly blocksAcross: number;
  /**
   * Rows, and columns, of a block: a vector of workgroup memory holds this many numbers. Default:
   * 4.
   */
  readonly side?: 2 | 4;
  /** D numbers that are in workgroup memory at once, a multiple of 8. */
  readonly step: number;
  /** D, a multiple of 4. */
  readonly headDim: number;
  /**
   * Multiply-adds of a loop's turn, so many that counting and jumping take a small part of it.
   * Default: 256. Fewer make kernels that compile faster.
   */
  readonly writtenOut?: number;
  /**
   * How operands and weights are kept in workgroup memory. Default: f32. With f16, for blocks of 4
   * × 4, they are rounded to it, except for those that a kernel wants exact; sums are f32 all the
   * same.
   */
  readonly storage?: TileStorage;
}

const COMPONENTS = ["x", "y", "z", "w"] as const;

/** The lengths that follow from the options. */
export interface Tile {
  readonly side: 2 | 4;
  /** The WGSL type of a block's rows in one column: `vec2f` or `vec4f`. */
  readonly vector: string;
  /** The same for positions and for truth values. */
  readonly positions: string;
  readonly truths: string;
  /** Blocks of the tile, one below the other. */
  readonly rowBlocks: number;
  /** Blocks of the tile, side by side. */
  readonly columnBlocks: number;
  readonly rows: number;
  readonly columns: number;
  /** Rows of one invocation. */
  readonly ownRows: number;
  readonly invocations: number;
  /** D / 4 */
  readonly vectors: number;
  /** vec4f of each of an invocation's rows. */
  readonly chunks: number;
  readonly storage: TileStorage;
}

/** The lengths of a tile. */
export function tileOf(options: AttentionTiledOptions): Tile {
  const { down, across, blocksDown, blocksAcross, side = 4, headDim, storage = "f32" } = options;
  const rowBlocks = down * blocksDown, columnBlocks = across * blocksAcross;
  return {
    side,
    vector: `vec${side}f`,
    positions: `vec${side}u`,
    truths: `vec${side}<bool>`,
    rowBlocks,
    columnBlocks,
    rows: side * rowBlocks,
    columns: side * columnBlocks,
    ownRows: side * blocksDown,
    invocations: down * across,
    vectors: headDim / 4,
    chunks: Math.ceil(headDim / 4 / across),
    storage,
  };
}

/** A line for each block of rows of an invocation. */
export function eachBlock(
  { blocksDown }: AttentionTiledOptions,
  line: (a: number) => string,
): string {
  return unroll(blocksDown, line);
}

/** A line for each column of an invocation: block b, column c of it. */
export function eachColumn(
  { blocksAcross, side = 4 }: AttentionTiledOptions,
  line: (b: number, c: number) => string,
): string {
  return unroll(blocksAcross, (b) => unroll(side, (c) => line(b, c)));
}

/** A line for each block of rows and each column. */
export function eachCell(
  options: AttentionTiledOptions,
  line: (a: number, b: number, c: number) => string,
): string {
  return eachBlock(options, (a) => eachColumn(options, (b, c) => line(a, b, c)));
}

/** A line for each row of an invocation: its block, and its component of the block's vectors. */
export function eachRow(
  { blocksDown, side = 4 }: AttentionTiledOptions,
  line: (row: number, a: number, component: string) => string,
): string {
  return unroll(blocksDown * side, (r) => line(r, Math.floor(r / side), component(r % side)));
}

/**
 * A line for each vec4f of D numbers that an invocation holds: row, n, the row's block and
 * component.
 */
export function eachChunk(
  options: AttentionTiledOptions,
  line: (row: number, n: number, a: number, component: string) => string,
): string {
  const { chunks } = tileOf(options);
  return eachRow(options, (r, a, e) => unroll(chunks, (n) => line(r, n, a, e)));
}

/** The name of a vector's component. */
export function component(index: number): string {
  return COMPONENTS[index]!;
}

/** `vec4u(0u, 1u, 2u, 3u)`, as long as a block's side. */
export function counting({ side = 4 }: AttentionTiledOptions): string {
  return `vec${side}u(${unroll(side, (i) => `${i}u`, ", ")})`;
}

/**
 * Where this invocation's rows are: declares `firstBlock`, the first of its blocks in the tile, and
 * `position{a}`, the rows of block a, counted in the head.
 */
export function declarePositions(options: AttentionTiledOptions): string {
  const { side } = tileOf(options);
  return `
  let firstBlock = y * ${options.blocksDown}u;
  ${
    eachBlock(
      options,
      (a) =>
        `let position${a} = firstRow + ${side}u * (firstBlock + ${a}u) + ${counting(options)};`,
    )
  }`;
}

/**
 * The end of a loop that is not written out. Compilers would write out a loop of few turns that they
 * can count, or bound, and run out of registers. No sequence is so long that this adds anything.
 */
export function uncounted(end: string): string {
  return `${end} + (length >> 31u)`;
}

/** The position of column (b, c) of this invocation, counted in the tile. */
export function column(options: AttentionTiledOptions, b: number, c: number): string {
  return `(x + ${columnOffset(options, b, c)}u)`;
}

/** The same without x. */
export function columnOffset(options: AttentionTiledOptions, b: number, c: number): number {
  return options.across * b + tileOf(options).columnBlocks * c;
}

/** 2 to the power of each number of a block's vector; NaN is handed on. Needs not_a_number.wgsl. */
export function exponential2({ side = 4 }: AttentionTiledOptions, argument: string): string {
  return side === 4 ? `exponential2(${argument})` : `exponential2(vec4f(${argument}, vec2f())).xy`;
}

/** Whether this invocation holds a vec4f n of its rows: the last ones may lie past D. */
export function holds(options: AttentionTiledOptions, n: number): string {
  return `x + ${n * options.across}u < ${tileOf(options).vectors}u`;
}
