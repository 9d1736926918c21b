/** Measurements as JSON text. */
import type { SinkMeasurement } from "./measurement.ts";

/**
 * The number of significant digits to keep: more than float32 has, yet few enough for small files.
 */
const DIGITS = 8;

/** Rounds every number that is not an integer to 8 significant digits. */
function rounded(value: unknown): unknown {
  if (typeof value === "number") {
    // Counts, positions and seeds are integers and stay unchanged.
    return Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS));
  }
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, rounded(each)]));
  }
  return value;
}

/** Writes a measurement as JSON on one line, rounded. */
export function formatMeasurementJson(measurement: SinkMeasurement): string {
  return JSON.stringify(rounded(measurement)) + "\n";
}
