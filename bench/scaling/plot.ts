/** Draws how time and memory grow with a call's lengths: small pictures side by side. */
import * as Plot from "@observablehq/plot";
import { escapeHtml } from "../../src/escape.ts";
import { Markup } from "../../src/report/html.ts";
import { drawPicture } from "../../src/report/draw.ts";
import {
  machineColor,
  machineDashes,
  machineSign,
  PANEL_WIDTH,
  type PictureText,
  plotText,
  type SvgDocument,
} from "../../src/report/plot.ts";
import {
  logDomain,
  logTick,
  logTicks,
  pictureLegend,
  plotAxis,
  seriesEntries,
} from "../../src/report/plot_parts.ts";

/** A value at one length. */
export interface ScalingPoint {
  readonly x: number;
  /** Above 0. */
  readonly y: number;
  readonly low?: number | undefined;
  readonly high?: number | undefined;
}

/** A line of one picture. */
export interface ScalingLine {
  readonly name: string;
  readonly points: readonly ScalingPoint[];
}

/** One small picture; both axes are logarithmic. */
export interface ScalingPanel {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly lines: readonly ScalingLine[];
  /** Formats a value of the vertical axis. Default: `logTick`. */
  readonly format?: (value: number) => string;
  /** The ticks of the vertical axis. */
  readonly ticks?: readonly number[];
}

/** Options of {@linkcode scalingPlot}. */
export interface ScalingPlotOptions {
  readonly document: SvgDocument;
  readonly text: PictureText;
  /** The number of pictures side by side. Default 2. */
  readonly columns?: number;
}

const HEIGHT = 260;
const GAP = 28;
const EDGE = 14;
const MARGINS = { left: 52, right: 16, top: 26, bottom: 44 };

/**
 * Draws panels in a grid.
 *
 * @param panels those without a point are left out
 * @returns undefined if there is nothing to draw
 */
export function scalingPlot(
  panels: readonly ScalingPanel[],
  { document, text, columns = 2 }: ScalingPlotOptions,
): Markup | undefined {
  const drawn = panels.filter(({ lines }) => lines.some(({ points }) => points.length > 0))
    .map((panel, i) => drawPanel(panel, { document, text: { ...text, id: `${text.id}-${i}` } }));
  if (drawn.length === 0) return undefined;
  const width = columns * PANEL_WIDTH + (columns - 1) * GAP + 2 * EDGE;
  let total = EDGE;
  const placed: string[] = [];
  for (let first = 0; first < drawn.length; first += columns) {
    const row = drawn.slice(first, first + columns);
    const height = Math.max(...row.map((panel) => panel.height));
    for (const [i, panel] of row.entries()) {
      const x = EDGE + i * (PANEL_WIDTH + GAP);
      const y = total + height - panel.height; // aligns the bottoms of a row's frames
      placed.push(`<g transform="translate(${x},${y})">${panel.picture.text}</g>`);
    }
    total += height + GAP;
  }
  total += EDGE - GAP;
  return new Markup(
    `<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" width="${width}" height="${total}" ` +
      `viewBox="0 0 ${width} ${total}" aria-labelledby="${text.id}-title" ` +
      `aria-describedby="${text.id}-desc"><title id="${text.id}-title">${
        escapeHtml(text.title)
      }</title><desc id="${text.id}-desc">${escapeHtml(text.description)}</desc>` +
      `${placed.join("")}</svg>`,
  );
}

interface Dot extends ScalingPoint {
  readonly index: number;
}

function drawPanel(
  { title, xLabel, yLabel, lines, format = logTick, ticks }: ScalingPanel,
  { document, text }: { readonly document: SvgDocument; readonly text: PictureText },
): { picture: Markup; height: number } {
  const dots = lines.flatMap(({ points }, index) =>
    points.filter(({ y }) => y > 0).map((point): Dot => ({ ...point, index }))
  );
  const values = dots.flatMap(({ y, low = y, high = y }) => [low, y, high]);
  const lengths = [...new Set(dots.map(({ x }) => x))].sort((a, b) => a - b);
  const domain = logDomain(values, 0.08);
  const entries = seriesEntries(lines.map(({ name }) => name));
  const { left, right, top, bottom } = MARGINS;
  const legend = pictureLegend(entries, { width: PANEL_WIDTH, left: 8, above: 40 });
  const height = HEIGHT + legend.height + top + bottom;
  const own = (index: number) => dots.filter((dot) => dot.index === index);
  const picture = drawPicture({ document, text: { ...text, title } }, {
    width: PANEL_WIDTH,
    height,
    marginLeft: left,
    marginRight: right,
    marginTop: top + 44 + legend.height,
    marginBottom: bottom,
    x: { type: "log", domain: logDomain(lengths, 0.04), label: null, axis: null },
    y: { type: "log", domain, axis: null },
    marks: [
      ...plotAxis({
        ticks: ticksAmong(lengths),
        format: (value) => value.toLocaleString("en"),
        label: xLabel,
        axis: "x",
        left,
      }),
      ...plotAxis({
        ticks: ticks?.filter((tick) => tick >= domain[0] && tick <= domain[1]) ??
          logTicks(domain, 6),
        format,
        label: yLabel,
        axis: "y",
        left,
      }),
      Plot.text([plotText(title, 60)], {
        text: (each: string) => each,
        frameAnchor: "top-left",
        dx: 6 - left,
        dy: -52 - legend.height,
        textAnchor: "start",
        fontWeight: "600",
        fontSize: 13,
      } as never),
      ...legend.marks,
      ...lines.flatMap((_, index): Plot.Markish[] => [
        Plot.line(own(index), {
          x: "x",
          y: "y",
          stroke: machineColor(index),
          strokeWidth: 1.8,
          strokeDasharray: machineDashes(index),
        }),
        Plot.ruleX(own(index).filter(({ low }) => low !== undefined), {
          x: "x",
          y1: "low",
          y2: "high",
          stroke: machineColor(index),
        }),
        Plot.dot(own(index), {
          x: "x",
          y: "y",
          fill: machineColor(index),
          symbol: machineSign(index),
          r: 4,
          title: (dot: Dot) =>
            `${lines[index]!.name}, ${xLabel} ${dot.x.toLocaleString("en")}: ${format(dot.y)}`,
        } as never),
      ]),
    ],
  });
  return { picture, height };
}

// Chooses the lengths whose labels fit side by side, starting with the longest.
function ticksAmong(lengths: readonly number[]): number[] {
  const factor = (lengths.at(-1)! / lengths[0]!) ** (1 / 5);
  const ticks: number[] = [];
  for (const length of lengths.toReversed()) {
    if (ticks.length === 0 || ticks.at(-1)! / length >= factor) ticks.push(length);
  }
  return ticks.reverse();
}
