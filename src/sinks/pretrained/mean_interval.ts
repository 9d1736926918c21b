/** Intervals that show how much a mean depends on the texts. */
import { bootstrapInterval, type Interval } from "../../statistics/resampling.ts";
import { LEAST_UNITS } from "../intervals.ts";

/** The seed of the resamples. With a fixed seed, equal measurements have equal intervals. */
export const SEED = 1;

/**
 * The 95 % interval of a mean over texts.
 *
 * @param values one value per text
 * @returns null for fewer than 8 texts
 */
export function meanInterval(values: readonly number[]): Interval | null {
  if (values.length < LEAST_UNITS) return null;
  return bootstrapInterval(values.length, {
    seed: SEED,
    statistic: (counts) =>
      values.reduce((sum, value, i) => sum + counts[i]! * value, 0) / values.length,
  });
}
