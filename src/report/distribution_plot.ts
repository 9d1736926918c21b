/** How the samples of one operator scatter: a histogram for each shape and machine. */
import * as Plot from "@observablehq/plot";
import type { Comparison, ComparisonRow } from "../measure/comparison.ts";
import { sorted } from "../measure/statistics.ts";
import { rowName } from "./bar_plot.ts";
import type { Markup } from "./html.ts";
import {
  finishPicture,
  machineColor,
  type OperatorGroup,
  type PictureText,
  plotText,
  type SvgDocument,
} from "./plot.ts";

/** Samples of one cell as multiples of a reference time, in increasing order. */
interface Spread {
  readonly shape: string;
  readonly index: number;
  readonly center: number;
  readonly values: Float64Array;
}

interface Step {
  readonly shape: string;
  readonly series: string;
  readonly index: number;
  readonly value: number;
  readonly height: number;
}

const BINS = 56;

/** Two runs that are near each other share a reference; else each is shown around its own median. */
function hasCommonReference(comparison: Comparison): boolean {
  return comparison.machines.length === 2 &&
    comparison.rows.every(({ cells }) => {
      const ratio = cells[1]!.pair?.ratio;
      return ratio === undefined || (ratio > 0.6 && ratio < 1.7);
    });
}

function spreadsOf(group: OperatorGroup, common: boolean): Spread[] {
  return group.rows.flatMap((row: ComparisonRow) =>
    row.cells.flatMap((cell, index) => {
      const own = cell.summary.median;
      const reference = common ? row.cells[0]!.summary.median ?? own : own;
      if (own === undefined || reference === undefined) return [];
      const values = sorted(cell.measurement!.samples).map((sample) => sample / reference);
      return [{ shape: plotText(rowName(row)), index, center: own / reference, values }];
    })
  );
}

/** The part of the axis that holds nearly everything: far interruptions would flatten the rest. */
function domainOf(spreads: readonly Spread[]): [number, number] {
  let [low, high] = [0.98, 1.02];
  for (const { values } of spreads) {
    low = Math.min(low, values[Math.floor(0.01 * (values.length - 1))]!);
    high = Math.max(high, values[Math.ceil(0.96 * (values.length - 1))]!);
  }
  const margin = 0.04 * (high - low);
  return [Math.max(0, low - margin), Math.min(high + margin, 3)];
}

/** The outline of a histogram, as high as 1; what is beyond the domain is left out. */
function steps(spread: Spread, [low, high]: readonly [number, number]): Step[] {
  const counts = new Uint32Array(BINS);
  for (const value of spread.values) {
    const bin = Math.floor((value - low) / (high - low) * BINS);
    if (bin >= 0 && bin < BINS) counts[bin]!++;
  }
  const most = Math.max(1, ...counts);
  const { shape, index } = spread;
  const series = `${shape} ${index}`;
  return Array.from(counts, (count, i) => ({
    shape,
    series,
    index,
    value: low + (i + 0.5) / BINS * (high - low),
    height: count / most,
  }));
}

/** A picture, and how many samples lie beyond its edges. */
export interface DistributionPicture {
  readonly picture: Markup;
  readonly beyond: number;
  /** What the axis counts in. */
  readonly reference: string;
}

/** How {@linkcode distributionPlot} draws. */
export interface DistributionPlotOptions {
  readonly document: SvgDocument;
  readonly text: PictureText;
}

/**
 * Draws how an operator's samples scatter.
 *
 * @param comparison of at least two files
 * @param group the operator's rows
 * @param options document and description
 */
export function distributionPlot(
  comparison: Comparison,
  group: OperatorGroup,
  options: DistributionPlotOptions,
): DistributionPicture | undefined {
  const common = hasCommonReference(comparison);
  const spreads = spreadsOf(group, common);
  if (spreads.length === 0) return undefined;
  const domain = domainOf(spreads);
  const outline = spreads.flatMap((spread) => steps(spread, domain));
  const shapes = [...new Set(spreads.map(({ shape }) => shape))];
  const reference = common
    ? `${comparison.machines[0]!.name}'s median`
    : "each machine's own median";
  const drawing = Plot.plot({
    document: options.document as never,
    width: 420,
    height: shapes.length * 74 + 44,
    marginLeft: 10,
    marginRight: 16,
    marginTop: 4,
    marginBottom: 36,
    style: { fontSize: "12px" },
    x: {
      domain,
      label: `time as a multiple of ${plotText(reference, 34)} →`,
      ticks: 5,
      tickFormat: (value: number) => value.toFixed(domain[1] - domain[0] < 0.1 ? 3 : 2),
      grid: true,
      labelAnchor: "left",
    },
    y: { axis: null, domain: [0, 1.05] },
    fy: { axis: null, domain: shapes, padding: 0.06 },
    facet: { marginTop: 22 },
    color: { type: "identity" },
    marks: [
      Plot.ruleY(shapes, { fy: (shape: string) => shape, y: 0, stroke: "var(--rule)" }),
      Plot.text(shapes, {
        fy: (shape: string) => shape,
        text: (shape: string) => shape,
        frameAnchor: "top-left",
        dy: -15,
        fontWeight: "600",
      }),
      Plot.areaY(outline, {
        fy: "shape",
        x: "value",
        y: "height",
        z: "series",
        curve: "step",
        fill: (step: Step) => machineColor(step.index),
        fillOpacity: 0.22,
      }),
      Plot.lineY(outline, {
        fy: "shape",
        x: "value",
        y: "height",
        z: "series",
        curve: "step",
        stroke: (step: Step) => machineColor(step.index),
        strokeWidth: 1.5,
      }),
      ...common
        ? [
          Plot.ruleX(spreads, {
            fy: "shape",
            x: "center",
            stroke: (spread: Spread) => machineColor(spread.index),
            strokeWidth: 2,
            strokeDasharray: "3 2",
          }),
        ]
        : [],
    ],
  });
  const beyond = spreads.reduce(
    (sum, { values }) =>
      sum + values.filter((value) => value < domain[0] || value >= domain[1]).length,
    0,
  );
  return { picture: finishPicture(drawing, options.document, options.text), beyond, reference };
}
