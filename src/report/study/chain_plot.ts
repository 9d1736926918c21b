/**
 * Draws the chain from sink to massive activation: one panel per arm (a variant that is compared
 * with the baseline), with the links from top to bottom and the factor by which the arm changes
 * each link.
 */
import * as Plot from "@observablehq/plot";
import { drawPicture, facetScale, type PictureOptions } from "../draw.ts";
import type { Markup } from "../html.ts";
import { FACET_GAP, machineColor, MARGIN_BOTTOM, plotText } from "../plot.ts";
import { logDomain, logTick, logTicks } from "../plot_parts.ts";

/** One link of one arm. */
export interface ChainRow {
  readonly series: string;
  readonly link: string;
  /** Variant divided by baseline, above 0. */
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** Whether a test shows the change. */
  readonly shown: boolean;
}

/** Options of {@linkcode chainPlot}. */
export interface ChainPlotOptions extends PictureOptions {
  /** The arms, in order. */
  readonly series: readonly string[];
  /** The links, in order. */
  readonly links: readonly string[];
  readonly width: number;
}

const LINE = 19;
const LEFT = 104;

// At a font size of 12 pixels, bold sans-serif letters are 7.6 pixels wide on average.
const LETTER = 7.6;

// The height of a line of a panel's title, in pixels.
const TITLE_LINE = 15;

// If a title is too long, breaks it at a space or after a hyphen.
function breakTitle(title: string, letters: number): string {
  if (title.length <= letters) return plotText(title, letters);
  const fits = title.slice(0, letters);
  const end = Math.max(fits.lastIndexOf(" "), fits.lastIndexOf("-")) + 1;
  const lines = end === 0 ? [title] : [title.slice(0, end).trimEnd(), title.slice(end)];
  return lines.map((line) => plotText(line, letters)).join("\n");
}

/** Pictures narrower than this, in pixels, stack their panels. */
const BESIDE = 700;

/** Draws the chain; undefined if there is nothing to draw. */
export function chainPlot(
  rows: readonly ChainRow[],
  { document, text, series, links, width }: ChainPlotOptions,
): Markup | undefined {
  const drawn = rows.filter(({ low }) => low > 0);
  if (drawn.length === 0) return undefined;
  const beside = width >= BESIDE;
  const domain = logDomain([1, ...drawn.flatMap(({ low, high }) => [low, high])]);
  const panel = beside ? (width - LEFT) / series.length : width - LEFT;
  const height = links.length * LINE;
  const titles = series.map((name) => breakTitle(name, Math.floor(0.92 * panel / LETTER)));
  const titleLines = Math.max(...titles.map((title) => title.split("\n").length));
  const top = FACET_GAP + (titleLines - 1) * TITLE_LINE;
  const facet = beside ? "fx" : "fy";
  const place = { [facet]: "series", y: "link" };
  const color = ({ series: name }: ChainRow) => machineColor(series.indexOf(name));
  const inOrder = drawn.toSorted((a, b) => links.indexOf(a.link) - links.indexOf(b.link));
  return drawPicture({ document, text }, {
    width,
    height: (beside ? height + top : series.length * (height + FACET_GAP)) + MARGIN_BOTTOM,
    marginLeft: LEFT,
    marginRight: 12,
    marginTop: top,
    marginBottom: MARGIN_BOTTOM,
    x: {
      type: "log",
      domain,
      ticks: logTicks(domain, Math.max(2, Math.floor(panel / 42))),
      tickFormat: logTick,
      grid: true,
      label: "variant ÷ baseline →",
      labelAnchor: "left",
      labelOffset: MARGIN_BOTTOM - 6,
    },
    y: { type: "band", domain: [...links], label: null, tickSize: 0 },
    ...beside
      ? { fx: { axis: null, domain: [...series], padding: 0.08 } }
      : { fy: facetScale(series, height) },
    marks: [
      Plot.frame({ stroke: "var(--rule)" }),
      Plot.text(series, {
        [facet]: (name: string) => name,
        text: titles,
        frameAnchor: "top-left",
        lineAnchor: "bottom",
        dy: -7,
        fontWeight: "600",
      }),
      Plot.ruleX([1], { stroke: "var(--ink)", strokeOpacity: 0.5, strokeDasharray: "3 3" }),
      Plot.line(inOrder, {
        ...place,
        x: "median",
        z: "series",
        stroke: color,
        strokeOpacity: 0.35,
      }),
      Plot.ruleY(drawn, { ...place, x1: "low", x2: "high", stroke: color, strokeWidth: 2 }),
      Plot.dot(drawn, {
        ...place,
        x: "median",
        r: 4,
        stroke: color,
        strokeWidth: 1.5,
        fill: (row: ChainRow) => row.shown ? color(row) : "var(--surface)",
      }),
    ],
  });
}
