/** Types and helpers for the files that write the subgroup kernel of the matrix product. */
import { type ImageLayout, LINE } from "../image_layout.ts";
import { unroll } from "../unroll.ts";

/**
 * How an operand is read. `along-inner`: four k at a time, from a matrix contiguous along K.
 * `along-outer`: four rows of left or columns of right at a time, from a matrix contiguous in that
 * direction. `scalar`: number by number, in any order. `along-inner` and `along-outer` read whole
 * vec4f, so the length along which they read must be a multiple of four.
 */
export type MatmulLoad = "along-inner" | "along-outer" | "scalar";

/**
 * WGSL that reads a vec4f of an operand in a buffer, or in an image without blocks.
 *
 * @param image the image's layout; undefined for a buffer
 * @param index the vector's index in the operand
 */
export function vectorAt(
  side: "left" | "right",
  image: ImageLayout | undefined,
  index: string,
): string {
  return image === undefined
    ? `${side}[${index}]`
    : `textureLoad(${side}, vec2u((${index}) % ${LINE}u, (${index}) / ${LINE}u), 0u)`;
}

/** The number of k in a step. It equals the number of components of a vec4f. */
export const STEP = 4;
export const COMPONENTS = ["x", "y", "z", "w"];

/** The properties of a tile on which loads depend. */
export interface Tile {
  /** S, the size of every subgroup. */
  readonly subgroupSize: number;
  /** Rows of a tile. */
  readonly rows: number;
  /** Columns of a lane. */
  readonly width: number;
  /** Whether a lane's columns are neighbors in groups of four. Ignored unless 4 divides `width`. */
  readonly grouped: boolean;
  /** Columns of a tile in addition to those of its lanes. */
  readonly extra: number;
  /**
   * The layout of the image that holds left; undefined if a buffer holds left. The image has
   * float32 numbers and no blocks. With an image, left's reads are not `scalar`.
   */
  readonly leftImage: ImageLayout | undefined;
  /**
   * The layout of the image that holds right; undefined if a buffer holds right. With an image,
   * right's reads are not `scalar`, and `extra` is 0.
   */
  readonly rightImage: ImageLayout | undefined;
}

/**
 * WGSL that loads the left operand. `setup` declares the places that each lane reads, and `loads`
 * reads the numbers at k to k + `step` − 1.
 */
export interface LeftLoads {
  readonly setup: string;
  readonly loads: (step: number) => string;
  /** Left's number in row i at k + u, broadcast. */
  readonly number: (i: number, u: number) => string;
  /** If i is less than this, lane i modulo S loads all of row i's numbers. */
  readonly held: number;
  /** Left's number at k + u in row l + S j, which lane l itself loaded. Not broadcast. */
  readonly own: (j: number, u: number) => string;
}

/**
 * WGSL that loads the right operand. It declares r0_u, r1_u, …, one variable for each group of a
 * lane's columns. A variable holds right's numbers in its group at k + u.
 */
export interface RightLoads {
  readonly setup: string;
  /** What each iteration loads for all of its steps, from k = `first` on. Default: nothing. */
  readonly turn?: string;
  /** The loads at k to k + `step` − 1. `index` is the step's number within one iteration. */
  readonly loads: (step: number, index: number) => string;
  /** Right's number in extra column e at k + u, broadcast. */
  readonly extra: (e: number, u: number) => string;
}

/**
 * WGSL that broadcasts one of many numbers to all lanes. The lanes hold the numbers in variables
 * `${name}0`, `${name}1`, …: number `index` is in lane `index` modulo S, variable ⌊`index` / S⌋.
 */
export function place(
  name: string,
  { subgroupSize: S }: Tile,
  index: number,
  component = "",
): string {
  return `subgroupBroadcast(${name}${Math.floor(index / S)}${component}, ${index % S}u)`;
}

/** How many of a lane's columns share one variable: 4 in a vec4f, or 1 in an f32. */
export function groupSize({ width, grouped }: Pick<Tile, "width" | "grouped">): 1 | 4 {
  return grouped && width % 4 === 0 ? 4 : 1;
}

/**
 * WGSL that declares right's numbers in a lane's columns: r0_u, r1_u, … at each k + u of a step. If
 * the tile allows groups, each variable is a vec4f with the numbers of four columns.
 *
 * @param number WGSL for right's number in the lane's column c at k + u
 */
export function groups(tile: Tile, step: number, number: (c: number, u: number) => string): string {
  const { width } = tile;
  const size = groupSize(tile);
  return unroll(width / size, (v) =>
    unroll(step, (u) => {
      const numbers = unroll(size, (c) => number(size * v + c, u), ", ");
      return `    let r${v}_${u} = ${size === 1 ? numbers : `vec${size}f(${numbers})`};`;
    }));
}
