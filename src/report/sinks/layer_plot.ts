/** Draws norms, sink scores and gradient sinks by layer. */
import * as Plot from "@observablehq/plot";
import { drawPicture } from "../draw.ts";
import type { Markup } from "../html.ts";
import { machineColor, machineSign } from "../plot.ts";
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
import type { LayerNormRow, LayerQuantity } from "./plot_rows.ts";

const TITLES: Readonly<Record<LayerQuantity, string>> = {
  "output": "‖h‖ after the layer",
  "half": "‖h‖ after attention",
  "attention residual": "‖r‖ of attention",
  "mlp residual": "‖r‖ of the MLP",
  "value": "‖v‖",
  "sink score": "largest sink score",
  "idle score": "largest idle score",
  "gradient sink": "R_GS",
};

/** Options of {@linkcode layerNormPlot}. */
export interface LayerNormPlotOptions extends SinkPlotOptions {
  readonly quantity: LayerQuantity;
  /** s, for the texts. Default 0. */
  readonly position?: number;
}

interface LayerPoint {
  readonly index: number;
  readonly layer: number;
  readonly of: "sink" | "early";
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/**
 * Draws one quantity by layer. A solid line, with the series' sign at each layer, shows token s; a
 * dashed line shows the early tokens. If a series has several runs, the lines are at the runs'
 * medians, and vertical lines show the runs' range for token s. Undefined if no row has the
 * quantity.
 */
export function layerNormPlot(
  rows: readonly LayerNormRow[],
  options: LayerNormPlotOptions,
): Markup | undefined {
  const { quantity, width, position = 0 } = options;
  const series = seriesOf(rows, options.series);
  const found = rows.filter((row) => row.quantity === quantity && series.includes(row.series));
  if (found.length === 0) return undefined;
  const points = series.flatMap((name, index) =>
    pointsOf(found.filter((row) => row.series === name), index)
  );
  // Sink scores are shares, so their scale is linear. Other quantities differ by factors, so theirs
  // is logarithmic.
  const share = quantity === "sink score" || quantity === "idle score";
  const domain = share ? [0, 1] as [number, number] : logDomain(
    points.flatMap(({ low, high }) => [low, high]),
  );
  const layers = [...new Set(points.map(({ layer }) => layer))].sort((a, b) => a - b);
  const comparing = points.some(({ of }) => of === "early");
  const legend = pictureLegend([
    ...seriesEntries(series),
    ...comparing
      ? [{
        text: `signs: token ${position}; dashes: early tokens`,
        color: "none",
        symbol: "circle",
      }]
      : [],
  ], { width, left: 58, above: 36 });
  return drawPicture(options, {
    width,
    height: 276 + legend.height,
    marginLeft: 58,
    marginRight: 16,
    marginTop: 32 + legend.height,
    marginBottom: 44,
    x: {
      domain: [layers[0]! - 0.3, layers.at(-1)! + 0.3],
      ticks: layers.length > 12 ? layers.filter((layer) => layer % 4 === 0) : layers,
      tickFormat: String,
      label: "layer →",
    },
    y: { type: share ? "linear" : "log", domain },
    marks: [
      Plot.frame({ stroke: "var(--rule)" }),
      ...plotAxis({
        axis: "y",
        ticks: share ? [0, 0.2, 0.4, 0.6, 0.8, 1] : logTicks(domain, 7),
        format: share ? String : logTick,
        label: `↑ ${TITLES[quantity]}`,
        left: 58,
      }),
      ...series.flatMap((_, index) => {
        const own = (of: "sink" | "early") =>
          points.filter((point) => point.index === index && point.of === of);
        const line = { x: "layer", y: "median", stroke: machineColor(index) } as const;
        // Shift each series sideways, so that vertical lines of different series do not overlap.
        const dx = (index - (series.length - 1) / 2) * 5;
        return [
          Plot.line(own("early"), { ...line, strokeWidth: 1.3, strokeDasharray: "3 3" }),
          Plot.line(own("sink"), { ...line, dx, strokeWidth: 1.8 }),
          Plot.ruleX(own("sink").filter(({ low, high }) => high > low), {
            x: "layer",
            y1: "low",
            y2: "high",
            dx,
            stroke: machineColor(index),
            strokeWidth: 1.3,
          }),
          Plot.dot(own("sink"), {
            x: "layer",
            y: "median",
            dx,
            r: 5,
            fill: machineColor(index),
            stroke: "var(--surface)",
            symbol: machineSign(index) as never,
          }),
        ];
      }),
      ...legend.marks,
    ],
  });
}

function pointsOf(rows: readonly LayerNormRow[], index: number): LayerPoint[] {
  const layers = [...new Set(rows.map(({ layer }) => layer))].sort((a, b) => a - b);
  return layers.flatMap((layer) =>
    (["sink", "early"] as const).flatMap((of) => {
      const values = rows.filter((row) => row.layer === layer)
        .flatMap((row) => row[of] ?? [])
        .sort((a, b) => a - b);
      if (values.length === 0) return [];
      const middle = (values.length - 1) / 2;
      const median = (values[Math.floor(middle)]! + values[Math.ceil(middle)]!) / 2;
      return [{ index, layer, of, low: values[0]!, median, high: values.at(-1)! }];
    })
  );
}
