/** Draws a heat map: a color for the number at each x and y. */
import * as Plot from "@observablehq/plot";
import { drawPicture } from "../draw.ts";
import type { Markup } from "../html.ts";
import { plotText } from "../plot.ts";
import { logTick, type SinkPlotOptions } from "../plot_parts.ts";

/** One cell. */
export interface HeatCell {
  readonly x: number;
  readonly y: number;
  /** null leaves the cell empty. */
  readonly value: number | null;
}

/** Options of {@linkcode heatMap}. */
export interface HeatMapOptions extends Omit<SinkPlotOptions, "series"> {
  /** The label of each axis. */
  readonly x: string;
  readonly y: string;
  /** The meaning of a color. */
  readonly value: string;
  /** `share`: linear from 0 to 1; `log`: logarithmic from the least to the greatest value. */
  readonly scale: "share" | "log";
  /** A cell's height in pixels. Default: 16. */
  readonly cell?: number;
  /** A line below the title, such as which part of the data is shown. */
  readonly note?: string | undefined;
  /** The first label stands at 0, the second at 1, and so on. Default: numbers at some ticks. */
  readonly labels?: { readonly x?: readonly string[]; readonly y?: readonly string[] };
}

const [LEFT, RIGHT, TOP, BOTTOM] = [52, 14, 70, 42];

/** The most letters of a label, and a letter's width in pixels. */
const LABEL = 10;
const LETTER = 7;

/** Colors in the legend. */
const STEPS = 12;

/** Chooses at most `most` of the values, to get ticks: all that are multiples of one round step. */
function ticksOf(values: readonly number[], most: number): number[] {
  const step = [1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128]
    .find((each) => values.filter((value) => value % each === 0).length <= most) ?? Infinity;
  return values.filter((value) => value % step === 0);
}

/**
 * Draws a heat map; undefined if no cell has a value. A logarithmic scale leaves cells of 0 or less
 * empty.
 */
export function heatMap(cells: readonly HeatCell[], options: HeatMapOptions): Markup | undefined {
  const { width, scale, cell: cellHeight = 16, labels = {} } = options;
  const shown = cells.filter(({ value }) => value !== null && (scale === "share" || value > 0));
  if (shown.length === 0) return undefined;
  const values = shown.map(({ value }) => value!);
  const lowest = values.reduce((a, b) => Math.min(a, b));
  const highest = values.reduce((a, b) => Math.max(a, b));
  const domain = scale === "share" ? [0, 1] : [lowest, Math.max(highest, lowest * 1.001)];
  const color = Plot.scale({
    color: { type: scale === "share" ? "linear" : "log", domain, scheme: "viridis" },
  });
  const of = (key: "x" | "y") => [...new Set(cells.map((each) => each[key]))].sort((a, b) => a - b);
  const [columns, rows] = [of("x"), of("y")];
  const [xLabels, yLabels] = [labels.x, labels.y].map((texts) =>
    texts?.map((text) => plotText(text, LABEL))
  );
  const longest = (texts: readonly string[]) =>
    LETTER * texts.reduce((most, text) => Math.max(most, text.length), 0);
  // Wide horizontal labels would overlap.
  const upright = xLabels !== undefined &&
    longest(xLabels) > (width - LEFT - RIGHT) / columns.length;
  const bottom = BOTTOM + (upright ? longest(xLabels) : 0);
  const left = LEFT + (yLabels === undefined ? 0 : longest(yLabels));
  const height = TOP + bottom + Math.max(3, rows.length) * cellHeight;
  const format = scale === "share" ? String : logTick;
  return drawPicture(options, {
    width,
    height,
    marginLeft: left,
    marginRight: RIGHT,
    marginTop: TOP,
    marginBottom: bottom,
    padding: 0,
    x: { type: "band", domain: columns, label: null },
    y: { type: "band", domain: rows, label: null },
    marks: [
      // Cells at an edge get an outline: in the dark scheme, the darkest cells are hardly lighter
      // than the background.
      Plot.cell(edgesOf(shown), {
        x: "x",
        y: "y",
        fill: "none",
        stroke: "var(--faint)",
        strokeWidth: 3,
      }),
      Plot.cell(shown, {
        x: "x",
        y: "y",
        fill: ({ value }: HeatCell) => color.apply(value),
        // Without a stroke, thin lines of the background show between cells.
        stroke: ({ value }: HeatCell) => color.apply(value),
        strokeWidth: 0.4,
      }),
      Plot.axisX(xLabels === undefined ? ticksOf(columns, 13) : columns, {
        label: `${options.x} →`,
        tickSize: 3,
        ...xLabels === undefined ? {} : { tickFormat: (x: number) => xLabels[x] ?? "" },
        ...upright ? { tickRotate: -90 } : {},
      }),
      Plot.axisY(
        yLabels === undefined
          ? ticksOf(rows, Math.max(2, Math.floor(rows.length * cellHeight / 22)))
          : rows,
        {
          label: `↓ ${options.y}`,
          tickSize: 3,
          ...yLabels === undefined ? {} : { tickFormat: (y: number) => yLabels[y] ?? "" },
        },
      ),
      Plot.text([plotText(options.text.title, 60)], {
        text: (title: string) => title,
        frameAnchor: "top-left",
        dy: -58,
        fontWeight: "bold",
      } as never),
      ...options.note === undefined ? [] : [
        Plot.text([options.note], {
          text: (note: string) => note,
          frameAnchor: "top-left",
          dy: -42,
        } as never),
      ],
      ...legendMarks({ domain, apply: (value) => color.apply(value), format, scale, options }),
    ],
  });
}

/** The cells that lack a neighbor on at least one side. */
function edgesOf(cells: readonly HeatCell[]): HeatCell[] {
  const key = (x: number, y: number) => `${x} ${y}`;
  const filled = new Set(cells.map(({ x, y }) => key(x, y)));
  return cells.filter(({ x, y }) =>
    [key(x - 1, y), key(x + 1, y), key(x, y - 1), key(x, y + 1)].some((next) => !filled.has(next))
  );
}

/** The legend: a strip of colors above the frame, with numbers. */
function legendMarks(
  { domain: [low, high], apply, format, scale, options }: {
    readonly domain: readonly number[];
    readonly apply: (value: number) => string;
    readonly format: (value: number) => string;
    readonly scale: HeatMapOptions["scale"];
    readonly options: HeatMapOptions;
  },
): Plot.Markish[] {
  const at = { frameAnchor: "top-right" as const };
  const left = -170;
  const dy = -36;
  const steps = Array.from({ length: STEPS }, (_, i) => {
    const share = i / (STEPS - 1);
    return scale === "share" ? low! + share * (high! - low!) : low! * (high! / low!) ** share;
  });
  const label = (text: string, dx: number, textAnchor: "start" | "end") =>
    Plot.text([text], { ...at, text: (each: string) => each, dx, dy, textAnchor } as never);
  return [
    ...steps.map((value, i) =>
      Plot.dot([value], {
        ...at,
        dx: left + 10 * i,
        dy,
        r: 6.5,
        symbol: "square",
        fill: apply(value),
      } as never)
    ),
    label(`${options.value}  ${format(Number(low!.toPrecision(2)))}`, left - 10, "end"),
    label(format(Number(high!.toPrecision(2))), left + 10 * STEPS + 2, "start"),
  ];
}
