/**
 * Makes rows of numbers from measurements. All pictures of sinks and gradient sinks, except heat
 * maps, draw such rows. A study can join the rows of many runs in one picture. Each `series`,
 * usually a model variant, has its own color, dashes and sign (a shape at its points).
 */
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { BranchMeasurement, CompressFit } from "../../sinks/measurement/branch.ts";
import type { Quartiles, SinkComparison } from "../../sinks/measurement/comparison.ts";
import type { SlackDistribution } from "../../sinks/measurement/theory.ts";
import { slackRows as slackOf } from "../../sinks/theory.ts";
import { belowFloor, summaryFloor, ZERO } from "./floor.ts";

/**
 * A gradient norm ‖∇h̃_t‖ at the RMSNorm output that feeds attention, for {@linkcode
 * gradientViolinPlot}.
 */
export interface GradientNormRow {
  readonly series: string;
  readonly layer: number;
  readonly position: number;
  readonly value: number;
}

/** One series' R_GS, which {@linkcode gradientViolinPlot} writes above its panel. */
export interface GradientSinkRow {
  readonly series: string;
  /** Quartiles over layers and runs. */
  readonly ratio: Quartiles | null;
}

/** The gradient of one path at one position, for {@linkcode pathGradientPlot}. */
export interface PathGradientRow {
  /** A variant, or a moment of training. */
  readonly panel: string;
  readonly path: "query" | "key" | "value";
  readonly position: number;
  /** The norm. A logarithmic axis cannot show 0, so the picture writes "▾ 0" at its bottom. */
  readonly value: number;
  /** Whether the gradient is smaller than its rounding error. Default: false. */
  readonly belowFloor?: boolean;
}

/** Bloat, Compress or Change of one token in one branch, for {@linkcode branchPlot}. */
export interface BranchRow {
  readonly series: string;
  readonly branch: "attention" | "mlp";
  readonly measure: "bloat" | "compress" | "change";
  /** ‖h‖ */
  readonly inputNorm: number;
  readonly value: number;
  /** Whether it is at position s. */
  readonly atSink: boolean;
}

export interface CompressFitRow {
  readonly series: string;
  readonly branch: "attention" | "mlp";
  readonly fit: CompressFit;
}

/** How many times too large one bound is in one layer, for {@linkcode slackPlot}. */
export interface SlackPlotRow extends SlackDistribution {
  readonly series: string;
  /** The bound's name. */
  readonly name: string;
  readonly formula: string;
}

/** The quantities that {@linkcode layerNormPlot} can draw. */
export type LayerQuantity =
  | "output"
  | "half"
  | "attention residual"
  | "mlp residual"
  | "value"
  | "sink score"
  | "idle score"
  | "gradient sink";

/** A quantity of one layer, for {@linkcode layerNormPlot}. */
export interface LayerNormRow {
  readonly series: string;
  readonly layer: number;
  readonly quantity: LayerQuantity;
  /** The value at position s. */
  readonly sink: number;
  /** Null without early tokens. */
  readonly early: number | null;
}

/**
 * Rows of ‖∇h̃‖ by layer and position, for all layers with attention.
 *
 * @param options.single if true, the norms of single sequences' gradients, averaged over sequences;
 *   by default, the norm of the gradient summed over sequences, which R_GS uses
 */
export function gradientNormRows(
  { positions, layers }: SinkMeasurement,
  series: string,
  { single = false }: { readonly single?: boolean } = {},
): GradientNormRow[] {
  return layers.flatMap(({ layer, attention }) => {
    const norms = attention === null
      ? []
      : single
      ? attention.singleNormGradient
      : attention.gradients.norm;
    return norms.map((value, i) => ({ series, layer, position: positions[i]!, value }));
  });
}

/** Rows of path gradients by position, averaged over the layers. */
export function pathGradientRows(
  measurement: SinkMeasurement,
  panel: string,
): PathGradientRow[] {
  const { positions, settings, summary: { pathGradients } } = measurement;
  if (pathGradients === null) return [];
  return (["value", "key", "query"] as const).flatMap((path) => {
    const floor = summaryFloor(measurement, path);
    return pathGradients[path].map((value, i): PathGradientRow => {
      const position = positions[i]!;
      const row = { panel, path, position, value };
      if (position !== settings.position) return row;
      const atFloor = belowFloor(measurement, { path, sink: value, floor });
      if (atFloor === undefined) return row;
      return atFloor === ZERO ? { ...row, value: 0 } : { ...row, belowFloor: true };
    });
  });
}

function branchesOf(
  measurement: SinkMeasurement,
): { branch: "attention" | "mlp"; measured: BranchMeasurement }[] {
  return measurement.layers.flatMap(({ attention, mlp }) => [
    ...attention === null ? [] : [{ branch: "attention" as const, measured: attention.branch }],
    { branch: "mlp" as const, measured: mlp.branch },
  ]);
}

/** Rows of Bloat, Compress and Change, for the tokens that the measurement keeps. */
export function branchRows(measurement: SinkMeasurement, series: string): BranchRow[] {
  const { position } = measurement.settings;
  return branchesOf(measurement).flatMap(({ branch, measured: { points } }) =>
    (["bloat", "compress", "change"] as const).flatMap((measure) =>
      points[measure].flatMap((value, i) =>
        value === null ? [] : [{
          series,
          branch,
          measure,
          inputNorm: points.inputNorm[i]!,
          value,
          atSink: points.position[i] === position,
        }]
      )
    )
  );
}

/** Over all layers. */
export function compressFitRows({ summary }: SinkMeasurement, series: string): CompressFitRow[] {
  return (["attention", "mlp"] as const).flatMap((branch) => {
    const fit = summary.compressFit[branch];
    return fit === null ? [] : [{ series, branch, fit }];
  });
}

/** Rows of all bounds' slack; none if the theory was not checked. */
export function slackPlotRows({ theory }: SinkMeasurement, series: string): SlackPlotRow[] {
  return theory === null ? [] : slackOf(theory).map((row) => ({ ...row, series }));
}

export function layerNormRows(measurement: SinkMeasurement, series: string): LayerNormRow[] {
  return measurement.layers.flatMap(({ layer, attention, half, output, mlp }) => {
    const row = (quantity: LayerQuantity, { sink, early }: Omit<SinkComparison, "ratio">) => ({
      series,
      layer,
      quantity,
      sink,
      early,
    });
    // If the task has idle queries (SinkSettings.idleFrom), the row's score averages over these
    // queries alone, and its quantity is `idle score`.
    const knowsIdle = attention?.heads.every(({ idleScore }) => idleScore !== null) === true;
    const scores = attention?.heads.map(({ score, idleScore }) => knowsIdle ? idleScore! : score) ??
      [];
    const ratio = attention?.gradientSink.ratio ?? null;
    return [
      row("output", output),
      row("half", half),
      row("mlp residual", mlp.residual),
      ...attention === null ? [] : [
        row("attention residual", attention.residual),
        row("value", attention.value),
        {
          series,
          layer,
          quantity: knowsIdle ? "idle score" : "sink score",
          sink: Math.max(...scores),
          early: null,
        } as const,
      ],
      ...ratio === null
        ? []
        : [{ series, layer, quantity: "gradient sink", sink: ratio, early: null } as const],
    ];
  });
}
