/** How a texture, called an image here, holds a matrix. */

/** The numbers of an image and their places. */
export interface ImageLayout {
  /**
   * A texel holds four float32 numbers or eight bfloat16 numbers. A word of 32 bits holds two
   * bfloat16 numbers, the first in its low half, as in a checkpoint's bytes.
   */
  readonly numbers: "f32" | "bf16";
  /**
   * Whether each layer is a block of {@linkcode BLOCK} columns, so that neighbors along a column
   * are close in memory. Otherwise the only layer holds the numbers in the same order as a buffer,
   * in lines of {@linkcode LINE} texels, so that a buffer can be copied to it.
   */
  readonly blocks: boolean;
}

/** Columns per block. */
export const BLOCK = 64;
/** Texels per line of an image without blocks. */
export const LINE = 256;
/** Numbers per texel. */
export const PER_TEXEL = { f32: 4, bf16: 8 } as const;
