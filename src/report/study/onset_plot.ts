/**
 * Plots the training step at which something, such as a sink, begins: one sign per seed, at the
 * first measured step that shows it, and a line at the median.
 */
import * as Plot from "@observablehq/plot";
import { median } from "../../statistics/summary.ts";
import { drawFacets, type PictureOptions } from "../draw.ts";
import type { Markup } from "../html.ts";
import { machineColor, machineSign, plotText } from "../plot.ts";

export interface OnsetRow {
  readonly series: string;
  /** What began. */
  readonly onset: string;
  /** undefined if it never began. */
  readonly step: number | undefined;
}

/** Options of {@linkcode onsetPlot}. */
export interface OnsetPlotOptions extends PictureOptions {
  readonly series: readonly string[];
  /** The last step of training. */
  readonly steps: number;
  readonly width: number;
}

const LINE = 20;

/**
 * Draws one facet per onset (something that begins, such as a sink), with one line per series.
 * Undefined if nothing began in any run.
 */
export function onsetPlot(
  rows: readonly OnsetRow[],
  options: OnsetPlotOptions,
): Markup | undefined {
  const { series, steps, width } = options;
  const begun = rows.flatMap(({ series: name, onset, step }) =>
    step === undefined ? [] : [{ onset: plotText(onset), index: series.indexOf(name), step }]
  );
  if (begun.length === 0) return undefined;
  const facets = [...new Set(rows.map(({ onset }) => plotText(onset)))];
  const groups = facets.flatMap((onset) =>
    series.map((name, index) => {
      const all = rows.filter((row) => plotText(row.onset) === onset && row.series === name);
      const known = all.flatMap(({ step }) => step ?? []);
      return { onset, index, middle: median(known), known: known.length, total: all.length };
    })
  );
  const place = { fy: "onset", y: "index" } as const;
  const height = series.length * LINE;
  return drawFacets(options, {
    names: facets,
    height,
    width,
    marginRight: 66,
    x: {
      domain: [0, steps],
      ticks: Math.max(3, Math.floor(width / 110)),
      tickFormat: (step: number) => String(step),
      label: "first measured step →",
    },
    y: { type: "band", axis: null, domain: series.map((_, i) => i), padding: 0.2 },
    marks: [
      Plot.ruleY(groups, { ...place, stroke: "var(--rule)" }),
      Plot.dot(begun, {
        ...place,
        x: "step",
        r: 4,
        fill: ({ index }: { index: number }) => machineColor(index),
        fillOpacity: 0.6,
        symbol: ({ index }: { index: number }) => machineSign(index),
      }),
      Plot.tickX(groups.filter(({ middle }) => middle !== undefined), {
        ...place,
        x: "middle",
        stroke: ({ index }: { index: number }) => machineColor(index),
        strokeWidth: 3,
      }),
      Plot.text(groups, {
        ...place,
        text: ({ known, total }: { known: number; total: number }) => `${known} of ${total}`,
        frameAnchor: "right",
        textAnchor: "start",
        dx: 10,
      }),
    ],
  });
}
