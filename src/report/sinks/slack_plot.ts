/** Draws how tight the theory's bounds are on a real batch. */
import * as Plot from "@observablehq/plot";
import { drawPicture, facetScale } from "../draw.ts";
import type { Markup } from "../html.ts";
import { FACET_GAP, machineColor, machineSign, plotText } from "../plot.ts";
import {
  logDomain,
  logTick,
  logTicks,
  pictureLegend,
  plotAxis,
  seriesEntries,
  seriesOf,
  type SinkPlotOptions,
} from "../plot_parts.ts";
import type { SlackPlotRow } from "./plot_rows.ts";

/** A bound of one series. */
interface Line {
  readonly facet: string;
  readonly index: number;
  readonly low: number;
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
  readonly high: number;
  readonly sink: number | undefined;
}

/**
 * Draws each bound divided by the actual value, with one line per bound and series. It is thin from
 * the 5 % to the 95 % quantile and thick between the quartiles, with the series' symbol at the
 * median. A ring marks the median over the tokens at the sink's position alone. At 1, on the left,
 * the bound equals the actual value. A line joins all layers and runs: its 5 % quantile is the
 * median of their 5 % quantiles, and so on. Undefined if no row has values to draw.
 */
export function slackPlot(
  rows: readonly SlackPlotRow[],
  options: SinkPlotOptions,
): Markup | undefined {
  const { width } = options;
  const series = seriesOf(rows, options.series);
  const facets = new Map<string, string>();
  for (const row of rows) facets.set(facetOf(row), `${facetOf(row)}:  ${row.formula}`);
  const lines = [...facets.keys()].flatMap((facet) =>
    series.flatMap((name, index) =>
      lineOf(rows.filter((row) => facetOf(row) === facet && row.series === name), {
        facet: plotText(facets.get(facet)!, 70),
        index,
      })
    )
  );
  if (lines.length === 0) return undefined;
  const domain = logDomain(lines.flatMap(({ low, high, sink }) => [1, low, high, sink ?? 1]), 0.03);
  const lineHeight = 16;
  const facetHeight = series.length * lineHeight;
  const names = [...new Set(lines.map(({ facet }) => facet))];
  const legend = pictureLegend([
    ...seriesEntries(series),
    { text: "ring: at the sink", color: "none", symbol: "circle" },
  ], { width, left: 18, above: FACET_GAP + 14 });
  const place = { fy: "facet", y: "index" } as const;
  const stroke = (line: Line) => machineColor(line.index);
  return drawPicture(options, {
    width,
    height: names.length * (facetHeight + FACET_GAP) + 46 + 12 + legend.height,
    marginLeft: 18,
    marginRight: 18,
    marginTop: FACET_GAP + 12 + legend.height,
    marginBottom: 46,
    x: { type: "log", domain },
    y: { type: "band", axis: null, domain: series.map((_, i) => i), padding: 0.2 },
    fy: facetScale(names, facetHeight),
    marks: [
      ...plotAxis({
        axis: "x",
        ticks: logTicks(domain, Math.floor(width / 60)),
        format: logTick,
        label: "bound ÷ actual; 1 is attained →",
        left: 18,
      }),
      Plot.text(names, {
        fy: (name: string) => name,
        text: (name: string) => name,
        frameAnchor: "top-left",
        dy: -FACET_GAP + 8,
        dx: -8,
      }),
      Plot.ruleX([1], { stroke: "var(--ink)", strokeOpacity: 0.6 }),
      Plot.ruleY(lines, { ...place, x1: "low", x2: "high", stroke, strokeWidth: 1.5 }),
      Plot.ruleY(lines, { ...place, x1: "lower", x2: "upper", stroke, strokeWidth: 5 }),
      Plot.dot(lines, {
        ...place,
        x: "median",
        r: 4.5,
        fill: stroke,
        stroke: "var(--surface)",
        symbol: (line: Line) => machineSign(line.index),
      }),
      Plot.dot(lines.filter(({ sink }) => sink !== undefined), {
        ...place,
        x: "sink",
        r: 6.5,
        stroke: "var(--ink)",
        strokeWidth: 1.8,
      }),
      ...legend.marks,
    ],
  });
}

function facetOf({ name, branch }: SlackPlotRow): string {
  // Compress and Change have bounds in both branches. The other bounds are attention's alone, so
  // they need no branch's name.
  return branch === "mlp" || name.startsWith("compress") || name.startsWith("change")
    ? `${name}, ${branch === "mlp" ? "MLP" : "attention"}`
    : name;
}

function lineOf(
  rows: readonly SlackPlotRow[],
  { facet, index }: { readonly facet: string; readonly index: number },
): Line[] {
  const middle = (values: readonly number[]) => {
    const ascending = [...values].sort((a, b) => a - b);
    return ascending[Math.floor((ascending.length - 1) / 2)];
  };
  const full = rows.filter(({ all }) => all.length > 0);
  if (full.length === 0) return [];
  const at = (level: number) => middle(full.map(({ all }) => all[level]!))!;
  const sinks = rows.filter(({ sink }) => sink.length > 0);
  return [{
    facet,
    index,
    low: at(1),
    lower: at(2),
    median: at(3),
    upper: at(4),
    high: at(5),
    sink: middle(sinks.map(({ sink }) => sink[3]!)),
  }];
}
