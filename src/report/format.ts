/**
 * Writes numbers for people: mostly three significant digits and a unit. Missing data reads "no
 * data" or nothing, never NaN.
 */
import type { Interval } from "../statistics/summary.ts";

/** The text for a missing figure. */
export const NO_DATA = "no data";

/**
 * Writes three significant digits from 1 to 999, two decimals below 1, no decimals above 999, and
 * never an exponent.
 */
function threeDigits(value: number): string {
  return value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

function scaled(value: number, units: readonly (readonly [number, string])[]): string {
  for (const [size, unit] of units) {
    // 999.6 ns becomes 1.00 µs, not 1000 ns.
    if (value >= 0.9995 * size) return `${threeDigits(value / size)} ${unit}`;
  }
  const [size, unit] = units.at(-1)!;
  return `${value === 0 ? "0" : (value / size).toPrecision(3)} ${unit}`;
}

/**
 * Writes a duration.
 *
 * @param nanoseconds at least 0
 * @returns for example `12.3 µs`
 */
export function formatDuration(nanoseconds: number | undefined): string {
  if (nanoseconds === undefined) return NO_DATA;
  return scaled(nanoseconds, [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]]);
}

/**
 * Writes a rate with a decimal prefix.
 *
 * @param perSecond at least 0
 * @param unit such as `FLOP/s` or `B/s`
 * @returns for example `1.23 TFLOP/s`
 */
export function formatRate(perSecond: number | undefined, unit: string): string {
  if (perSecond === undefined) return NO_DATA;
  return scaled(
    perSecond,
    ([[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]] as const)
      .map(([size, prefix]) => [size, prefix + unit] as const),
  );
}

/** Writes a share, such as `62.5 %`. */
export function formatShare(share: number | undefined): string {
  if (share === undefined) return NO_DATA;
  const percent = 100 * share;
  return `${percent >= 99.95 ? percent.toFixed(0) : percent.toPrecision(percent < 1 ? 2 : 3)} %`;
}

/** Writes a threshold in percent without trailing zeros, such as `5 %`. */
export function formatThreshold(share: number): string {
  return `${Number((100 * share).toPrecision(6))} %`;
}

/**
 * Writes a relative change in percent, with its sign. A ratio from 10 on is written as a factor,
 * such as `×12.3`.
 *
 * @param ratio new divided by old, above 0
 * @returns for example `−12.3 %`
 */
export function formatChange(ratio: number | undefined): string {
  if (ratio === undefined) return NO_DATA;
  if (ratio >= 10) return times(ratio);
  const percent = 100 * (ratio - 1);
  const text = Math.abs(percent).toFixed(1);
  return text === "0.0" ? "0.0 %" : `${percent < 0 ? "−" : "+"}${text} %`;
}

function times(ratio: number): string {
  return `×${ratio >= 1e6 ? ratio.toExponential(1) : threeDigits(Math.min(ratio, 1e6))}`;
}

/**
 * Writes the interval of a relative change: as factors if its end is at least 10, else in percent.
 *
 * @param interval the interval of the ratio, new divided by old
 * @returns for example `−16.0 % … −12.4 %`
 */
export function formatChangeInterval({ low, high }: Interval): string {
  const format = high >= 10 ? times : formatChange;
  return `${format(low)} … ${format(high)}`;
}

/** Writes a factor, such as `1.25×`. */
export function formatFactor(factor: number | undefined): string {
  if (factor === undefined) return NO_DATA;
  return `${factor >= 1e5 ? factor.toExponential(1) : threeDigits(factor)}×`;
}

/**
 * Writes the precision of a median, such as `±1.2 %`; empty if unknown.
 *
 * @param relative half the interval's width as a share of the median
 */
export function formatPrecision(relative: number | undefined): string {
  if (relative === undefined) return "";
  return `±${(100 * relative).toFixed(relative < 0.0995 ? 1 : 0)} %`;
}

/** Writes a p-value, such as `0.012` or `<0.001`. */
export function formatProbability(p: number | undefined): string {
  if (p === undefined) return NO_DATA;
  return p < 0.001 ? "<0.001" : p.toFixed(3);
}

/**
 * Writes a shape, such as `B1 Hq8 Hkv2 T512 D64` or `rows=512 d=2048`. Only a name of one capital
 * and at most three lower-case letters has no equals sign.
 *
 * @param shape the dimensions by name
 */
export function formatShape(shape: Readonly<Record<string, number>>): string {
  return Object.entries(shape)
    .map(([name, size]) => /^[A-Z][a-z]{0,3}$/.test(name) ? `${name}${size}` : `${name}=${size}`)
    .join(" ");
}
