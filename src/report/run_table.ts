/** A bench run as a table. */
import type { Ceilings, Measurement, ResultFile } from "../measure/result_file.ts";
import { adapterName } from "../measure/comparison/machine.ts";
import { rooflinePosition } from "../measure/ceilings/roofline.ts";
import { summarize } from "../statistics/summary.ts";
import { formatDuration, formatRate, formatShape, formatShare, NO_DATA } from "./format.ts";
import { type Cell, formatTerminalTable, type Table } from "./table.ts";
import { escapeTerminal } from "../escape.ts";

/** An interval this wide, as a share of the median, is worth a warning. */
const WIDE = 0.1;

/**
 * A run as text: the adapter, its ceilings, and a row for each measurement.
 *
 * @param file the run
 * @param options.color whether to use colors
 */
export function formatRun(
  file: ResultFile,
  { color = false }: { readonly color?: boolean } = {},
): string {
  const { runtime, timerText } = { runtime: file.runtime, timerText: describeTimer(file) };
  const head = `${adapterName(file)}, ${runtime.name} ${runtime.version ?? ""}${timerText}`;
  const ceilings = formatTerminalTable(ceilingTable(file.ceilings), { color });
  const measurements = formatTerminalTable(measurementTable(file), { color });
  const warnings = (file.warnings ?? []).map((warning) => `warning: ${escapeTerminal(warning)}\n`);
  return `${escapeTerminal(head)}\n\n${ceilings}\n${measurements}${warnings.join("")}`;
}

function describeTimer({ measurements }: ResultFile): string {
  const timer = measurements[0]?.timer;
  if (timer === undefined) return "";
  const clock = timer.kind === "timestamp" ? "GPU timestamps" : "wall time";
  return `, ${clock} in steps of ${formatDuration(timer.quantum)}`;
}

/**
 * What an adapter can do at best.
 *
 * @param ceilings of a run
 */
export function ceilingTable(ceilings: Ceilings): Table {
  const figure = (found: { value: number } | null | undefined, unit: string): string =>
    !found ? NO_DATA : unit === "ns" ? formatDuration(found.value) : formatRate(found.value, unit);
  const row = (name: keyof Ceilings, title: string, unit: string): Cell[] => [
    title,
    figure(ceilings[name], unit),
    { text: ceilings[name]?.method ?? "", tone: "faint" },
  ];
  return {
    caption: "What this adapter can do",
    columns: [{ title: "ceiling" }, { title: "figure", align: "right" }, { title: "found by" }],
    rows: [
      row("f32Fma", "f32 arithmetic", "FLOP/s"),
      row("f16Fma", "f16 arithmetic", "FLOP/s"),
      row("copyBandwidth", "copying", "B/s"),
      row("expRate", "exponentials", "/s"),
      row("dispatchOverhead", "a dispatch", "ns"),
      row("submitAndWait", "submitting and waiting", "ns"),
    ],
  };
}

/**
 * The measurements of a run.
 *
 * @param file the run
 */
export function measurementTable(file: ResultFile): Table {
  return {
    caption: "Measurements",
    columns: [
      { title: "kernel" },
      { title: "pass" },
      { title: "shape" },
      { title: "variant" },
      { title: "cache" },
      { title: "median", align: "right" },
      { title: "95 % interval", align: "right" },
      { title: "arithmetic", align: "right" },
      { title: "traffic", align: "right" },
      { title: "roofline", align: "right" },
      { title: "samples", align: "right" },
      { title: "remarks" },
    ],
    rows: file.measurements.map((measurement) => row(measurement, file.ceilings)),
  };
}

function row(measurement: Measurement, ceilings: Ceilings): Cell[] {
  const { kernel, pass, shape, variant, cache = "hot", flops, bytes, samples } = measurement;
  const { median, interval } = summarize(samples);
  const { leastTime } = rooflinePosition(measurement, ceilings);
  const rate = (amount: number, unit: string): string =>
    median === undefined || amount === 0 ? NO_DATA : formatRate(1e9 * amount / median, unit);
  const share = median === undefined || leastTime === undefined ? undefined : leastTime / median;
  const status = measurement.status ?? "ok";
  return [
    kernel,
    pass,
    formatShape(shape),
    measurement.tuning.tuned === true ? `${variant} (tuned)` : variant,
    cache,
    status === "ok" ? formatDuration(median) : { text: status, tone: "bad" },
    interval === undefined
      ? NO_DATA
      : `${formatDuration(interval.low)} to ${formatDuration(interval.high)}`,
    rate(flops, "FLOP/s"),
    rate(bytes, "B/s"),
    formatShare(share),
    `${samples.length}`,
    { text: remarks(measurement).join("; "), tone: status === "ok" ? "unsure" : "bad" },
  ];
}

/** What to know before believing a measurement. */
function remarks(measurement: Measurement): string[] {
  const { status = "ok", reason, samples, stopReason } = measurement;
  const { driftingSamples = [], warnings = [] } = measurement;
  const { relativeHalfWidth, multimodal, outliers } = summarize(samples);
  return [
    ...status === "ok" ? [] : [reason ?? status],
    ...stopReason === "interrupted" ? ["interrupted"] : [],
    ...status === "ok" && samples.length > 0 && relativeHalfWidth === undefined
      ? ["few samples"]
      : [],
    ...relativeHalfWidth !== undefined && relativeHalfWidth > WIDE
      ? [`noisy, ±${(100 * relativeHalfWidth).toFixed(0)} %`]
      : [],
    ...multimodal ? ["several modes"] : [],
    ...outliers > samples.length / 10 ? [`${outliers} outliers`] : [],
    ...driftingSamples.length > 0 ? [`${driftingSamples.length} while the machine was slow`] : [],
    ...warnings,
  ];
}
