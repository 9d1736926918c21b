/** Bootstrap intervals over independent items, such as texts. */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** With so many resamples, an interval's ends vary by about 3 % of its width from seed to seed. */
const RESAMPLES = 1000;

/** An interval that holds a statistic with 95 % confidence. */
export type Interval = readonly [low: number, high: number];

/**
 * The 95 % percentile interval of a statistic over items that do not depend on each other.
 *
 * Source: B. Efron, Bootstrap methods: another look at the jackknife, Ann. Statist. 7 (1979).
 *
 * @param items the number of items, at least 1
 * @param options `seed`, any safe integer; `statistic`, which computes a resample's statistic from
 *   how often the resample contains each item
 * @returns low and high; equal for one item
 *
 * @example
 * ```ts
 * import { bootstrapInterval } from "./resampling.ts";
 *
 * const values = [3, 1, 4, 1, 5, 9, 2, 6];
 * const mean = (counts: Uint32Array) =>
 *   values.reduce((sum, value, i) => sum + counts[i]! * value, 0) / values.length;
 * console.log(bootstrapInterval(values.length, { seed: 1, statistic: mean })); // [2.25, 5.75]
 * ```
 */
export function bootstrapInterval(
  items: number,
  { seed, statistic }: {
    readonly seed: number;
    readonly statistic: (counts: Uint32Array<ArrayBuffer>) => number;
  },
): Interval {
  return bootstrapIntervals(items, { seed, statistics: (counts) => [statistic(counts)] })[0]!;
}

/**
 * Computes {@linkcode bootstrapInterval} for several statistics on the same resamples.
 *
 * @param items the number of items, at least 1
 * @param options `seed`, any safe integer; `statistics`, which computes a resample's statistics,
 *   always the same number of them
 * @returns an interval for each statistic
 */
export function bootstrapIntervals(
  items: number,
  { seed, statistics }: {
    readonly seed: number;
    readonly statistics: (counts: Uint32Array<ArrayBuffer>) => readonly number[];
  },
): Interval[] {
  const generator = xoroshiro128plus(seed);
  for (let i = 0; i < 32; i++) generator.next(); // A small seed's first outputs are hardly random.
  const counts = new Uint32Array(items);
  const draws = Array.from({ length: RESAMPLES }, () => {
    counts.fill(0);
    for (let drawn = 0; drawn < items; drawn++) {
      counts[Math.floor((generator.next() >>> 0) / 2 ** 32 * items)]!++;
    }
    return statistics(counts);
  });
  const left = Math.floor(0.025 * RESAMPLES);
  return draws[0]!.map((_, i) => {
    const found = Float64Array.from(draws, (draw) => draw[i]!).sort();
    return [found[left]!, found[RESAMPLES - 1 - left]!];
  });
}
