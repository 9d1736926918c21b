/** The tables of several models' figures. */
import { LEAST_UNITS } from "../../sinks/intervals.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { QuantizationCase } from "../../sinks/measurement/quantization.ts";
import { medianOf } from "../../sinks/numbers.ts";
import { numberColumns, type Table } from "../table.ts";
import { estimate, figure, NONE, range, signed } from "../sinks/figure.ts";
import { pathRatio } from "../sinks/floor.ts";
import type { NamedMeasurement } from "./read.ts";
import { mean } from "../../statistics/mean.ts";
import type { Interval } from "../../statistics/resampling.ts";

/**
 * Notes on the settings in which the measurements differ. Such differences make the measurements'
 * figures less comparable.
 */
export function settingNotes(measurements: readonly NamedMeasurement[]): string[] {
  const of = (read: (measurement: SinkMeasurement) => string) => {
    const values = measurements.map(({ measurement }) => read(measurement));
    return new Set(values).size === 1 ? undefined : values.join(" against ");
  };
  const notes: [string, string | undefined][] = [
    ["position", of(({ settings }) => String(settings.position))],
    ["window", of(({ settings }) => String(settings.window))],
    ["threshold", of(({ settings }) => String(settings.threshold))],
    ["context", of(({ data }) => String(data.context))],
    ["BOS", of(({ pretrained }) => pretrained?.texts.begin ?? "none")],
  ];
  return notes.flatMap(([name, values]) =>
    values === undefined ? [] : [`The measurements differ in ${name}: ${values}.`]
  );
}

interface Quantity {
  readonly name: string;
  readonly read: (measurement: SinkMeasurement) => string;
}

const medianAtSink = (
  { layers }: SinkMeasurement,
  branch: "attention" | "mlp",
  measure: "bloat" | "change",
): string => {
  const found = layers.flatMap(({ attention, mlp }) => {
    const own = branch === "mlp" ? mlp.branch : attention?.branch;
    return own?.[measure]?.sink ?? [];
  });
  return figure(medianOf(found));
};

const slope = (measurement: SinkMeasurement, branch: "attention" | "mlp"): string =>
  figure(measurement.summary.compressFit[branch]?.slope);

function quartiles(measurement: SinkMeasurement): string {
  const { gradientSink } = measurement.summary;
  return gradientSink === null
    ? NONE
    : `${figure(gradientSink.median)} (${figure(gradientSink.lower)} to ${
      figure(gradientSink.upper)
    })`;
}

/** Drops an interval over too few texts: in older files, such intervals are too narrow. */
function trusted(
  { data }: SinkMeasurement,
  interval: Interval | null | undefined,
): Interval | null | undefined {
  return data.sequences < LEAST_UNITS ? null : interval;
}

function rounded(
  measurement: SinkMeasurement,
  wanted: Pick<QuantizationCase, "target" | "scaling">,
): string {
  const found = measurement.quantization?.cases.find(({ target, scaling }) =>
    target === wanted.target && scaling === wanted.scaling
  );
  return found === undefined ? NONE : withRange(measurement, found);
}

function withRange(
  measurement: SinkMeasurement,
  { difference, interval }: {
    readonly difference: number;
    readonly interval?: Interval | null;
  },
): string {
  const text = range(trusted(measurement, interval));
  return text === undefined ? signed(difference) : `${signed(difference)} (${text})`;
}

function largest({ pretrained, layers }: SinkMeasurement): string {
  if (pretrained === undefined) {
    const found = layers.map(({ massive }) => massive.largest);
    const most = Math.max(...found);
    return found.length === 0 ? NONE : `${figure(most)}: layer ${found.indexOf(most)}`;
  }
  const found = pretrained.layers
    .flatMap(({ layer, largest }) => largest.map((each) => ({ layer, ...each })))
    .toSorted((a, b) => Math.abs(b.value) - Math.abs(a.value))[0];
  return found === undefined
    ? NONE
    : `${
      figure(found.value)
    }: layer ${found.layer}, token ${found.position}, dimension ${found.dimension}`;
}

function replaced(
  measurement: SinkMeasurement,
  values: "massive" | "ordinary",
  by: "zero" | "mean",
): string {
  const found = measurement.pretrained?.interventions?.find((each) =>
    each.values === values && each.replaced === by
  );
  return found === undefined ? NONE : withRange(measurement, found);
}

function valueNorm({ layers }: SinkMeasurement): string {
  const ratios = layers.flatMap(({ attention }) => attention?.value.ratio ?? []);
  const median = medianOf(ratios);
  return median === undefined ? NONE : `${figure(median)}×`;
}

function quantitiesOf(position: number): Quantity[] {
  const s = `token ${position}`;
  const path = (name: "value" | "key" | "query"): Quantity => ({
    name: `gradient with respect to the ${name} of ${s}, against early tokens`,
    read: (measurement) => pathRatio(measurement, name),
  });
  const branches = (name: string, read: (branch: "attention" | "mlp") => Quantity["read"]) =>
    (["attention", "mlp"] as const).map((branch): Quantity => ({
      name: `${name}, ${branch === "mlp" ? "MLP" : branch}`,
      read: read(branch),
    }));
  return [
    {
      name: "layers, query heads, d",
      read: ({ config }) => `${config.layers}, ${config.queryHeads}, ${config.modelDim}`,
    },
    {
      name: "sequences, tokens of each",
      read: ({ data }) => `${data.sequences}, ${data.context}`,
    },
    {
      name: "loss, nats per token",
      read: (measurement) => {
        const { loss, intervals, pretrained } = measurement;
        const interval = pretrained?.intervals.loss ?? intervals?.summary.loss;
        return estimate(loss, trusted(measurement, interval));
      },
    },
    {
      name: "sink rate: share of (sequence, head) pairs",
      read: (measurement) => {
        const { summary, intervals, pretrained } = measurement;
        return pretrained === undefined
          ? estimate(summary.sequenceSinkRate, intervals?.summary.sequenceSinkRate)
          : estimate(
            mean(pretrained.sinkRates),
            trusted(measurement, pretrained.intervals.sinkRate),
          );
      },
    },
    { name: "largest sink score", read: ({ summary }) => figure(summary.largestScore) },
    { name: "score of uniform attention", read: ({ summary }) => figure(summary.uniformScore) },
    { name: `R_GS(${position}), median over layers (quartiles)`, read: quartiles },
    path("value"),
    path("key"),
    path("query"),
    ...branches(`Bloat of ${s}`, (branch) => (measured) => medianAtSink(measured, branch, "bloat")),
    ...branches("slope of log Compress", (branch) => (measured) => slope(measured, branch)),
    ...branches(
      `Change of ${s}`,
      (branch) => (measured) => medianAtSink(measured, branch, "change"),
    ),
    { name: `‖v‖ of ${s} against early tokens, median over layers`, read: valueNorm },
    { name: "largest |h|", read: largest },
    {
      name: "loss with massive values set to zero",
      read: (each) => replaced(each, "massive", "zero"),
    },
    {
      name: "loss with massive values set to their mean",
      read: (each) => replaced(each, "massive", "mean"),
    },
    ...(["down-projections", "all-linears"] as const).flatMap((target) =>
      (["static-tensor", "dynamic-token"] as const).map((scaling): Quantity => ({
        name: `loss with INT8, ${
          target === "all-linears" ? "all linear maps" : "down projections"
        }, ${scaling === "static-tensor" ? "static" : "dynamic"}`,
        read: (each) => rounded(each, { target, scaling }),
      }))
    ),
  ];
}

/** The most important figures: one row per quantity, one column per model. */
export function summaryTable(measurements: readonly NamedMeasurement[]): Table {
  const { position } = measurements[0]!.measurement.settings;
  const rows = quantitiesOf(position)
    .map(({ name, read }) => [name, ...measurements.map(({ measurement }) => read(measurement))])
    .filter(([, ...cells]) => cells.some((cell) => cell !== NONE));
  return {
    caption:
      "Models side by side. A loss with values replaced or rounded is its difference from the loss " +
      "above. In parentheses: 95 % intervals",
    columns: [{ title: "quantity" }, ...numberColumns(...measurements.map(({ name }) => name))],
    rows,
  };
}

/** Reads one quantity of one layer. Returns undefined or null if the file does not have it. */
type ByLayer = (measurement: SinkMeasurement, layer: number) => number | null | undefined;

/**
 * Reads a layer's sink rate: for a pretrained model from `pretrained`, for another model from the
 * layer's `attention`, where older files lack it.
 */
const sinkRate: ByLayer = ({ layers, pretrained, settings }, layer) => {
  const own = pretrained?.layers[layer];
  return own === undefined
    ? layers[layer]?.attention?.sequenceSinkRate
    : own.sinkRates[pretrained!.sinkPositions.indexOf(settings.position)];
};

const BY_LAYER: readonly { readonly caption: string; readonly read: ByLayer }[] = [
  { caption: "Sink rate by layer", read: sinkRate },
  {
    caption: "R_GS by layer",
    read: ({ layers }, layer) => layers[layer]?.attention?.gradientSink.ratio,
  },
  {
    caption: "‖h‖ of the sink after the layer",
    read: ({ layers }, layer) => layers[layer]?.output.sink,
  },
  {
    caption: "Largest |h| after the layer",
    read: ({ layers }, layer) => layers[layer]?.massive.largest,
  },
];

/** One table per quantity, with a row per layer. A model's cells are empty for layers it lacks. */
export function layerTables(measurements: readonly NamedMeasurement[]): Table[] {
  const depth = Math.max(...measurements.map(({ measurement }) => measurement.layers.length));
  return BY_LAYER.map(({ caption, read }) => ({
    caption,
    columns: [{ title: "layer" }, ...numberColumns(...measurements.map(({ name }) => name))],
    rows: Array.from({ length: depth }, (_, layer) => [
      String(layer),
      ...measurements.map(({ measurement }) =>
        layer < measurement.layers.length ? figure(read(measurement, layer)) : ""
      ),
    ]),
  }));
}
