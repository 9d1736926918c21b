/** Numbers for the tests of a model's operators. */
import { randomUniform } from "../../../src/random.ts";
import type { Numbers } from "../on_gpu.ts";

export type ModelNumbers = Numbers;

/** One element, and three shapes for several workgroups. Of these, only [12, 24] fills vec4fs. */
export const oddShapes: readonly (readonly number[])[] = [[1], [5, 13], [12, 24], [3, 129]];

/** Numbers within ±scale around a mean. */
export function drawUniform(
  { seed, shape, scale = 1, mean = 0 }: {
    readonly seed: number;
    readonly shape: readonly number[];
    readonly scale?: number;
    readonly mean?: number;
  },
): ModelNumbers {
  const length = shape.reduce((product, size) => product * size, 1);
  const data = randomUniform({ seed, length, minimum: mean - scale, maximum: mean + scale });
  return { data, shape };
}

/** Tokens from 0 to V − 1. */
export function drawTokens(
  { seed, length, vocabulary }: {
    readonly seed: number;
    readonly length: number;
    readonly vocabulary: number;
  },
): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(randomUniform({ seed, length, minimum: 0, maximum: vocabulary }));
}

export function elementwise(
  { data, shape }: ModelNumbers,
  change: (x: number) => number,
): ModelNumbers {
  return { data: data.map(change), shape };
}

export function absoluteMaximumOf(data: Float32Array | Float64Array): number {
  let largest = 0;
  for (const x of data) largest = Math.max(largest, Math.abs(x));
  return largest;
}

/**
 * Cuts out heads `first` to `first + count − 1` of rows in which `heads` heads stand side by side.
 */
export function cutHeads(
  { data, shape }: ModelNumbers,
  { first, count, headDim, heads }: {
    readonly first: number;
    readonly count: number;
    readonly headDim: number;
    readonly heads: number;
  },
): ModelNumbers {
  const rows = data.length / (heads * headDim);
  const cut = new Float32Array(rows * count * headDim);
  for (let row = 0; row < rows; row++) {
    const start = (row * heads + first) * headDim;
    cut.set(data.subarray(start, start + count * headDim), row * count * headDim);
  }
  return { data: cut, shape: [...shape.slice(0, -1), count * headDim] };
}
