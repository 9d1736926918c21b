/** Writes how precisely a ceiling is known. */
import { ceilingInterval } from "../measure/ceilings/uncertainty.ts";
import type { Ceiling } from "../measure/result_file.ts";

/**
 * A ceiling's interval as percents of its figure; empty if unknown.
 *
 * @returns for example `±1.2 %` for a time, or `+2.3 %` for a rate, because the true rate is at
 *   least the measured one
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
