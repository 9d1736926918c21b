/** How an image (texture) holds a matrix, for kernels that read it and for what fills it. */

/** The numbers of an image and their places. */
export interface ImageLayout {
  /**
   * Four float32 in a texel, or eight bfloat16 in four pairs: a pair's first number is in the low
   * half of its word. Checkpoints store bfloat16 so, and it takes half the memory.
   */
  readonly numbers: "f32" | "bf16";
  /**
   * Whether each layer is a block of {@linkcode BLOCK} columns, so that neighbors along a column are
   * close in memory. Otherwise the only layer holds the numbers in the same order as a buffer, in
   * lines of {@linkcode LINE}, and can be filled by one copy command.
   */
  readonly blocks: boolean;
}

/** Columns per block. */
export const BLOCK = 64;
/** Texels per line of an image without blocks. */
export const LINE = 256;
/** Numbers per texel. */
export const PER_TEXEL = { f32: 4, bf16: 8 } as const;
