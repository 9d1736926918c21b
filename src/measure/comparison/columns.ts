/** The columns of a comparison: from each file, the measurements to compare. */
import { estimateTimes, summarizeMeasurements, type TimeEstimates } from "../estimate.ts";
import type { Measurement } from "../result_file.ts";
import type { Summary } from "../../statistics/summary.ts";
import type { NamedResult } from "./machine.ts";

/** A key that is equal for measurements that may be compared. */
export function keyText(measurement: Measurement): string {
  const { kernel, pass, shape, dtype, cache = "hot" } = measurement;
  const dimensions = Object.entries(shape).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([kernel, pass, dimensions, dtype, cache]);
}

/** Takes one measurement of each key: the chosen variant's, else the fastest variant's. */
function representatives(
  measurements: readonly Measurement[],
  summaries: Summaries,
): Map<string, Measurement> {
  const groups = new Map<string, Measurement[]>();
  for (const measurement of measurements) {
    const key = keyText(measurement);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [measurement]);
    else group.push(measurement);
  }
  const found = new Map<string, Measurement>();
  for (const [key, group] of groups) {
    const score = (candidate: Measurement) =>
      candidate.chosen === true
        ? -1
        : usable(candidate)
        ? summaries.get(candidate)!.median!
        : Infinity;
    found.set(
      key,
      group.length === 1 ? group[0]! : group.reduce((a, b) => score(b) < score(a) ? b : a),
    );
  }
  return found;
}

export function usable(measurement: Measurement | undefined): measurement is Measurement {
  return measurement !== undefined && (measurement.status ?? "ok") === "ok" &&
    measurement.samples.length > 0;
}

type Summaries = ReadonlyMap<Measurement, Summary>;

/** A file's measurements to compare, with summaries and estimates of their times. */
export interface Column {
  /** The measurements by {@linkcode keyText}. */
  readonly measurements: ReadonlyMap<string, Measurement>;
  readonly summaries: Summaries;
  readonly estimates: ReadonlyMap<Measurement, TimeEstimates>;
}

/** The column of a result file. */
export function columnOf({ file: { measurements } }: NamedResult): Column {
  const summaries = summarizeMeasurements(measurements);
  const estimates = estimateTimes(measurements);
  return { measurements: representatives(measurements, summaries), summaries, estimates };
}
