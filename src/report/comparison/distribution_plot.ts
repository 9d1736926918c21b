/** Draws how one operator's samples scatter: a histogram for each shape and machine. */
import * as Plot from "@observablehq/plot";
import { quantileSorted } from "simple-statistics";
import type { Comparison } from "../../measure/comparison.ts";
import { sorted } from "../../statistics/summary.ts";
import { rowName } from "./bar_plot.ts";
import { drawFacets, type PictureOptions } from "../draw.ts";
import type { Markup } from "../html.ts";
import { machineColor, machineDashes, machineSign, type OperatorGroup, plotText } from "../plot.ts";

/** A cell's samples divided by a reference time, in increasing order. */
interface Spread {
  readonly shape: string;
  readonly index: number;
  /** The samples' median, divided by the same reference time. */
  readonly center: number;
  /** The histogram's baseline. */
  readonly foot: number;
  readonly values: Float64Array;
}

/** One bin of a histogram. */
interface Step {
  readonly shape: string;
  readonly series: string;
  readonly index: number;
  readonly value: number;
  readonly foot: number;
  readonly top: number;
}

const BINS = 48;

/** The height of a histogram with its own baseline, in pixels. */
const ALONE = 22;

/** The height of histograms that share a baseline, in pixels. */
const SHARED = 48;

/**
 * Whether each row's samples of both runs are divided by the first run's median. This needs two
 * runs whose times differ by less than a factor of 2 in every row. Otherwise each run's samples are
 * divided by the run's own median.
 */
function hasCommonReference(comparison: Comparison): boolean {
  return comparison.machines.length === 2 &&
    comparison.rows.every(({ cells }) => {
      const ratio = cells[1]!.pair?.ratio;
      return ratio === undefined || (ratio > 0.5 && ratio < 2);
    });
}

function spreadsOf(comparison: Comparison, group: OperatorGroup, common: boolean): Spread[] {
  return group.rows.flatMap((row) =>
    row.cells.flatMap((cell, index) => {
      const own = cell.summary.median;
      const reference = common ? row.cells[0]!.summary.median ?? own : own;
      if (own === undefined || reference === undefined) return [];
      const values = sorted(cell.measurement!.samples).map((sample) => sample / reference);
      const foot = common ? 0 : comparison.machines.length - 1 - index;
      return [{ shape: plotText(rowName(row)), index, center: own / reference, foot, values }];
    })
  );
}

/** The axis range. It leaves out distant outliers, which would make the histograms too narrow. */
function domainOf(spreads: readonly Spread[]): [number, number] {
  let [low, high] = [0.98, 1.02];
  for (const { values } of spreads) {
    const ordered = values as unknown as number[];
    const [first, third] = [quantileSorted(ordered, 0.25), quantileSorted(ordered, 0.75)];
    const reach = 3.5 * (third - first);
    low = Math.min(low, Math.max(values[0]!, first - reach));
    high = Math.max(high, Math.min(values.at(-1)!, third + reach));
  }
  const margin = 0.03 * (high - low);
  return [Math.max(0, low - margin), Math.min(high + margin, 4)];
}

/**
 * The bins of a histogram of the samples inside the domain. The y axis has a length of 1 for each
 * histogram, and the histogram's highest bin reaches 0.92.
 */
function steps(spread: Spread, [low, high]: readonly [number, number]): Step[] {
  const counts = new Uint32Array(BINS);
  for (const value of spread.values) {
    const bin = Math.floor((value - low) / (high - low) * BINS);
    if (bin >= 0 && bin < BINS) counts[bin]!++;
  }
  const most = Math.max(1, ...counts);
  const { shape, index, foot } = spread;
  return Array.from(counts, (count, i) => ({
    shape,
    series: `${shape} ${index}`,
    index,
    value: low + (i + 0.5) / BINS * (high - low),
    foot,
    top: foot + 0.92 * count / most,
  }));
}

export interface DistributionPicture {
  readonly picture: Markup;
  readonly beyond: number;
}

/** Draws how an operator's samples scatter. Undefined without samples. */
export function distributionPlot(
  comparison: Comparison,
  group: OperatorGroup,
  options: PictureOptions,
): DistributionPicture | undefined {
  const common = hasCommonReference(comparison);
  const spreads = spreadsOf(comparison, group, common);
  if (spreads.length === 0) return undefined;
  const domain = domainOf(spreads);
  const outline = spreads.flatMap((spread) => steps(spread, domain));
  const shapes = [...new Set(spreads.map(({ shape }) => shape))];
  const lines = common ? 1 : comparison.machines.length;
  const facetHeight = common ? SHARED : lines * ALONE;
  const reference = common
    ? `the median of ${comparison.machines[0]!.name}`
    : "the machine's median";
  const picture = drawFacets(options, {
    names: shapes,
    height: facetHeight,
    marginRight: 16,
    x: {
      domain,
      label: `time ÷ ${plotText(reference, 34)} →`,
      ticks: 4,
      tickFormat: (value: number) => value.toFixed(domain[1] - domain[0] < 0.1 ? 3 : 2),
    },
    y: { axis: null, domain: [0, lines] },
    marks: [
      Plot.ruleY(spreads, { fy: "shape", y: "foot", stroke: "var(--rule)" }),
      Plot.areaY(outline, {
        fy: "shape",
        x: "value",
        y1: "foot",
        y2: "top",
        z: "series",
        curve: "step",
        fill: (step: Step) => machineColor(step.index),
        fillOpacity: 0.2,
      }),
      // A mark has only one dash pattern.
      ...comparison.machines.map((_, index) =>
        Plot.line(outline.filter((step) => step.index === index), {
          fy: "shape",
          x: "value",
          y: "top",
          z: "series",
          curve: "step",
          stroke: machineColor(index),
          strokeWidth: 1.4,
          strokeDasharray: common ? machineDashes(index) : "none",
        })
      ),
      common
        // Each median gets a vertical line, and its machine's symbol at the line's foot.
        ? [
          Plot.ruleX(spreads, {
            fy: "shape",
            x: "center",
            stroke: (spread: Spread) => machineColor(spread.index),
            strokeOpacity: 0.6,
          }),
          Plot.dot(spreads, {
            fy: "shape",
            x: "center",
            y: 0,
            fill: (spread: Spread) => machineColor(spread.index),
            symbol: (spread: Spread) => machineSign(spread.index),
            r: 4,
          }),
        ]
        : Plot.dot(spreads, {
          fy: "shape",
          x: domain[0],
          y: "foot",
          dx: -9,
          dy: -6,
          fill: (spread: Spread) => machineColor(spread.index),
          symbol: (spread: Spread) => machineSign(spread.index),
          r: 3.6,
        }),
    ],
  });
  const beyond = spreads.reduce(
    (sum, { values }) =>
      sum + values.filter((value) => value < domain[0] || value >= domain[1]).length,
    0,
  );
  return { picture, beyond };
}
