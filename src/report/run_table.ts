/** Writes a bench run as tables. */
import type { Ceilings, Measurement, ResultFile } from "../measure/result_file.ts";
import { adapterName } from "../measure/comparison/machine.ts";
import {
  type BoundingCeiling,
  exceededCeilings,
  rooflinePosition,
  rooflineShare,
} from "../measure/ceilings/roofline.ts";
import { ceilingPrecision } from "./ceiling.ts";
import { summarizeMeasurements } from "../measure/estimate.ts";
import { processesOf } from "../measure/rounds.ts";
import type { Summary } from "../statistics/summary.ts";
import {
  formatDuration,
  formatFactor,
  formatPrecision,
  formatRate,
  formatShape,
  formatShare,
  NO_DATA,
} from "./format.ts";
import { besideAttentionTable } from "./run_table/beside_attention.ts";
import { type Cell, formatTerminalTable, numberColumns, type Table, textColumns } from "./table.ts";
import { escapeTerminal } from "../escape.ts";
import { plural } from "../plural.ts";

/** A measurement is called noisy if half its interval's width exceeds this share of its median. */
const WIDE = 0.1;

/**
 * Writes a run as text: the adapter, its ceilings, and one row per measurement.
 *
 * @param options.wide whether to show every column; otherwise those that fit 120 characters, with
 *   remarks below the table
 */
export function formatRun(
  file: ResultFile,
  { color = false, wide = false }: { readonly color?: boolean; readonly wide?: boolean } = {},
): string {
  const { runtime, timerText } = { runtime: file.runtime, timerText: describeTimer(file) };
  const head = `${adapterName(file)}, ${runtime.name} ${runtime.version ?? ""}${timerText}`;
  const ceilings = Object.keys(file.ceilings).length === 0
    ? ""
    : `${formatTerminalTable(ceilingTable(file), { color })}\n`;
  const measurements = wide
    ? formatTerminalTable(measurementTable(file), { color })
    : formatCompactRows(file, { color });
  const beside = besideAttentionTable(file.measurements);
  const warnings = (file.warnings ?? []).map((warning) => `warning: ${escapeTerminal(warning)}\n`);
  const ratios = beside === undefined ? "" : `\n${formatTerminalTable(beside, { color })}`;
  return `${escapeTerminal(head)}\n\n${ceilings}${measurements}${ratios}${warnings.join("")}`;
}

function describeTimer({ measurements }: ResultFile): string {
  const timer = measurements[0]?.timer;
  if (timer === undefined) return "";
  const clock = timer.kind === "timestamp" ? "GPU timestamps" : "wall time";
  return `, ${clock} in steps of ${formatDuration(timer.quantum)}`;
}

/** The table of an adapter's ceilings. A row names the measurement that exceeds its ceiling. */
export function ceilingTable(
  { ceilings, measurements }: Pick<ResultFile, "ceilings" | "measurements">,
): Table {
  const exceeded = exceededCeilings({ ceilings, measurements });
  const mark = (name: keyof Ceilings): Cell => {
    const found = exceeded.get(name as BoundingCeiling);
    if (found === undefined) {
      const { method = "", remark } = ceilings[name] ?? {};
      if (remark !== undefined) return { text: remark, tone: "unsure" };
      return { text: method, tone: "faint" };
    }
    const { kernel, pass, shape, variant } = found.measurement;
    const by = `${formatFactor(found.factor)} by ${kernel} ${pass} ${
      formatShape(shape)
    } ${variant}`;
    return { text: `exceeded ${by}`, tone: "unsure" };
  };
  const format = (value: number | undefined, unit: string): string =>
    unit === "ns" ? formatDuration(value) : formatRate(value, unit);
  const row = (name: keyof Ceilings, title: string, unit: string): Cell[] => {
    const found = ceilings[name];
    return [
      title,
      format(found?.value, unit),
      found ? ceilingPrecision(found) : "",
      found?.samples === undefined ? "" : String(found.samples.length),
      mark(name),
    ];
  };
  return {
    caption: "What this adapter can do",
    columns: [
      { title: "ceiling" },
      ...numberColumns("figure", "95 %", "samples"),
      { title: "found by" },
    ],
    rows: [
      row("f32Fma", "f32 arithmetic", "FLOP/s"),
      row("f16Fma", "f16 arithmetic", "FLOP/s"),
      row("copyBandwidth", "copying", "B/s"),
      row("expRate", "exponentials", "/s"),
      row("dispatchOverhead", "a dispatch", "ns"),
      row("submitAndWait", "submit and wait", "ns"),
    ],
  };
}

/**
 * The table of a run's measurements.
 *
 * @param options.counts whether to show how many samples and processes each measurement has.
 *   Without these columns, remarks have room on a page. Default: true
 */
export function measurementTable(
  file: ResultFile,
  { counts = true }: { readonly counts?: boolean } = {},
): Table {
  return {
    caption: "Measurements",
    columns: [
      ...textColumns("kernel", "pass", "shape", "variant", "cache"),
      ...numberColumns("median", "95 % interval", "arithmetic", "traffic", "roofline"),
      ...counts ? numberColumns("samples", "processes") : [],
      { title: "remarks" },
    ],
    rows: [...summarizeMeasurements(file.measurements)].map(([measurement, summary]) =>
      row(measurement, { summary, ceilings: file.ceilings, counts })
    ),
  };
}

function speedOf(
  measurement: Measurement,
  { summary, ceilings }: Summarized,
) {
  const { median } = summary;
  const position = rooflinePosition(measurement, ceilings);
  const rate = (amount: number, unit: string): string =>
    median === undefined || amount === 0 ? NO_DATA : formatRate(1e9 * amount / median, unit);
  const found = rooflineShare(position, summary);
  return { bound: position.bound, rate, share: found?.share, interval: found?.interval };
}

interface Summarized {
  readonly summary: Summary;
  readonly ceilings: Ceilings;
}

function row(
  measurement: Measurement,
  { counts, ...known }: Summarized & { readonly counts: boolean },
): Cell[] {
  const { kernel, pass, shape, variant, cache = "hot", flops, bytes, samples } = measurement;
  const { median, interval } = known.summary;
  const { rate, share, interval: shares } = speedOf(measurement, known);
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
    shares === undefined
      ? formatShare(share)
      : `${formatShare(share)} (${formatShare(shares.low)} to ${formatShare(shares.high)})`,
    ...counts ? [`${samples.length}`, `${processesOf(measurement).length}`] : [],
    {
      text: remarks(measurement, { share, summary: known.summary }).map(({ text }) => text).join(
        "; ",
      ),
      tone: status === "ok" ? "unsure" : "bad",
    },
  ];
}

/**
 * Writes the measurements in the columns that fit 120 characters. The rate counts operations if
 * arithmetic bounds the measurement, and bytes if bandwidth does. Numbered remarks follow below.
 */
function formatCompactRows(file: ResultFile, options: { readonly color: boolean }): string {
  const notes: string[] = [];
  const noteOf = (text: string): number => {
    if (!notes.includes(text)) notes.push(text);
    return notes.indexOf(text) + 1;
  };
  const tuned = file.measurements.some(({ tuning }) => tuning.tuned === true);
  let heading: string | undefined;
  const summaries = summarizeMeasurements(file.measurements);
  const rows = file.measurements.flatMap((measurement): Cell[][] => {
    const { kernel, pass, shape, variant, cache = "hot", tuning } = measurement;
    const { status = "ok", flops, bytes } = measurement;
    const summary = summaries.get(measurement)!;
    const { median, relativeHalfWidth } = summary;
    const { bound, rate, share } = speedOf(measurement, { summary, ceilings: file.ceilings });
    const byBytes = bound === "bandwidth" || (bound === undefined && flops === 0);
    const headings = kernel === heading ? [] : [[heading = kernel]];
    return [...headings, [
      pass,
      formatShape(shape).replace(/transpose(\w+)=1/g, (_, side) => `${side.toLowerCase()}ᵀ`),
      tuning.tuned === true ? `${variant}*` : variant,
      cache,
      status === "ok" ? formatDuration(median) : { text: status, tone: "bad" },
      formatPrecision(relativeHalfWidth) || NO_DATA,
      byBytes ? rate(bytes, "B/s") : rate(flops, "FLOP/s"),
      formatShare(share),
      {
        text: remarks(measurement, { share, summary }).map(({ kind }) => noteOf(kind)).toSorted((
          a,
          b,
        ) => a - b)
          .join(
            ",",
          ),
        tone: status === "ok" ? "unsure" : "bad",
      },
    ]];
  });
  const table = formatTerminalTable({
    caption: "Measurements",
    columns: [
      ...textColumns("pass", "shape", "variant", "cache"),
      ...numberColumns("median", "95 %", "rate", "roofline"),
      { title: notes.length > 0 ? "notes" : "" },
    ],
    rows,
  }, options);
  const lines = [
    ...tuned ? ["* chosen by deno task tune"] : [],
    ...notes.map((note, i) => `${i + 1}: ${escapeTerminal(note)}`),
  ];
  return table + lines.map((line) => `${line}\n`).join("");
}

/** What the reader needs to know before trusting a measurement. */
interface Remark {
  /** The remark without this row's numbers, so several rows can share one note. */
  readonly kind: string;
  /** The remark with this row's numbers. */
  readonly text: string;
}

const ABOVE_ROOFLINE =
  "faster than its roofline: the data came from a cache, or the ceiling is too low";

function remarks(
  measurement: Measurement,
  { share, summary }: { readonly share: number | undefined; readonly summary: Summary },
): Remark[] {
  const { status = "ok", reason, samples, stopReason } = measurement;
  const { driftingSamples = [], warnings = [] } = measurement;
  const { relativeHalfWidth, multimodal, outliers } = summary;
  const drifting = driftingSamples.length;
  const found: (Remark | string | false)[] = [
    status !== "ok" && (reason ?? status),
    stopReason === "interrupted" && "interrupted",
    status === "ok" && samples.length > 0 && relativeHalfWidth === undefined && "few samples",
    status === "ok" && samples.length > 0 && processesOf(measurement).length < 2 &&
    "one process: the interval ignores differences between processes",
    relativeHalfWidth !== undefined && relativeHalfWidth > WIDE && {
      kind: "noisy",
      text: `noisy, ±${(100 * relativeHalfWidth).toFixed(0)} %`,
    },
    share !== undefined && share > 1 && ABOVE_ROOFLINE,
    multimodal && "several modes",
    outliers > samples.length / 10 && { kind: "outliers", text: `${outliers} outliers` },
    drifting > 0 && {
      kind: "some samples were taken while the machine was slow",
      text: `${plural(drifting, "sample")} taken while the machine was slow`,
    },
    ...warnings,
  ];
  return found.filter((remark) => remark !== false)
    .map((remark) => typeof remark === "string" ? { kind: remark, text: remark } : remark);
}
