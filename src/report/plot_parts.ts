/**
 * Shared parts of the pictures of sinks and of the study: legends inside a picture, logarithmic
 * axes, and pictures as files.
 */
import * as Plot from "@observablehq/plot";
import { ticks as ticksBetween } from "d3-array";
import { escapeHtml } from "../escape.ts";
import type { PictureOptions } from "./draw.ts";
import type { Markup } from "./html.ts";
import { PALETTE } from "./page_style.ts";
import { machineColor, machineSign, plotText } from "./plot.ts";

/** Options of the sink pictures. */
export interface SinkPlotOptions extends PictureOptions {
  /** The width in pixels; the picture shrinks if there is less room. */
  readonly width: number;
  /**
   * The series, in the order in which they get colors and signs (shapes at points). Default: the
   * order in which the rows first name them.
   */
  readonly series?: readonly string[];
}

/** The height of the legend's lines. */
const LEGEND_LINE = 20;

// At a font size of 12 pixels, sans-serif letters are 6.6 pixels wide on average.
const LETTER = 6.6;

/** A legend in a picture's upper margin. */
export interface PictureLegend {
  readonly marks: Plot.Markish[];
  /** The height in pixels, by which the picture's upper margin must grow. */
  readonly height: number;
}

/** An entry of a legend. */
export interface LegendEntry {
  readonly text: string;
  /** CSS */
  readonly color: string;
  readonly symbol: string;
}

/** Makes a legend entry for each series. A single series needs no legend, so it gets no entry. */
export function seriesEntries(series: readonly string[]): LegendEntry[] {
  if (series.length < 2) return [];
  return series.map((name, i) => ({
    text: plotText(name, 40),
    color: machineColor(i),
    symbol: machineSign(i),
  }));
}

/**
 * Draws signs and names from left to right, in lines above the frame.
 *
 * @param options the picture's width and left margin, and in `above` the distance from the frame up
 *   to the legend's last line, in pixels
 */
export function pictureLegend(
  entries: readonly LegendEntry[],
  options: { readonly width: number; readonly left: number; readonly above: number },
): PictureLegend {
  const { width, left, above } = options;
  let x = 0, line = 0;
  const placed = entries.map((entry) => {
    const needed = 26 + LETTER * entry.text.length;
    if (x > 0 && left + x + needed > width) {
      x = 0;
      line++;
    }
    const place = { ...entry, x, line };
    x += needed;
    return place;
  });
  const lines = entries.length === 0 ? 0 : line + 1;
  const marks = placed.flatMap((entry): Plot.Markish[] => {
    const dy = -above - (lines - 1 - entry.line) * LEGEND_LINE;
    const at = { frameAnchor: "top-left" as const, fx: null, fy: null, facet: "super" as const };
    return [
      Plot.dot([entry], {
        ...at,
        dx: entry.x + 5,
        dy,
        r: 4.5,
        fill: entry.color,
        symbol: entry.symbol as never,
      } as never),
      Plot.text([entry.text], {
        ...at,
        text: (text: string) => text,
        dx: entry.x + 14,
        dy,
        textAnchor: "start",
        lineAnchor: "middle",
      } as never),
    ];
  });
  return { marks, height: lines * LEGEND_LINE };
}

export function seriesOf(
  rows: readonly { readonly series: string }[],
  given: readonly string[] | undefined,
): string[] {
  return given === undefined ? [...new Set(rows.map(({ series }) => series))] : [...given];
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** Writes a number for a logarithmic axis: plain from 0.01 to 9998, else with a power of ten. */
export function logTick(value: number): string {
  if (value >= 0.0099 && value < 9999) return String(Number(value.toPrecision(3)));
  const [mantissa, exponent] = value.toExponential(1).split("e") as [string, string];
  const digits = Array.from(exponent.replace(/^[+-]/, ""), (digit) => SUPERSCRIPTS[Number(digit)])
    .join("");
  const factor = Number(mantissa) === 1 ? "" : `${Number(mantissa)}·`;
  return `${factor}10${exponent.startsWith("-") ? "⁻" : ""}${digits}`;
}

/** Options of {@linkcode plotAxis}. */
export interface PlotAxisOptions {
  readonly ticks: readonly number[];
  readonly format: (value: number) => string;
  readonly label: string;
  /** An x axis has its label below the frame's right end, a y axis above the frame's left side. */
  readonly axis: "x" | "y";
  /** The width of the picture's left margin, in pixels. A y axis's label begins in this margin. */
  readonly left: number;
}

/**
 * Draws an axis with its grid and label. Plot's default axis is not used: it drops ticks of
 * logarithmic scales, and puts a y axis's label where the legend is.
 */
export function plotAxis(options: PlotAxisOptions): Plot.Markish[] {
  const { ticks, format, label, axis, left } = options;
  return axis === "x"
    ? [
      Plot.gridX([...ticks], { strokeOpacity: 0.12 }),
      Plot.axisX([...ticks], { text: format, label, labelAnchor: "right", tickSize: 4 } as never),
    ]
    : [
      Plot.gridY([...ticks], { strokeOpacity: 0.12 }),
      Plot.axisY([...ticks], { text: format, label: null, tickSize: 4 } as never),
      Plot.text([label], {
        text: (text: string) => text,
        frameAnchor: "top-left",
        facet: "super",
        fx: null,
        fy: null,
        dx: 6 - left,
        dy: -21,
        textAnchor: "start",
      } as never),
    ];
}

/**
 * Ticks for a logarithmic axis: powers of ten, with a few of their multiples if there is room. A
 * short axis may contain fewer than two such numbers; then its ticks are evenly spaced.
 *
 * @param domain low and high, above 0
 * @param most the most ticks that fit
 */
export function logTicks([low, high]: readonly [number, number], most: number): number[] {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const inside = (ticks: number[]) => ticks.filter((tick) => tick >= low && tick <= high);
  const powers = (step: number, factors: readonly number[]) => {
    const ticks: number[] = [];
    for (let power = first; power <= last; power += step) {
      for (const factor of factors) ticks.push(Number((factor * 10 ** power).toPrecision(3)));
    }
    return inside(ticks);
  };
  for (const factors of [[1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3]]) {
    const ticks = powers(1, factors);
    if (ticks.length >= 2 && ticks.length <= most) return ticks;
  }
  for (let step = 1;; step++) {
    const ticks = powers(step, [1]);
    if (ticks.length < 2 && high < 10 * low) return evenTicks(low, high, most);
    if (ticks.length <= most) return ticks;
  }
}

// d3 may make more ticks than it is asked for. So ask for ever fewer, until at most `most` come.
function evenTicks(low: number, high: number, most: number): number[] {
  for (let count = most;; count--) {
    const ticks = ticksBetween(low, high, count);
    if (ticks.length <= most) return ticks;
  }
}

/**
 * The domain of a logarithmic axis: from the least to the greatest value above 0, and a little
 * further at both ends. On the logarithmic scale, each end moves outward by `margin` times the
 * distance from least to greatest, but at least by a factor of 1.15.
 */
export function logDomain(values: Iterable<number>, margin = 0.06): [number, number] {
  let low = Infinity, high = 0;
  for (const value of values) {
    if (!(value > 0) || value === Infinity) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (high === 0) return [0.1, 10];
  const widened = Math.max(1.15, (high / low) ** margin);
  return [low / widened, high * widened];
}

function variables(scheme: "light" | "dark"): string {
  return Object.entries(PALETTE[scheme]).map(([name, value]) => `--${name}:${value}`).join(";");
}

/**
 * Turns a picture into an SVG file that needs no page.
 *
 * @param scheme the colors, for a light or a dark background; by default they follow the reader's
 *   system
 */
export function standalonePicture(picture: Markup, scheme?: "light" | "dark"): string {
  const rules = scheme === undefined
    ? `svg{${variables("light")}}@media(prefers-color-scheme:dark){svg{${variables("dark")}}}`
    : `svg{${variables(scheme)}}`;
  const style = `<style>${rules}` +
    `svg{background:var(--surface);color:var(--ink);--plot-background:var(--surface);` +
    `font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}` +
    `text{white-space:pre}</style>`;
  const start = picture.text.indexOf(">") + 1;
  const opening = picture.text.slice(0, start);
  const named = opening.includes("xmlns=")
    ? opening
    : opening.replace("<svg", `<svg xmlns="${escapeHtml("http://www.w3.org/2000/svg")}"`);
  return `${named}${style}${picture.text.slice(start)}\n`;
}
