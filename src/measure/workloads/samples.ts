/** How a workload's output is compared: some rows of it against float64. */
import { randomUniform } from "../../random.ts";
import type { RowPlace } from "./attention/rows.ts";

/** Some numbers of one output with their float64 values. */
export interface Sample {
  /** The output's name. */
  readonly output: string;
  readonly actual: ArrayLike<number>;
  readonly wanted: ArrayLike<number>;
  /** The size of what the numbers are sums of, where that may cancel. Default: 0. */
  readonly magnitude?: number;
}

/** How far an output is from float64. */
export interface CheckResult {
  /**
   * The largest error over all samples; Infinity if one is not a number. See {@linkcode
   * largestError}.
   */
  readonly error: number;
  /** The largest error that passes. */
  readonly tolerance: number;
  /** The output where the error is. */
  readonly output: string;
}

// Rounding errors of a row that happens to be small are not: below this share of its output's
// largest number they count as relative to that.
const SMALLEST_SCALE = 0.01;

function largestMagnitude(numbers: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < numbers.length; i++) largest = Math.max(largest, Math.abs(numbers[i]!));
  return largest;
}

/**
 * The largest error of the samples: the absolute difference, over the largest magnitude in the same
 * sample (a row), over the sample's `magnitude`, or over a hundredth of the largest magnitude in
 * all samples of that output, whichever is the most.
 *
 * @param samples at least one
 * @returns the error, and the output where it is; Infinity where a number is NaN or the lengths
 *   differ
 * @throws {RangeError} if nothing would be compared: no samples, or an output that is zero
 *   throughout
 */
export function largestError(samples: readonly Sample[]): { error: number; output: string } {
  const largest = new Map<string, number>();
  for (const { output, wanted } of samples) {
    largest.set(output, Math.max(largest.get(output) ?? 0, largestMagnitude(wanted)));
  }
  const empty = [...largest].find(([, magnitude]) => !(magnitude > 0));
  if (samples.length === 0 || empty !== undefined) {
    throw new RangeError(
      `check: ${
        empty?.[0] ?? "no output"
      } has samples that are not zero, so nothing would be compared`,
    );
  }
  let worst = { error: -1, output: "" };
  for (const { output, actual, wanted, magnitude = 0 } of samples) {
    const smallest = SMALLEST_SCALE * largest.get(output)!;
    const scale = Math.max(largestMagnitude(wanted), magnitude, smallest);
    let difference = actual.length === wanted.length ? 0 : Infinity;
    for (let i = 0; i < wanted.length; i++) {
      const distance = Math.abs(actual[i]! - wanted[i]!);
      // A NaN compares as false, so the comparison is made to fail on it.
      if (!(distance <= difference)) difference = Number.isNaN(distance) ? Infinity : distance;
    }
    if (difference / scale > worst.error) worst = { error: difference / scale, output };
  }
  return worst;
}

/**
 * Rows to look at: the first and last, those beside the edges of a 32 and a 64 tile, and others
 * drawn at random.
 *
 * @param count the number of rows there are
 * @param options how many to draw, and the seed
 * @returns different row numbers, ascending
 */
export function sampleRows(
  count: number,
  { draws, seed }: { readonly draws: number; readonly seed: number },
): number[] {
  const edges = [0, 1, 31, 32, 63, 64, count - 2, count - 1];
  const drawn = [...randomUniform({ seed, length: draws })].map((u) => Math.floor(u * count));
  const rows = [...edges, ...drawn].filter((row) => row >= 0 && row < count);
  return [...new Set(rows)].sort((a, b) => a - b);
}

/**
 * Rows of a tensor [B, H, T, …] to look at: {@linkcode sampleRows} of T, each in a head drawn at
 * random, and the first and last head among them.
 *
 * @param heads B · H
 * @param length T
 * @param options the seed
 */
export function samplePlaces(
  { heads, length }: { readonly heads: number; readonly length: number },
  { seed }: { readonly seed: number },
): RowPlace[] {
  const rows = sampleRows(length, { draws: 8, seed });
  const drawn = randomUniform({ seed: seed + 1, length: rows.length });
  return rows.map((position, i) => {
    const head = i === 0 ? 0 : i === rows.length - 1 ? heads - 1 : Math.floor(drawn[i]! * heads);
    return { head, position };
  });
}
