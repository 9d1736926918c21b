/**
 * Draws figures against sink strength, with a sign for every measured step of every run. So the
 * reader can compare variants at equal sink strength.
 */
import * as Plot from "@observablehq/plot";
import { drawPicture, type PictureOptions } from "../draw.ts";
import type { Markup } from "../html.ts";
import { machineColor, machineSign, PANEL_WIDTH } from "../plot.ts";
import { logDomain, logTick, logTicks } from "../plot_parts.ts";

/** A run at a step. */
export interface StrengthRow {
  readonly series: string;
  /** The sink strength at the sink layer, between 0 and 1. */
  readonly strength: number;
  readonly value: number;
  /** Whether the row belongs to the run's last step. */
  readonly last: boolean;
}

/** Options of {@linkcode strengthPlot}. */
export interface StrengthPlotOptions extends PictureOptions {
  readonly series: readonly string[];
  /** The vertical axis's label. */
  readonly label: string;
}

/**
 * Draws a figure on a logarithmic axis against sink strength, without values of 0 or less.
 * Undefined if no value is left.
 */
export function strengthPlot(
  rows: readonly StrengthRow[],
  { document, text, series, label }: StrengthPlotOptions,
): Markup | undefined {
  const drawn = rows.filter(({ value }) => value > 0);
  if (drawn.length === 0) return undefined;
  const domain = logDomain(drawn.map(({ value }) => value));
  const place = {
    x: "strength",
    y: "value",
    fill: ({ series: name }: StrengthRow) => machineColor(series.indexOf(name)),
    symbol: ({ series: name }: StrengthRow) => machineSign(series.indexOf(name)),
  } as const;
  return drawPicture({ document, text }, {
    width: PANEL_WIDTH,
    height: Math.round(0.68 * PANEL_WIDTH),
    marginLeft: 52,
    marginRight: 19,
    marginTop: 26,
    marginBottom: 40,
    x: { domain: [0, 1], ticks: 5, label: "sink strength →", labelAnchor: "right" },
    y: {
      type: "log",
      domain,
      ticks: logTicks(domain, 6),
      tickFormat: logTick,
      grid: true,
      label: `↑ ${label}`,
    },
    marks: [
      Plot.frame({ stroke: "var(--rule)" }),
      Plot.dot(drawn.filter(({ last }) => !last), { ...place, r: 2.2, fillOpacity: 0.4 }),
      Plot.dot(drawn.filter(({ last }) => last), { ...place, r: 5, stroke: "var(--surface)" }),
    ],
  });
}
