/** Whether samples gather around more than one value, which no single median describes. */
import { kernelDensityEstimation, quantileSorted } from "simple-statistics";

/** Fewer samples show gaps by chance. */
const LEAST_SAMPLES = 30;

/** The samples' quantiles at most this many: enough for two hills, and quick for any count. */
const MOST_POINTS = 400;

const GRID = 128;

/**
 * Finds out whether a list of times has more than one hill.
 *
 * The density of the logarithms is estimated with Gaussian kernels somewhat narrower than
 * Silverman's, which blurs two equal hills into one. A second
 * hill counts if it stands over at least a tenth of the samples and the valley between the two is
 * lower than seven tenths of the lower top. Whether that is strict enough is shown by a test that
 * draws many lists with one hill.
 *
 * @param samples positive numbers in any order
 * @returns false for fewer than 30 samples
 */
export function isMultimodal(samples: readonly number[]): boolean {
  if (samples.length < LEAST_SAMPLES) return false;
  const all = Float64Array.from(samples, Math.log).sort() as unknown as number[];
  const count = Math.min(all.length, MOST_POINTS);
  const points = Array.from(
    { length: count },
    (_, i) => quantileSorted(all, (i + 0.5) / count),
  );
  const spread = quantileSorted(points, 0.75) - quantileSorted(points, 0.25);
  // Silverman, Density Estimation (1986), equation 3.31, with the quartiles alone: outliers would
  // widen the standard deviation. 0.7 instead of 0.9: in trials on made-up lists, the smallest
  // factor that takes one hill for two in at most a twentieth of them. Half of all samples on one
  // value is one hill.
  const width = 0.7 * (spread / 1.34) * all.length ** -0.2;
  if (!(width > 0)) return false;
  const low = points[0]! - 2 * width;
  const high = points.at(-1)! + 2 * width;
  // Few far outliers stretch the grid until a hill falls between its points: what is beyond the
  // outer twentieths can hold no hill that counts.
  const from = Math.max(low, quantileSorted(points, 0.05) - 6 * width);
  const to = Math.min(high, quantileSorted(points, 0.95) + 6 * width);
  const density = kernelDensityEstimation(points, "gaussian", width as never);
  const heights = Array.from(
    { length: GRID },
    (_, i) => density(from + (i / (GRID - 1)) * (to - from)),
  );
  return hills(heights) > 1;
}

/** Counts hills that are parted by deep enough valleys and heavy enough. */
function hills(heights: readonly number[]): number {
  const total = heights.reduce((sum, height) => sum + height, 0);
  // Walk from left to right; a valley is deep once the ground is below 0.7 of the hill before it,
  // and the next hill stands once the ground there is below 0.7 of it.
  let count = 0;
  let top = 0;
  let valley = 0;
  let mass = 0;
  let massAtValley = 0;
  const close = (hillMass: number) => {
    if (hillMass >= 0.1 * total) count++;
  };
  let start = 0;
  for (const height of heights) {
    mass += height;
    if (top > 0 && valley < 0.7 * top && height > valley / 0.7 && height > valley) {
      close(massAtValley - start);
      start = massAtValley;
      top = height;
      valley = height;
      massAtValley = mass;
    } else if (height > top) {
      top = height;
      valley = height;
      massAtValley = mass;
    } else if (height < valley) {
      valley = height;
      massAtValley = mass;
    }
  }
  close(total - start);
  return count;
}
