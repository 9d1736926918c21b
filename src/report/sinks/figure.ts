/** Writes figures of sinks in one way for all tables, pages and summaries. */
import type { SinkComparison } from "../../sinks/measurement/comparison.ts";

/** The text for a missing value. */
export const NONE = "–";

/**
 * Writes a number with three significant digits, such as `0.123`, `12.3` or `1.23e−7`; from
 * 1,000 to 99,999 with all digits before the decimal point. A missing number is a dash.
 */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e5) {
    return value.toExponential(2).replace("e+", "e").replaceAll("-", "−");
  }
  const digits = Math.max(0, 2 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(digits, 5)).replace("-", "−");
}

/** Writes a difference with its sign. */
export function signed(difference: number): string {
  return `${difference >= 0 ? "+" : ""}${figure(difference)}`;
}

/** Writes an interval as text; undefined if there is none, or if its width is 0. */
export function range(interval: readonly [number, number] | null | undefined): string | undefined {
  if (interval === null || interval === undefined || interval[0] === interval[1]) return undefined;
  return `${figure(interval[0])} to ${figure(interval[1])}`;
}

/**
 * Writes a figure with its 95 % interval, if any.
 *
 * @returns for example `3.71 (3.30 to 4.20)`
 */
export function estimate(
  value: number | null | undefined,
  interval: readonly [number, number] | null | undefined,
  unit = "",
): string {
  const text = range(interval);
  const shown = figure(value);
  const number = shown === NONE ? NONE : `${shown}${unit}`;
  return text === undefined || number === NONE ? number : `${number} (${text})`;
}

/** Writes a quantity's value at the sink, and in parentheses its ratio to that of early tokens. */
export function pair(comparison: SinkComparison | null): string {
  if (comparison === null) return NONE;
  const { sink, ratio } = comparison;
  return `${figure(sink)} (${ratio === null ? NONE : `${figure(ratio)}×`})`;
}
