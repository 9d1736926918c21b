/**
 * Draws the distribution of gradient norms at the RMSNorm output that feeds attention, for token s
 * and for other tokens.
 */
import * as Plot from "@observablehq/plot";
import type { Quartiles } from "../../sinks/measurement/comparison.ts";
import { medianOf } from "../../sinks/numbers.ts";
import { drawPicture } from "../draw.ts";
import type { Markup } from "../html.ts";
import { machineColor, plotText } from "../plot.ts";
import {
  logDomain,
  logTick,
  logTicks,
  plotAxis,
  seriesOf,
  type SinkPlotOptions,
} from "../plot_parts.ts";
import type { GradientNormRow, GradientSinkRow } from "./plot_rows.ts";

/** A violin's left and right side at one height. */
interface Outline {
  readonly panel: string;
  readonly key: string;
  readonly group: number;
  readonly value: number;
  readonly left: number;
  readonly right: number;
  readonly index: number;
}

/** The point of one value, at `x`. Neighboring points differ in `x`, so none hides another. */
interface Spot {
  readonly panel: string;
  readonly index: number;
  readonly x: number;
  readonly value: number;
}

/** With fewer values than this a density would be a guess, so the values themselves are drawn. */
const FEWEST_FOR_DENSITY = 12;

/** Half a violin's width. Token s has its violin at x = 0, the other tokens theirs at x = 1. */
const HALF_WIDTH = 0.42;

/** A kernel density of log10 values at 64 places, with Silverman's bandwidth and a maximum of 1. */
function density(logs: readonly number[]): { log: number; height: number }[] {
  const ascending = [...logs].sort((a, b) => a - b);
  const count = ascending.length;
  const mean = ascending.reduce((sum, value) => sum + value, 0) / count;
  const deviation = Math.sqrt(
    ascending.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count,
  );
  const range = ascending[Math.floor(0.75 * (count - 1))]! -
    ascending[Math.floor(0.25 * (count - 1))]!;
  const spread = Math.min(deviation, range / 1.34) || deviation || 0.01;
  const bandwidth = 0.9 * spread * count ** -0.2;
  const low = ascending[0]! - 2 * bandwidth, high = ascending.at(-1)! + 2 * bandwidth;
  const places = Array.from({ length: 64 }, (_, i) => {
    const log = low + i / 63 * (high - low);
    const height = ascending.reduce(
      (sum, value) => sum + Math.exp(-0.5 * ((log - value) / bandwidth) ** 2),
      0,
    );
    return { log, height };
  });
  const most = Math.max(...places.map(({ height }) => height));
  return places.map(({ log, height }) => ({ log, height: height / most }));
}

/** Options of {@linkcode gradientViolinPlot}. */
export interface GradientViolinOptions extends SinkPlotOptions {
  /** For the text above the panel. */
  readonly ratios?: readonly GradientSinkRow[];
  /** s, the sink's position. Default 0. */
  readonly position?: number;
  /** T_e, the last position that s is compared with. Default 31. */
  readonly lastPosition?: number;
}

function ratioText(ratio: Quartiles | null | undefined, separator: " " | "\n"): string {
  if (!ratio) return "";
  const short = (value: number) => Number(value.toPrecision(3)).toString();
  return `R_GS ${short(ratio.median)}${separator}(${short(ratio.lower)}–${short(ratio.upper)})`;
}

/**
 * Draws the gradient norms ‖∇h̃‖ of token s and of the tokens that it is compared with, in a panel
 * per series, on a logarithmic axis.
 *
 * @param rows of one or more runs; values of 0 are left out
 * @returns undefined if there is no row to draw
 */
export function gradientViolinPlot(
  rows: readonly GradientNormRow[],
  options: GradientViolinOptions,
): Markup | undefined {
  const { position = 0, lastPosition = 31, ratios = [], width } = options;
  const drawn = rows.filter((row) => row.value > 0 && row.position <= lastPosition);
  if (drawn.length === 0) return undefined;
  const series = seriesOf(rows, options.series);
  const panels = series.map((name) => plotText(name, 30));
  const outlines: Outline[] = [];
  const spots: Spot[] = [];
  const medians: Spot[] = [];
  series.forEach((name, index) => {
    [true, false].forEach((sink, group) => {
      const values = drawn
        .filter((row) => row.series === name && (row.position === position) === sink)
        .map(({ value }) => value)
        .sort((a, b) => a - b);
      if (values.length === 0) return;
      const panel = panels[index]!;
      medians.push({ panel, index, x: group, value: medianOf(values)! });
      if (values.length < FEWEST_FOR_DENSITY) {
        // Points alternate between columns, so equal values do not hide each other.
        const columns = Math.min(5, values.length);
        values.forEach((value, i) =>
          spots.push({
            panel,
            index,
            x: group + 0.1 * (i % columns - (columns - 1) / 2),
            value,
          })
        );
        return;
      }
      for (const { log, height } of density(values.map(Math.log10))) {
        outlines.push({
          panel,
          key: `${panel} ${group}`,
          group,
          value: 10 ** log,
          left: group - HALF_WIDTH * height,
          right: group + HALF_WIDTH * height,
          index,
        });
      }
    });
  });
  // Narrow panels, as on a phone, wrap their texts.
  const panelWidth = (width - 66) / series.length;
  const narrow = panelWidth < 150;
  const domain = logDomain([...outlines, ...spots].map(({ value }) => value));
  const colored = { fill: (row: { index: number }) => machineColor(row.index) };
  return drawPicture(options, {
    width,
    height: narrow ? 376 : 340,
    marginLeft: 58,
    marginRight: 8,
    marginTop: narrow ? 88 : 52,
    marginBottom: 40,
    fx: { domain: panels, axis: null, paddingInner: 0.08, paddingOuter: 0 },
    x: {
      domain: [-0.55, 1.55],
      ticks: [0, 1],
      tickFormat: (group: number) =>
        group === 0
          ? `${narrow ? "" : "token "}${position}`
          : narrow
          ? "others"
          : `others ≤ ${lastPosition}`,
      tickSize: 0,
      label: null,
    },
    y: { type: "log", domain },
    marks: [
      Plot.frame({ stroke: "var(--rule)" }),
      ...plotAxis({
        axis: "y",
        ticks: logTicks(domain, 7),
        format: logTick,
        label: "↑ ‖∇h̃‖",
        left: 58,
      }),
      Plot.areaX(outlines, {
        fx: "panel",
        y: "value",
        x1: "left",
        x2: "right",
        z: "key",
        ...colored,
        fillOpacity: 0.3,
      }),
      ...(["left", "right"] as const).map((side) =>
        Plot.line(outlines, {
          fx: "panel",
          y: "value",
          x: side,
          z: "key",
          stroke: (row: Outline) => machineColor(row.index),
        })
      ),
      Plot.dot(spots, { fx: "panel", x: "x", y: "value", r: 3.5, ...colored }),
      Plot.link(medians, {
        fx: "panel",
        x1: (row: Spot) => row.x - 0.22,
        x2: (row: Spot) => row.x + 0.22,
        y1: "value",
        y2: "value",
        stroke: "var(--ink)",
        strokeWidth: 2,
      }),
      Plot.text(panels, {
        fx: (panel: string) => panel,
        text: (panel: string) => panel,
        frameAnchor: "top",
        lineAnchor: "bottom",
        // Wraps the title at the panel's width. Plot counts this width in ems, here of 12 pixels.
        ...narrow ? { lineWidth: panelWidth / 12 } : {},
        dy: narrow ? -36 : -26,
        fontWeight: "600",
      }),
      Plot.text(series, {
        fx: (_: string, i: number) => panels[i]!,
        text: (name: string) =>
          ratioText(ratios.find((row) => row.series === name)?.ratio, narrow ? "\n" : " "),
        frameAnchor: "top",
        lineAnchor: "bottom",
        dy: narrow ? -6 : -9,
      }),
    ],
  });
}
