/** Draws one operator's throughput: a bar or point with its interval for each shape and machine. */
import * as Plot from "@observablehq/plot";
import type { Comparison } from "../../measure/comparison.ts";
import type { ComparisonCell, ComparisonRow } from "../../measure/comparison/rows.ts";
import { formatRate, formatShape } from "../format.ts";
import { drawFacets, type PictureOptions } from "../draw.ts";
import type { Markup } from "../html.ts";
import { machineColor, machineSign, type OperatorGroup, plotText } from "../plot.ts";

interface Bar {
  readonly shape: string;
  readonly index: number;
  readonly rate: number | undefined;
  readonly low: number | undefined;
  readonly high: number | undefined;
  readonly label: string;
}

/** The kind of throughput: arithmetic or traffic. */
export type Throughput = "FLOP/s" | "B/s";

/**
 * Chooses an operator's throughput: arithmetic if it does many operations per byte, else traffic.
 */
export function throughputOf(group: OperatorGroup): Throughput {
  // RMSNorm and V-scale do less than 2 FLOP per byte, attention tens to hundreds. The limit of 8
  // lies between them.
  const intensities = group.rows.flatMap(({ cells }) =>
    cells.flatMap(({ roofline }) => roofline.intensity ?? [])
  );
  return Math.max(0, ...intensities) >= 8 ? "FLOP/s" : "B/s";
}

export function throughput(
  cell: ComparisonCell,
  unit: Throughput,
): { rate: number; low: number | undefined; high: number | undefined } | undefined {
  const rate = unit === "FLOP/s" ? cell.flopsPerSecond : cell.bytesPerSecond;
  const { median, interval } = cell.summary;
  if (rate === undefined || median === undefined || !(rate > 0)) return undefined;
  return {
    rate,
    low: interval && rate * median / interval.high,
    high: interval && rate * median / interval.low,
  };
}

/**
 * A row's name within its operator: the shape, then the number format unless it is f32, then `cold`
 * if the cache is cold.
 */
export function rowName({ shape, dtype, cache }: ComparisonRow): string {
  return formatShape(shape) + (dtype === "f32" ? "" : ` ${dtype}`) +
    (cache === "cold" ? " cold" : "");
}

function barsOf(comparison: Comparison, group: OperatorGroup, unit: Throughput): Bar[] {
  return group.rows.flatMap((row) =>
    row.cells.map((cell, index): Bar => {
      const found = throughput(cell, unit);
      const verdict = comparison.machines.length === 2 ? cell.pair?.verdict : undefined;
      const sign = verdict === "faster" ? " ▲" : verdict === "slower" ? " ▼" : "";
      return {
        shape: plotText(rowName(row)),
        index,
        rate: found?.rate,
        low: found?.low,
        high: found?.high,
        label: found === undefined
          ? (cell.status === "ok" || cell.status === "missing" ? "no data" : cell.status)
          : formatRate(found.rate, unit) + sign,
      };
    })
  );
}

// If the longest bar is this many times as long as the shortest, the shortest has only 6 pixels.
// Above this ratio the axis is logarithmic. Such an axis has no zero from which bars could begin,
// so points replace the bars.
const WIDEST_BARS = 40;

/** Draws an operator's throughput. Returns undefined if no rate is known. */
export function barPlot(
  comparison: Comparison,
  group: OperatorGroup,
  options: PictureOptions,
): Markup | undefined {
  const unit = throughputOf(group);
  const bars = barsOf(comparison, group, unit);
  const rates = bars.flatMap(({ rate }) => rate ?? []);
  if (rates.length === 0) return undefined;
  const [least, most] = [Math.min(...rates), Math.max(...rates)];
  const logarithmic = most / least > WIDEST_BARS;
  const shapes = [...new Set(bars.map(({ shape }) => shape))];
  const lineHeight = 17;
  const facetHeight = comparison.machines.length * lineHeight;
  const known = bars.filter(({ rate }) => rate !== undefined);
  const foot = logarithmic ? least / 3 : 0;
  // A label stands after its bar's interval, so the axis must reach the end of every interval.
  const end = Math.max(...known.map(({ rate, high }) => high ?? rate!));
  return drawFacets(options, {
    names: shapes,
    height: facetHeight,
    marginRight: 96,
    x: {
      type: logarithmic ? "log" : "linear",
      domain: [foot, end * 1.02],
      label: `${unit}, more is better →`,
      tickFormat: "~s",
      ticks: logarithmic ? powersOfTen(foot, end) : 4,
    },
    y: { type: "band", axis: null, domain: comparison.machines.map((_, i) => i), padding: 0.18 },
    marks: [
      ...logarithmic
        ? [
          intervals(known),
          Plot.ruleY(known, {
            fy: "shape",
            y: "index",
            x1: foot,
            x2: "rate",
            stroke: (bar: Bar) => machineColor(bar.index),
            strokeOpacity: 0.45,
            strokeWidth: 2,
          }),
          Plot.dot(known, {
            fy: "shape",
            y: "index",
            x: "rate",
            fill: (bar: Bar) => machineColor(bar.index),
            symbol: (bar: Bar) => machineSign(bar.index),
            r: 5,
          }),
        ]
        : [
          Plot.barX(known, {
            fy: "shape",
            y: "index",
            x1: 0,
            x2: "rate",
            fill: (bar: Bar) => machineColor(bar.index),
            rx2: 2,
          }),
          intervals(known),
          Plot.dot(known, {
            fy: "shape",
            y: "index",
            x: 0,
            dx: -9,
            fill: (bar: Bar) => machineColor(bar.index),
            symbol: (bar: Bar) => machineSign(bar.index),
            r: 3.6,
          }),
        ],
      Plot.text(bars, {
        fy: "shape",
        y: "index",
        x: (bar: Bar) => bar.high ?? bar.rate ?? foot,
        text: "label",
        textAnchor: "start",
        dx: 9,
      }),
    ],
  });
}

/** Drawn after bars, but before points. */
function intervals(bars: readonly Bar[]): Plot.RuleY {
  return Plot.ruleY(bars.filter(({ low }) => low !== undefined), {
    fy: "shape",
    y: "index",
    x1: "low",
    x2: "high",
    stroke: "var(--ink)",
    strokeWidth: 1.5,
    marker: "tick",
  });
}

/** At most five powers. */
function powersOfTen(low: number, high: number): number[] {
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  const step = Math.max(1, Math.ceil((last - first) / 4));
  const powers: number[] = [];
  for (let power = first; power <= last; power += step) powers.push(10 ** power);
  return powers;
}
