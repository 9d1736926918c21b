/** Draws the roofline plot: each machine's ceilings as lines, and its measurements as points. */
import * as Plot from "@observablehq/plot";
import type { Comparison } from "../../measure/comparison.ts";
import type { Ceilings, ResultFile } from "../../measure/result_file.ts";
import { rooflineOf, rooflinePosition } from "../../measure/ceilings/roofline.ts";
import { median } from "../../statistics/summary.ts";
import { formatRate, formatShape, formatShare } from "../format.ts";
import { drawPicture, type PictureOptions } from "../draw.ts";
import type { Markup } from "../html.ts";
import { machineColor, machineSign, plotText } from "../plot.ts";

interface Point {
  readonly intensity: number;
  readonly rate: number;
  readonly index: number;
  readonly text: string;
}

interface Corner {
  readonly intensity: number;
  readonly rate: number;
  readonly line: string;
  readonly index: number;
  readonly dtype: string;
}

interface Roofed {
  readonly ceilings: Ceilings;
  /** The number formats for which a roof is drawn. */
  readonly dtypes: readonly string[];
}

/** A point for each measurement with a time and with numbers of operations and bytes above 0. */
function pointsOf(comparison: Comparison): Point[] {
  return comparison.rows.flatMap((row) =>
    row.cells.flatMap((cell, index) => {
      const { intensity } = cell.roofline;
      const rate = cell.flopsPerSecond;
      if (intensity === undefined || rate === undefined || !(intensity > 0 && rate > 0)) return [];
      const name = comparison.machines[index]!.name;
      const text = `${name}\n${row.kernel} ${row.pass} ${row.dtype}\n${formatShape(row.shape)}\n` +
        `${formatRate(rate, "FLOP/s")}, ${formatShare(cell.rooflineShare)} of roofline`;
      return [{ intensity, rate, index, text: plotText(text.replaceAll("\n", " · "), 200) }];
    })
  );
}

function cornersOf(machines: readonly Roofed[], low: number, high: number): Corner[] {
  return machines.flatMap(({ ceilings, dtypes }, index) =>
    dtypes.flatMap((dtype) => {
      const roof = rooflineOf(ceilings, dtype);
      if (roof === undefined) return [];
      const ridge = roof.flopsPerSecond / roof.bytesPerSecond;
      return [low, Math.min(high, Math.max(low, ridge)), high].map((intensity) => ({
        intensity,
        rate: Math.min(roof.flopsPerSecond, intensity * roof.bytesPerSecond),
        line: `${index} ${dtype}`,
        index,
        dtype,
      }));
    })
  );
}

/** Options of {@linkcode rooflinePlot}. */
export interface RooflinePlotOptions extends PictureOptions {
  /** The width in pixels; the picture shrinks if there is less room. */
  readonly width: number;
}

/** Draws the roofline plot. Returns undefined if the plot would have no points. */
export function rooflinePlot(
  comparison: Comparison,
  options: RooflinePlotOptions,
): Markup | undefined {
  const dtypes = roofTypes(comparison.rows);
  return draw(
    pointsOf(comparison),
    comparison.machines.map(({ ceilings }) => ({ ceilings, dtypes })),
    options,
  );
}

/** Draws the roofline plot of a single run. Returns undefined if the plot would have no points. */
export function runRooflinePlot(
  { measurements, ceilings }: ResultFile,
  options: RooflinePlotOptions,
): Markup | undefined {
  const points = measurements.flatMap((measurement): Point[] => {
    const { kernel, pass, dtype, shape, variant, cache = "hot", flops, bytes, samples } =
      measurement;
    const time = (measurement.status ?? "ok") === "ok" ? median(samples) : undefined;
    if (time === undefined || !(flops > 0 && bytes > 0)) return [];
    const { leastTime } = rooflinePosition(measurement, ceilings);
    const rate = 1e9 * flops / time;
    const text = `${kernel} ${pass} ${dtype}, ${variant}, ${cache} · ${formatShape(shape)} · ${
      formatRate(rate, "FLOP/s")
    }, ${formatShare(leastTime === undefined ? undefined : leastTime / time)} of roofline`;
    return [{ intensity: flops / bytes, rate, index: 0, text: plotText(text, 200) }];
  });
  return draw(points, [{ ceilings, dtypes: roofTypes(measurements) }], options);
}

function roofTypes(measurements: readonly { readonly dtype: string }[]): string[] {
  return [...new Set(measurements.map(({ dtype }) => dtype === "f16" ? "f16" : "f32"))];
}

function draw(
  points: readonly Point[],
  machines: readonly Roofed[],
  options: RooflinePlotOptions,
): Markup | undefined {
  if (points.length === 0) return undefined;
  const intensities = points.map(({ intensity }) => intensity);
  const low = Math.min(...intensities) / 2.5;
  const high = Math.max(...intensities) * 2.5;
  const corners = cornersOf(machines, low, high);
  const rates = [...points, ...corners].map(({ rate }) => rate);
  const narrow = options.width < 500;
  return drawPicture(options, {
    width: options.width,
    height: narrow ? 380 : 500,
    marginLeft: narrow ? 46 : 58,
    marginRight: 14,
    marginBottom: 44,
    marginTop: 26,
    x: {
      type: "log",
      domain: [low, high],
      label: "arithmetic intensity (FLOP per byte) →",
      tickFormat: (intensity: number) => String(Number(intensity.toPrecision(3))),
      ticks: narrow ? 4 : 8,
      grid: true,
      labelAnchor: "right",
    },
    y: {
      type: "log",
      domain: [Math.min(...rates) / 1.8, Math.max(...rates) * 1.5],
      label: "↑ FLOP/s",
      tickFormat: "~s",
      ticks: 7,
      grid: true,
    },
    marks: [
      Plot.line(corners, {
        x: "intensity",
        y: "rate",
        z: "line",
        stroke: (corner: Corner) => machineColor(corner.index),
        strokeWidth: 2,
        strokeLinejoin: "round",
        filter: ({ dtype }: Corner) => dtype === "f32",
      }),
      Plot.line(corners, {
        x: "intensity",
        y: "rate",
        z: "line",
        stroke: (corner: Corner) => machineColor(corner.index),
        strokeWidth: 2,
        strokeDasharray: "6 4",
        filter: ({ dtype }: Corner) => dtype === "f16",
      }),
      Plot.dot(points, {
        x: "intensity",
        y: "rate",
        symbol: (point: Point) => machineSign(point.index),
        fill: (point: Point) => machineColor(point.index),
        stroke: "var(--surface)",
        strokeWidth: 1,
        r: narrow ? 4.5 : 5.5,
        title: "text",
      }),
    ],
  });
}
