/**
 * Cases for the properties of RMSNorm and V-scale: small descriptions, from which all arrays
 * follow.
 */
import fc from "fast-check";
import { randomNormal, randomUniform } from "../../../src/random.ts";
import * as reference from "../../../src/reference/mod.ts";
import type { Numbers } from "../on_gpu.ts";

/** A row's numbers: about 1, 1e-12 or 1e12; about 1 except for one large number; or all −1.5. */
export type RowPattern = "normal" | "tiny" | "large" | "one large" | "constant";

const rowPatterns: readonly RowPattern[] = ["normal", "tiny", "large", "one large", "constant"];

export interface RmsNormDescription {
  readonly rows: number;
  /** d */
  readonly columns: number;
  readonly seed: number;
  readonly pattern: RowPattern;
  /** Default: the operator's. */
  readonly epsilon?: number | undefined;
}

export interface RmsNormCase {
  readonly input: Numbers;
  readonly gain: Numbers;
  readonly outputGradient: Numbers;
  readonly epsilon: number | undefined;
}

/**
 * Draws RMSNorm cases. Many have columns next to a multiple of 64, because 64 lanes take one column
 * each, or rows next to a multiple of 16, because gainGradient sums runs of 16 rows.
 */
export const rmsNormDescription: fc.Arbitrary<RmsNormDescription> = fc.record({
  rows: fc.oneof(
    fc.constantFrom(1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 97),
    fc.integer({ min: 1, max: 100 }),
  ),
  columns: fc.oneof(
    fc.constantFrom(1, 2, 3, 63, 64, 65, 127, 129, 300, 1000),
    fc.integer({ min: 1, max: 260 }),
  ),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
  pattern: fc.constantFrom(...rowPatterns),
  epsilon: fc.constantFrom(undefined, 0, 1e-5, 0.3, 100),
});

function rowsOf(
  shape: readonly number[],
  { seed, pattern }: { readonly seed: number; readonly pattern: RowPattern },
): Numbers {
  const sizes: Record<RowPattern, number> = {
    normal: 1,
    tiny: 1e-12,
    large: 1e12,
    "one large": 1,
    constant: 1,
  };
  const length = reference.elementCount(shape);
  const data = randomNormal({ seed, length, standardDeviation: sizes[pattern] });
  const width = shape.at(-1) ?? 1;
  if (pattern === "constant") data.fill(-1.5);
  if (pattern === "one large") {
    for (let start = 0; start < length; start += width) data[start + seed % width]! *= 1000;
  }
  return { data, shape };
}

export function drawRmsNorm(description: RmsNormDescription): RmsNormCase {
  const { rows, columns, seed, epsilon } = description;
  const shape = [rows, columns];
  return {
    input: rowsOf(shape, description),
    gain: {
      data: randomNormal({ seed: seed + 1, length: columns, mean: 1, standardDeviation: 0.5 }),
      shape: [columns],
    },
    outputGradient: { data: randomNormal({ seed: seed + 2, length: rows * columns }), shape },
    epsilon,
  };
}

export interface VScaleDescription {
  readonly batch: number;
  readonly heads: number;
  readonly length: number;
  /** D */
  readonly columns: number;
  readonly seed: number;
  readonly pattern: RowPattern;
  /** C over the usual ‖v‖². Each head's C is drawn from half of this to twice this. */
  readonly constant: number;
}

export interface VScaleCase {
  readonly value: Numbers;
  readonly constant: Numbers;
  readonly scaledValueGradient: Numbers;
}

export const vScaleDescription: fc.Arbitrary<VScaleDescription> = fc.record({
  batch: fc.integer({ min: 1, max: 3 }),
  heads: fc.integer({ min: 1, max: 4 }),
  length: fc.oneof(
    fc.constantFrom(1, 31, 32, 33, 63, 64, 65, 129, 200),
    fc.integer({ min: 1, max: 90 }),
  ),
  columns: fc.constantFrom(1, 2, 3, 4, 8, 31, 64, 100),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
  pattern: fc.constantFrom(...rowPatterns),
  // From open valves to shut ones. At 1/3, r = ‖v‖² is about 3 C, where the eigenvalue along v is
  // largest, 9/8.
  constant: fc.constantFrom(1e-6, 1e-3, 1 / 3, 1, 3, 1e3, 1e6),
});

export function drawVScale(description: VScaleDescription): VScaleCase {
  const { batch, heads, length, columns, seed, pattern, constant } = description;
  const shape = [batch, heads, length, columns];
  const usual = columns * constant * (pattern === "tiny" ? 1e-24 : pattern === "large" ? 1e24 : 1);
  return {
    value: rowsOf(shape, { seed, pattern }),
    constant: {
      data: randomUniform({
        seed: seed + 1,
        length: heads,
        minimum: 0.5 * usual,
        maximum: 2 * usual,
      }),
      shape: [heads],
    },
    scaledValueGradient: {
      data: randomNormal({ seed: seed + 2, length: reference.elementCount(shape) }),
      shape,
    },
  };
}
