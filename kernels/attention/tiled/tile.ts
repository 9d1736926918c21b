/**
 * The register tile of the attention kernels for GPUs. A workgroup of `across` × `down` invocations
 * owns the rows of a tile and walks along tiles of columns: rows are queries and columns are keys,
 * or the reverse.
 *
 * A tile consists of blocks of `side` × `side` cells. Invocation (x, y) owns blocksDown ×
 * blocksAcross of them:
 *
 *     its rows      side · blocksDown neighbors, from side · blocksDown · y on
 *     its columns   x + across · b + columnBlocks · c, for its block b and the block's column c
 *
 * Its registers hold one vector of `side` rows, `name{a}_{b}_{c}`, for each of its blocks of rows
 * `a` and each of its columns `(b, c)`. For results with D numbers per row they hold the vec4f x,
 * x + across, … of its rows: `name{row}_{n}`. An invocation's columns are spread, so neighboring
 * invocations write neighboring lines of workgroup memory (memory.ts). Its rows are contiguous, so
 * the diagonal crosses few of its runs of columns (accumulate.ts).
 *
 * The kernels consist of these parts:
 *
 *     memory.ts      the layout of workgroup memory
 *     storage.ts     number types in workgroup memory: f32, or rounded to f16
 *     staging.ts     global memory → workgroup memory, transposed
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

/** Options of attention's tiled kernels. */
export interface AttentionTiledOptions {
  /** Among how many invocations the tile's rows are divided. */
  readonly down: number;
  /** Among how many invocations the tile's columns are divided. */
  readonly across: number;
  /** How many blocks of rows an invocation owns. */
  readonly blocksDown: number;
  /** How many blocks of columns an invocation owns. */
  readonly blocksAcross: number;
  /**
   * A block has this many rows and columns. A vector in workgroup memory holds this many numbers.
   * Default: 4.
   */
  readonly side?: 2 | 4;
  /** How many of the D numbers are in workgroup memory at once, a multiple of 8. */
  readonly step: number;
  /** D, a multiple of 4. */
  readonly headDim: number;
  /**
   * About how many multiply-adds one iteration of a loop has. The default, 256, makes the loop's
   * overhead small. With a smaller number the kernel compiles faster.
   */
  readonly writtenOut?: number;
  /**
   * How operands and weights are stored in workgroup memory. Default: f32. With f16, which needs
   * blocks of 4 × 4, they are rounded, except those that a kernel needs exact; sums are always f32.
   */
  readonly storage?: TileStorage;
}

const COMPONENTS = ["x", "y", "z", "w"] as const;

/** The lengths that follow from the options. */
export interface Tile {
  readonly side: 2 | 4;
  /** The WGSL type of a block's rows in one column: `vec2f` or `vec4f`. */
  readonly vector: string;
  /** The tile's height in blocks: its number of rows, divided by `side`. */
  readonly rowBlocks: number;
  /** The tile's width in blocks: its number of columns, divided by `side`. */
  readonly columnBlocks: number;
  readonly rows: number;
  readonly columns: number;
  /** Rows per invocation. */
  readonly ownRows: number;
  readonly invocations: number;
  /** D / 4 */
  readonly vectors: number;
  /** The number of vec4f that an invocation holds of each of its rows. */
  readonly chunks: number;
  readonly storage: TileStorage;
}

/** Computes the lengths of a tile. */
export function tileOf(options: AttentionTiledOptions): Tile {
  const { down, across, blocksDown, blocksAcross, side = 4, headDim, storage = "f32" } = options;
  const rowBlocks = down * blocksDown, columnBlocks = across * blocksAcross;
  return {
    side,
    vector: `vec${side}f`,
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

/** Writes a line for each of an invocation's blocks of rows. */
export function eachBlock(
  { blocksDown }: AttentionTiledOptions,
  line: (a: number) => string,
): string {
  return unroll(blocksDown, line);
}

/** Writes a line for each of an invocation's columns: column `c` of block `b`. */
export function eachColumn(
  { blocksAcross, side = 4 }: AttentionTiledOptions,
  line: (b: number, c: number) => string,
): string {
  return unroll(blocksAcross, (b) => unroll(side, (c) => line(b, c)));
}

/** Writes a line for each of an invocation's vectors: row block `a`, column `c` of block `b`. */
export function eachCell(
  options: AttentionTiledOptions,
  line: (a: number, b: number, c: number) => string,
): string {
  return eachBlock(options, (a) => eachColumn(options, (b, c) => line(a, b, c)));
}

/**
 * Writes a line for each of an invocation's rows. `line` gets the row, its block `a`, and the
 * component that holds the row in the block's vectors.
 */
export function eachRow(
  { blocksDown, side = 4 }: AttentionTiledOptions,
  line: (row: number, a: number, component: string) => string,
): string {
  return unroll(blocksDown * side, (r) => line(r, Math.floor(r / side), component(r % side)));
}

/**
 * Like {@linkcode eachRow}, but writes a line for each vec4f of the row that the invocation holds,
 * numbered `n`.
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

/** `vec4u(0u, 1u, 2u, 3u)`, or `vec2u(0u, 1u)` for blocks of 2 × 2. */
export function counting({ side = 4 }: AttentionTiledOptions): string {
  return `vec${side}u(${unroll(side, (i) => `${i}u`, ", ")})`;
}

/**
 * Declares `firstBlock`, the first of this invocation's blocks in the tile, and `position{a}`, the
 * indices in the head of the rows of block `a`.
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
 * WGSL for the end of a loop that compilers must not unroll. If they knew the number of iterations,
 * or a small bound of it, they would unroll the loop and run out of registers. So this adds a term
 * that is 0 for every sequence that fits into memory, which compilers do not know.
 */
export function uncounted(end: string): string {
  return `${end} + (length >> 31u)`;
}

/** The index of this invocation's column (b, c) in the tile. */
export function column(options: AttentionTiledOptions, b: number, c: number): string {
  return `(x + ${columnOffset(options, b, c)}u)`;
}

/** The part of `column` that is the same for all invocations: the index without x. */
export function columnOffset(options: AttentionTiledOptions, b: number, c: number): number {
  return options.across * b + tileOf(options).columnBlocks * c;
}

/** 2 to the power of each number of a block's vector; NaN stays NaN. Needs not_a_number.wgsl. */
export function exponential2({ side = 4 }: AttentionTiledOptions, argument: string): string {
  return side === 4 ? `exponential2(${argument})` : `exponential2(vec4f(${argument}, vec2f())).xy`;
}

/** The vector `result`, with NaN where `argument` has NaN. Needs not_a_number.wgsl. */
export function passNotANumber(
  { side = 4 }: AttentionTiledOptions,
  result: string,
  argument: string,
): string {
  return side === 4
    ? `passNotANumber(${result}, ${argument})`
    : `passNotANumber(vec4f(${result}, vec2f()), vec4f(${argument}, vec2f())).xy`;
}

/** Whether this invocation's n-th vec4f of a row exists: the last one may lie past D. */
export function holds(options: AttentionTiledOptions, n: number): string {
  return `x + ${n * options.across}u < ${tileOf(options).vectors}u`;
}
