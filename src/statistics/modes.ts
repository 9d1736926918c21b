/**
 * Tells whether samples gather around more than one value; then no single median describes them.
 */
import { kernelDensityEstimation, quantileSorted } from "simple-statistics";

/** With fewer samples, gaps between them arise by chance and look like valleys. */
const LEAST_SAMPLES = 30;

/** The most quantiles that represent the samples: enough to show two hills, and quick to use. */
const MOST_POINTS = 400;

const GRID = 128;

/**
 * Tells whether a list of times has more than one hill.
 *
 * The density of the logarithms is estimated with Gaussian kernels somewhat narrower than in
 * Silverman's rule, which blurs two equal hills into one. A second hill counts if it has at least a
 * tenth of the samples, and if the valley between the hills is below seven tenths of the lower
 * hill's top. A test that draws many lists with one hill shows that these limits are strict enough.
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
  // Silverman, Density Estimation (1986), equation 3.31, without the standard deviation, which
  // outliers would widen. The factor is 0.7 instead of 0.9: the smallest factor that finds a second
  // hill in at most 5 % of random lists with one hill. The width is 0 if the middle half of the
  // samples has one value; that is one hill.
  const width = 0.7 * (spread / 1.34) * all.length ** -0.2;
  if (!(width > 0)) return false;
  const low = points[0]! - 2 * width;
  const high = points.at(-1)! + 2 * width;
  // A few far outliers would stretch the grid until a hill falls between its points. So the grid
  // may leave out up to 5 % of the samples at each end: too few for a hill that counts.
  const from = Math.max(low, quantileSorted(points, 0.05) - 6 * width);
  const to = Math.min(high, quantileSorted(points, 0.95) + 6 * width);
  const density = kernelDensityEstimation(points, "gaussian", width as never);
  const heights = Array.from(
    { length: GRID },
    (_, i) => density(from + (i / (GRID - 1)) * (to - from)),
  );
  return hills(heights) > 1;
}

/** Counts the hills that hold at least a tenth of the samples. */
function hills(heights: readonly number[]): number {
  const total = heights.reduce((sum, height) => sum + height, 0);
  // A valley separates two hills if its density is below 0.7 of the top of the hill before it, and
  // below 0.7 of a density after it.
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
