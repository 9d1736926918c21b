/** Compares some rows of a workload's output with float64. */
import { randomUniform } from "../../random.ts";
import type { RowPlace } from "./attention/rows.ts";

/** Some numbers of one output with their float64 values. */
export interface Sample {
  /** The output's name. */
  readonly output: string;
  readonly actual: ArrayLike<number>;
  readonly wanted: ArrayLike<number>;
  /** For sums whose terms may cancel: the scale of their rounding errors. Default: 0. */
  readonly magnitude?: number;
}

/** The error of an output against float64. */
export interface CheckResult {
  /**
   * The largest error over all samples; Infinity if any of their numbers is NaN. See {@linkcode
   * largestError}.
   */
  readonly error: number;
  /** The largest error that passes. */
  readonly tolerance: number;
  /** The output with the largest error. */
  readonly output: string;
}

// An error is divided by at least this share of the output's largest number. If a row's numbers are
// small by chance, its rounding errors are not, so dividing by the row's numbers would be too
// strict.
const SMALLEST_SCALE = 0.01;

function largestMagnitude(numbers: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < numbers.length; i++) largest = Math.max(largest, Math.abs(numbers[i]!));
  return largest;
}

/**
 * The largest error of the samples. An error is an absolute difference divided by the largest of
 * three numbers: the largest magnitude in the same sample (a row), the sample's `magnitude`, and a
 * hundredth of the largest magnitude in all samples of that output.
 *
 * @param samples at least one
 * @returns the error, and its output; Infinity if a number is NaN or the lengths differ
 * @throws {RangeError} if nothing would be compared: no samples, or an output of zeros only
 */
export function largestError(samples: readonly Sample[]): { error: number; output: string } {
  const largest = new Map<string, number>();
  for (const { output, wanted } of samples) {
    largest.set(output, Math.max(largest.get(output) ?? 0, largestMagnitude(wanted)));
  }
  const empty = [...largest].find(([, magnitude]) => !(magnitude > 0));
  if (samples.length === 0 || empty !== undefined) {
    const what = empty === undefined ? "there are no samples" : `${empty[0]} has only zeros`;
    throw new RangeError(`check: ${what}, so nothing would be compared`);
  }
  let worst = { error: -1, output: "" };
  for (const { output, actual, wanted, magnitude = 0 } of samples) {
    const smallest = SMALLEST_SCALE * largest.get(output)!;
    const scale = Math.max(largestMagnitude(wanted), magnitude, smallest);
    let difference = actual.length === wanted.length ? 0 : Infinity;
    for (let i = 0; i < wanted.length; i++) {
      const distance = Math.abs(actual[i]! - wanted[i]!);
      // Comparisons with NaN are false, so `!(distance <= difference)` counts NaN as an error.
      if (!(distance <= difference)) difference = Number.isNaN(distance) ? Infinity : distance;
    }
    if (difference / scale > worst.error) worst = { error: difference / scale, output };
  }
  return worst;
}

/**
 * Chooses rows to check: the first two, the last two, random ones, and those on both sides of the
 * first edge between tiles: 31 and 32 for tiles of 32 rows, 63 and 64 for tiles of 64 rows.
 *
 * @param count the number of rows
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
 * Chooses rows of a tensor [B, H, T, …] to check. {@linkcode sampleRows} chooses positions along T.
 * The first position gets the first head, the last one gets the last head, and every other position
 * gets a random head.
 *
 * @param heads B · H
 * @param length T
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
