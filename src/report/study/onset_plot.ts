/** When things begin: a sign for each seed at the first measured step, the median as a line. */
import * as Plot from "@observablehq/plot";
import { median } from "../../statistics/summary.ts";
import type { Markup } from "../html.ts";
import {
  FACET_GAP,
  facetScale,
  finishPicture,
  machineColor,
  machineSign,
  MARGIN_BOTTOM,
  type PictureText,
  plotText,
  type SvgDocument,
} from "../plot.ts";

/** When something began in one run. */
export interface OnsetRow {
  readonly series: string;
  /** What began. */
  readonly onset: string;
  /** undefined if it never did. */
  readonly step: number | undefined;
}

/** How {@linkcode onsetPlot} draws. */
export interface OnsetPlotOptions {
  readonly document: SvgDocument;
  readonly text: PictureText;
  readonly series: readonly string[];
  /** The last step of training. */
  readonly steps: number;
  readonly width: number;
}

const LINE = 20;

/**
 * Draws onsets, a facet each, a line for each series.
 *
 * @param rows of any number of runs
 * @param options document, description and series
 * @returns undefined if nothing ever began
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
  const drawing = Plot.plot({
    document: options.document as never,
    width,
    height: facets.length * (height + FACET_GAP) + MARGIN_BOTTOM,
    marginLeft: 18,
    marginRight: 66,
    marginTop: FACET_GAP,
    marginBottom: MARGIN_BOTTOM,
    style: { fontSize: "12px" },
    x: {
      domain: [0, steps],
      ticks: Math.max(3, Math.floor(width / 110)),
      tickFormat: (step: number) => String(step),
      grid: true,
      label: "first measured step →",
      labelAnchor: "left",
      labelOffset: MARGIN_BOTTOM - 6,
    },
    y: { type: "band", axis: null, domain: series.map((_, i) => i), padding: 0.2 },
    fy: facetScale(facets, height),
    color: { type: "identity" },
    symbol: { type: "identity" as never },
    marks: [
      Plot.text(facets, {
        fy: (onset: string) => onset,
        text: (onset: string) => onset,
        frameAnchor: "top-left",
        dy: -FACET_GAP + 6,
        dx: -8,
        fontWeight: "600",
      }),
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
  return finishPicture(drawing, options.document, options.text);
}
