/** Measurements as JSON text. */
import type { SinkMeasurement } from "./measurement.ts";

/**
 * Digits that are kept: more than float32 has, so that nothing measured is lost, and files stay
 * small.
 */
const DIGITS = 8;

/** Every number rounded to 8 significant digits. */
function rounded(value: unknown): unknown {
  if (typeof value === "number") {
    // Counts, positions and seeds are whole, and stay what they are.
    return Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS));
  }
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, rounded(each)]));
  }
  return value;
}

/**
 * A measurement as JSON on one line, rounded.
 *
 * @param measurement of one model
 * @returns ends with a line break
 */
export function formatMeasurementJson(measurement: SinkMeasurement): string {
  return JSON.stringify(rounded(measurement)) + "\n";
}
