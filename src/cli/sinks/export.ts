/**
 * `deno task sinks --export`: writes a measurement's states and gradients to a folder during the
 * measurement.
 */
import type { MeasurementObserver } from "../../experiments/observer.ts";
import { SinkExport, type SinkExportOptions } from "../../report/export.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { SinksRequest } from "./options.ts";

/**
 * Measures, and exports states and gradients if requested.
 *
 * @param measure the measurement, which passes each batch to the observer
 * @throws {FileError} if the folder cannot be written. If this function throws, or if the process
 *   exits during the measurement, no exported file is left
 */
export async function withExport(
  { export: wanted }: SinksRequest,
  shape: Omit<SinkExportOptions, "arrays">,
  measure: (observer: MeasurementObserver | undefined) => Promise<SinkMeasurement>,
): Promise<SinkMeasurement> {
  if (wanted === undefined) return await measure(undefined);
  await using files = await SinkExport.open(wanted.folder, { ...shape, arrays: wanted.arrays });
  // At Ctrl-C the process exits without disposing of `files`.
  const discard = () => files.discard();
  globalThis.addEventListener("unload", discard);
  try {
    const measurement = await measure(files);
    await files.finish(measurement);
    return measurement;
  } finally {
    globalThis.removeEventListener("unload", discard);
  }
}
