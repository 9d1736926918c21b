/**
 * Draws figures through training. Each series, such as a variant, is a line at the median over its
 * seeds, with a band for the seeds' range.
 */
import * as Plot from "@observablehq/plot";
import { median } from "../../statistics/summary.ts";
import { drawPicture, type PictureOptions } from "../draw.ts";
import type { Markup } from "../html.ts";
import { machineColor, machineDashes, machineSign, PANEL_WIDTH } from "../plot.ts";
import { logDomain, logTick, logTicks } from "../plot_parts.ts";

/** A run's figure at one step. */
export interface CurveRow {
  readonly series: string;
  readonly step: number;
  readonly value: number;
}

/** Options of {@linkcode curvePlot}. */
export interface CurvePlotOptions extends PictureOptions {
  /** The series, in the order in which they get colors, dashes and signs (shapes at points). */
  readonly series: readonly string[];
  /** The vertical axis's label. */
  readonly label: string;
  /** share: from 0 to 1; logarithmic: leaves out values of 0 or less. Default linear. */
  readonly scale?: "linear" | "logarithmic" | "share";
  /** A horizontal line at a meaningful value. */
  readonly reference?: number;
  /** The width in pixels. Default: a small picture's width. */
  readonly width?: number;
}

/** One series at one step. */
interface CurvePoint {
  readonly index: number;
  readonly step: number;
  readonly low: number;
  readonly middle: number;
  readonly high: number;
}

/** Signs per line, roughly. */
const SIGNS_A_LINE = 5;

/** Draws a figure against steps; undefined if there is nothing to draw. */
export function curvePlot(
  rows: readonly CurveRow[],
  options: CurvePlotOptions,
): Markup | undefined {
  const { series, label, scale = "linear", reference, width = PANEL_WIDTH } = options;
  const logarithmic = scale === "logarithmic";
  const drawn = rows.filter(({ value }) => !logarithmic || value > 0);
  const points = series.flatMap((name, index) =>
    pointsOf(drawn.filter((row) => row.series === name), index)
  );
  if (points.length === 0) return undefined;
  const values = points.flatMap(({ low, high }) => [low, high]);
  const domain = logarithmic
    ? logDomain(values)
    : scale === "share"
    ? [0, 1] as [number, number]
    : linearDomain(values);
  const last = Math.max(...points.map(({ step }) => step));
  const own = (index: number) => points.filter((point) => point.index === index);
  return drawPicture(options, {
    width,
    height: Math.round(0.68 * width),
    marginLeft: 52,
    marginRight: 19,
    marginTop: 26,
    marginBottom: 40,
    x: {
      domain: [0, last],
      ticks: 4,
      tickFormat: (step: number) => String(step),
      label: "training step →",
      labelAnchor: "right",
    },
    y: {
      type: logarithmic ? "log" : "linear",
      domain,
      ticks: logarithmic ? logTicks(domain, 6) : 5,
      ...logarithmic ? { tickFormat: logTick } : {},
      grid: true,
      label: `↑ ${label}`,
    },
    marks: [
      Plot.frame({ stroke: "var(--rule)" }),
      ...reference === undefined || reference < domain[0] || reference > domain[1]
        ? []
        : [Plot.ruleY([reference], { stroke: "var(--ink)", strokeOpacity: 0.5 })],
      ...series.flatMap((_, index) => [
        Plot.areaY(own(index), {
          x: "step",
          y1: "low",
          y2: "high",
          fill: machineColor(index),
          fillOpacity: 0.14,
        }),
      ]),
      ...series.flatMap((_, index) => [
        Plot.line(own(index), {
          x: "step",
          y: "middle",
          stroke: machineColor(index),
          strokeWidth: 1.8,
          strokeDasharray: machineDashes(index),
        }),
        Plot.dot(withSigns(own(index), index), {
          x: "step",
          y: "middle",
          r: 4,
          fill: machineColor(index),
          stroke: "var(--surface)",
          symbol: machineSign(index) as never,
        }),
      ]),
    ],
  });
}

function pointsOf(rows: readonly CurveRow[], index: number): CurvePoint[] {
  const steps = [...new Set(rows.map(({ step }) => step))].sort((a, b) => a - b);
  return steps.map((step) => {
    const values = rows.filter((row) => row.step === step).map(({ value }) => value);
    return {
      index,
      step,
      low: Math.min(...values),
      middle: median(values)!,
      high: Math.max(...values),
    };
  });
}

/**
 * Chooses the few points of a line that show its series' sign. The last point always shows it.
 * Elsewhere, each line's signs are a step away from the previous line's, so fewer signs overlap.
 */
function withSigns(points: readonly CurvePoint[], index: number): CurvePoint[] {
  const every = Math.max(1, Math.round(points.length / SIGNS_A_LINE));
  return points.filter((_, i) => i === points.length - 1 || (i + index) % every === 0);
}

function linearDomain(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = 0.06 * (high - low || Math.abs(high) || 1);
  return [low - margin, high + margin];
}
