/** The picture and the table of a run. */
import { formatDuration, formatRate, formatShape, NO_DATA } from "../../src/report/format.ts";
import type { Markup } from "../../src/report/html.ts";
import type { SvgDocument } from "../../src/report/plot.ts";
import { type ScalingLine, type ScalingPanel, scalingPlot } from "./plot.ts";
import { type Cell, numberColumns, type Table, textColumns } from "../../src/report/table.ts";
import type { ScalingResult, SeriesResult } from "./result.ts";

const titles: Readonly<Record<string, string>> = {
  "attention": "Attention",
  "rms-norm": "RMSNorm",
  "v-scale": "V-scale",
};

const axes: Readonly<Record<string, string>> = {
  T: "tokens T →",
  rows: "rows →",
  d: "row length d →",
  D: "head dimension D →",
};

/**
 * Draws a run.
 *
 * @returns undefined if nothing was measured
 */
export function scalingPicture(
  results: readonly SeriesResult[],
  { document, machine }: { readonly document: SvgDocument; readonly machine: string },
): Markup | undefined {
  const groups = new Map<string, SeriesResult[]>();
  for (const each of results) {
    const key = `${each.kernel} ${each.axis}`;
    groups.set(key, [...groups.get(key) ?? [], each]);
  }
  // Show CPU times if every measured call has one, because they exclude other programs' work. Only
  // CPU adapters have CPU times.
  const measured = results.flatMap(({ points }) => points).filter(({ time }) => time !== undefined);
  const cpu = measured.length > 0 && measured.every((each) => each.cpu !== undefined);
  const panels = [...groups.values()].flatMap((group) => {
    const { kernel } = group[0]!;
    return [timePanel(group, cpu), ...kernel === "attention" ? [memoryPanel(group)] : []];
  });
  return scalingPlot(panels, {
    document,
    text: {
      id: "scaling",
      title: `Cost per unit of work, and memory, by the lengths of a call: ${machine}`,
      description: "The table that deno task bench:scaling prints has the same figures.",
    },
  });
}

function timePanel(group: readonly SeriesResult[], cpu: boolean): ScalingPanel {
  const { kernel, axis, unit } = group[0]!;
  return {
    title: `${titles[kernel] ?? kernel}: ${cpu ? "CPU " : ""}time for each ${
      unit === "flop" ? "FLOP" : "byte"
    }`,
    xLabel: axes[axis] ?? axis,
    yLabel: `↑ ${cpu ? "CPU " : ""}ps per ${unit === "flop" ? "FLOP" : "byte"}, hot cache`,
    lines: group.map(({ pass, points }) => ({
      name: pass,
      points: points.flatMap((point) => timePoint(point, cpu)),
    })),
  };
}

function timePoint(point: ScalingResult, cpu: boolean) {
  const { x } = point;
  const { time, perUnit, interval } = cpu ? point.cpu ?? {} : point;
  if (time === undefined || perUnit === undefined) return [];
  const scale = 1000 * perUnit / time; // turns ns per run into ps per unit of work
  const ends = interval === undefined
    ? {}
    : { low: interval.low * scale, high: interval.high * scale };
  return [{ x, y: 1000 * perUnit, ...ends }];
}

// Shows memory per head, because CPU adapters are measured with fewer heads than GPUs.
function memoryPanel(group: readonly SeriesResult[]): ScalingPanel {
  const line = (name: string, pass: string, bytes: (result: ScalingResult) => number) => {
    const points = group.find((each) => each.pass === pass)?.points ?? [];
    return {
      name,
      points: points.filter(({ memory }) => memory.tensors > 0).map((result) => ({
        x: result.x,
        y: bytes(result) / (result.shape.Hq ?? 1),
      })),
    } satisfies ScalingLine;
  };
  return {
    title: "Attention: memory for each head",
    xLabel: axes.T!,
    yLabel: "↑ bytes",
    format: formatBytes,
    ticks: [2 ** 5, 2 ** 10, 2 ** 15, 2 ** 20, 2 ** 25, 2 ** 30],
    lines: [
      line("inputs and outputs", "backward", ({ memory }) => memory.tensors),
      line("extra, backward", "backward", ({ memory }) => memory.extra),
      line("extra, forward", "forward", ({ memory }) => memory.extra),
      line("a T × T matrix", "forward", ({ x, shape }) => 4 * x ** 2 * shape.Hq!),
    ],
  };
}

/** Bytes in a readable unit. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  const power = bytes < 1 ? 0 : Math.min(3, Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** power).toPrecision(3))} ${units[power]}`;
}

/** A run as a table. */
export function scalingTable(
  results: readonly SeriesResult[],
  { caption }: { readonly caption: string },
): Table {
  return {
    caption,
    columns: [
      ...textColumns("operator", "call", "variant"),
      ...numberColumns("time", "CPU time", "throughput", "inputs and outputs", "extra memory"),
      { title: "remarks" },
    ],
    rows: results.flatMap(({ kernel, pass, unit, points }) =>
      points.map((point, i): Cell[] => {
        const { shape, variant, time, cpu, perUnit, memory, status, reason = "" } = point;
        const rate = perUnit === undefined
          ? NO_DATA
          : formatRate(1e9 / perUnit, unit === "flop" ? "FLOP/s" : "B/s");
        return [
          i === 0 ? `${kernel} ${pass}` : "",
          formatShape(shape),
          variant,
          formatDuration(time),
          cpu === undefined ? "" : formatDuration(cpu.time),
          rate,
          memory.tensors === 0 ? "" : formatBytes(memory.tensors),
          memory.tensors === 0 ? "" : formatBytes(memory.extra),
          {
            text: status === "ok" ? "" : `${status}: ${reason}`,
            tone: status === "left-out" ? "unsure" : "bad",
          },
        ];
      })
    ),
  };
}
