/**
 * Draws Bloat, Compress and Change of single tokens against the norm of their hidden state.
 * `BranchByPosition` in `src/sinks/measurement/branch.ts` defines these ratios of gradient norms.
 */
import * as Plot from "@observablehq/plot";
import { drawPicture } from "../draw.ts";
import type { Markup } from "../html.ts";
import { machineColor, machineDashes, machineSign, plotText } from "../plot.ts";
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
import type { BranchRow, CompressFitRow } from "./plot_rows.ts";

const MEASURES = ["bloat", "compress", "change"] as const;
const TITLES = { bloat: "Bloat", compress: "Compress", change: "Change" } as const;
const BRANCHES = ["attention", "mlp"] as const;

/** Options of {@linkcode branchPlot}. */
export interface BranchPlotOptions extends SinkPlotOptions {
  /** Each is labeled with its slope. */
  readonly fits?: readonly CompressFitRow[];
  /** s, for the texts. Default 0. */
  readonly position?: number;
}

/** An end of a fitted line. */
interface LinePoint {
  readonly branch: string;
  readonly index: number;
  readonly inputNorm: number;
  readonly value: number;
}

/**
 * Draws Bloat, Compress and Change, each in a picture of its own if it has rows. Each point is one
 * token; the points of position s, the sink, are large and outlined. Lines are the fits of
 * Compress. Both axes are logarithmic.
 *
 * @param rows of any number of layers and runs; values of 0 are left out
 */
export function branchPlot(rows: readonly BranchRow[], options: BranchPlotOptions): Markup[] {
  const series = seriesOf(rows, options.series);
  const drawn = rows.filter(({ value, inputNorm }) => value > 0 && inputNorm > 0);
  const xDomain = logDomain(drawn.map(({ inputNorm }) => inputNorm));
  return MEASURES.flatMap((measure) => {
    const points = drawn.filter((row) => row.measure === measure);
    return points.length === 0
      ? []
      : [measurePlot(points, { ...options, series, measure, xDomain })];
  });
}

function measurePlot(
  points: readonly BranchRow[],
  options: BranchPlotOptions & {
    readonly series: readonly string[];
    readonly measure: typeof MEASURES[number];
    readonly xDomain: readonly [number, number];
  },
): Markup {
  const { series, measure, xDomain, width, fits = [], position = 0 } = options;
  const lines = measure !== "compress"
    ? []
    : fits.flatMap(({ series: name, branch, fit }) =>
      [fit.range[0], fit.range[1]].map((log): LinePoint => ({
        branch,
        index: series.indexOf(name),
        inputNorm: 10 ** log,
        value: 10 ** (fit.intercept + fit.slope * log),
      }))
    ).filter(({ index }) => index >= 0);
  const branches = BRANCHES.filter((branch) => points.some((row) => row.branch === branch));
  const domain = logDomain([...points, ...lines].map(({ value }) => value));
  // Each slope is written with its series' name if there is room. Otherwise the slopes' order and
  // colors, which are the legend's, tell the reader which slope belongs to which series.
  const named = series.length > 1 && width / branches.length > 230;
  const slopes = measure !== "compress" ? [] : fits
    .map(({ series: name, branch, fit }) => ({
      branch,
      index: series.indexOf(name),
      text: `${named ? `${plotText(name, 24)}: ` : ""}slope ${
        fit.slope.toFixed(2).replace("-", "−")
      }`,
    }))
    .filter(({ index, branch }) => index >= 0 && branches.includes(branch));
  const legend = pictureLegend([
    ...seriesEntries(series),
    { text: `large: token ${position}`, color: "var(--ink)", symbol: "circle" },
  ], { width, left: 58, above: 44 });
  const colored = {
    fill: (row: BranchRow) => machineColor(series.indexOf(row.series)),
    symbol: (row: BranchRow) => machineSign(series.indexOf(row.series)),
  };
  const place = { fx: "branch", x: "inputNorm", y: "value" } as const;
  const { id, title, description } = options.text;
  const text = { id: `${id}-${measure}`, title: `${title}: ${TITLES[measure]}`, description };
  return drawPicture({ document: options.document, text }, {
    width,
    height: 300 + legend.height,
    marginLeft: 58,
    marginRight: 12,
    marginTop: 34 + legend.height,
    marginBottom: 44,
    fx: { domain: [...branches], axis: null, paddingInner: 0.08, paddingOuter: 0 },
    x: { type: "log", domain: [...xDomain] },
    y: { type: "log", domain },
    marks: [
      Plot.frame({ stroke: "var(--rule)" }),
      ...plotAxis({
        axis: "x",
        ticks: logTicks(xDomain, Math.max(3, Math.floor(width / 50 / branches.length))),
        format: logTick,
        label: "‖h‖ →",
        left: 58,
      }),
      ...plotAxis({
        axis: "y",
        ticks: logTicks(domain, 7),
        format: logTick,
        label: `↑ ${TITLES[measure]}`,
        left: 58,
      }),
      ...measure === "change" && domain[0] < 1 && domain[1] > 1
        ? [Plot.ruleY([1], { stroke: "var(--ink)", strokeOpacity: 0.5 })]
        : [],
      Plot.dot(points.filter(({ atSink }) => !atSink), {
        ...place,
        ...colored,
        r: 2,
        fillOpacity: 0.45,
      }),
      Plot.dot(points.filter(({ atSink }) => atSink), {
        ...place,
        ...colored,
        r: 5,
        stroke: "var(--surface)",
      }),
      ...series.map((_, index) =>
        Plot.line(lines.filter((line) => line.index === index), {
          ...place,
          stroke: machineColor(index),
          strokeWidth: 1.8,
          strokeDasharray: machineDashes(index),
        })
      ),
      ...slopes.map((slope) =>
        Plot.text([slope], {
          fx: "branch",
          text: "text",
          // The fitted lines fall, so they leave this corner free.
          frameAnchor: "top-right",
          lineAnchor: "top",
          dx: -6,
          dy: 6 + 15 * slope.index,
          stroke: "var(--surface)",
          strokeWidth: 3,
          fill: series.length > 1 ? machineColor(slope.index) : "currentColor",
        })
      ),
      Plot.text(branches, {
        fx: (branch: string) => branch,
        text: (branch: string) => branch === "mlp" ? "MLP" : branch,
        frameAnchor: "top",
        dy: -14,
        fontWeight: "600",
      }),
      ...legend.marks,
    ],
  });
}
