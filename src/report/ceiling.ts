/** How well a ceiling is known, in a few characters. */
import { ceilingInterval } from "../measure/ceilings/uncertainty.ts";
import type { Ceiling } from "../measure/result_file.ts";

/**
 * A ceiling's interval as percents of its figure.
 *
 * @param ceiling of a result file
 * @returns for example `+2.3 %` of a rate, which is at least what was reached, or `±1.2 %` of a
 *   time; empty where nothing is known
 */
export function ceilingPrecision(ceiling: Ceiling<string>): string {
  const interval = ceilingInterval(ceiling);
  if (interval === undefined) return "";
  const { value, unit } = ceiling;
  const [sign, width] = unit === "ns"
    ? ["±", (interval.high - interval.low) / 2 / value]
    : ["+", interval.high / value - 1];
  const percent = 100 * width;
  return `${sign}${percent < 10 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}
