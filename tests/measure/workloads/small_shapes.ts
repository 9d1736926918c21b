/** Small shapes for tests of any measured operator, made from the names of its dimensions. */
import type { Dimensions } from "../../../src/measure/workloads/operator.ts";
import type { OperatorName } from "../../../src/measure/workloads/operators.ts";
import { shapesOf } from "../../../src/measure/workloads/shapes.ts";

/**
 * Each column is a shape; the last one is {@linkcode oddShape}. The shapes include lengths of 1,
 * lengths that are not a whole number of tiles, groups of query heads, several sequences, and both
 * transpositions.
 */
const SIZES: Readonly<Record<string, readonly number[]>> = {
  B: [1, 2, 1, 1, 2],
  Hq: [1, 6, 4, 2, 4],
  Hkv: [1, 2, 1, 2, 2],
  T: [1, 17, 65, 100, 67],
  D: [4, 20, 64, 128, 32],
  rows: [1, 3, 130, 100, 67],
  d: [4, 65, 7, 128, 70],
  M: [3, 17, 1, 100, 67],
  N: [5, 20, 33, 1, 35],
  K: [2, 9, 65, 64, 70],
  transposeLeft: [0, 0, 1, 0, 0],
  transposeRight: [0, 1, 0, 0, 1],
};

/** Sizes for dimensions that have no entry in SIZES. */
const OTHERS = [1, 3, 65, 100, 67];

/** Five small shapes of an operator. */
export function smallShapes(kernel: OperatorName): Dimensions[] {
  const all = shapesOf(kernel, { grid: "full", software: true })
    .flatMap(({ dimensions }) => Object.keys(dimensions));
  return OTHERS.map((other, i) =>
    Object.fromEntries([...new Set(all)].map((name) => [name, SIZES[name]?.[i] ?? other]))
  );
}

/** A small shape of an operator, whose tokens, rows and columns are not a whole number of tiles. */
export function oddShape(kernel: OperatorName): Dimensions {
  return smallShapes(kernel).at(-1)!;
}
