/** Writes how precisely a ceiling is known. */
import { ceilingInterval } from "../measure/ceilings/uncertainty.ts";
import type { Ceiling } from "../measure/result_file.ts";

/**
 * Writes how far a ceiling's interval reaches from the ceiling's figure, in percent of the figure.
 *
 * @returns for example `±1.2 %` for a time. For a rate, for example `+2.3 %`, because the true rate
 *   is at least the measured one. Empty if the interval is unknown
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
