/** Tables of pretrained models alone. */
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { Intervention, PretrainedMeasurement } from "../../sinks/pretrained/measurement.ts";
import type { StatesMeasurement } from "../../sinks/states/measurement.ts";
import { numberColumns, type Table, textColumns } from "../table.ts";
import { figure, range, signed } from "./figure.ts";
import { mean } from "../../statistics/mean.ts";
import { plural } from "../../plural.ts";

/** To follow a figure. */
function inBrackets(interval: readonly [number, number] | null): string {
  const text = range(interval);
  return text === undefined ? "" : ` (${text})`;
}

function sizeOf(parameters: number): string {
  return parameters >= 1e9
    ? `${(parameters / 1e9).toFixed(2)}B`
    : `${(parameters / 1e6).toPrecision(3)}M`;
}

/**
 * Describes the model, the texts and the main figures with 95 % intervals over texts, one line
 * each.
 */
export function pretrainedSummary(
  { loss, settings, data, summary }: SinkMeasurement,
  { model, texts, intervals, layers, sinkRates }: PretrainedMeasurement,
): string[] {
  const s = settings.position;
  const tokens = texts.firstTokens
    .map((spelling, i) => `${spelling} ${texts.firstTokenNumbers[i]}`).join(", ");
  const rate = mean(sinkRates);
  const massive = layers.filter((layer) => layer.massive > 0);
  const most = layers.flatMap(({ layer, largest }) => largest.map((each) => ({ layer, ...each })))
    .reduce((a, b) => Math.abs(b.value) > Math.abs(a.value) ? b : a);
  return [
    `${model.name}: ${model.family}, ${sizeOf(model.parameters)} parameters, stored as ${
      model.storedAs.join(" and ")
    }`,
    `${data.sequences} texts of ${data.context} tokens, documents ${texts.documents}, BOS ${texts.begin}; ` +
    `the first text begins with these tokens and numbers: ${tokens}`,
    `loss ${figure(loss)}${inBrackets(intervals.loss)} nats per token`,
    `sink rate ${figure(rate)}${
      inBrackets(intervals.sinkRate)
    }: the share of (text, layer, head) triples with a score above ${settings.threshold}${
      summary.uniformScore === null || summary.uniformScore === undefined
        ? ""
        : `; uniform attention would score ${figure(summary.uniformScore)}`
    }`,
    ...range(intervals.gradientSink) === undefined ? [] : [
      `R_GS(${s}) of many such texts, median over layers: ${
        range(intervals.gradientSink)
      } (95 % interval)`,
    ],
    massive.length === 0
      ? "no massive activation: no |h| is above 100 and 1000 × its text's median magnitude"
      : `massive activations after layers ${massive[0]!.layer} to ${
        massive.at(-1)!.layer
      }; the largest is ${
        figure(most.value)
      } after layer ${most.layer}, token ${most.position}, dimension ${most.dimension}`,
    ...model.notes,
  ];
}

/** The largest elements of every layer's output. */
export function largestTable({ layers }: StatesMeasurement): Table {
  return {
    caption:
      "The three largest |h| after every layer, as value (token, dimension). Massive is the mean " +
      "number per text of |h| above 100 and 1000 × the text's median magnitude",
    columns: [
      { title: "layer" },
      ...numberColumns("first", "second", "third", "median |h|", "massive"),
    ],
    rows: layers.map(({ layer, largest, median, massive }) => [
      String(layer),
      ...[0, 1, 2].map((i) => {
        const found = largest[i];
        return found === undefined
          ? "–"
          : `${figure(found.value)} (${found.position}, ${found.dimension})`;
      }),
      figure(median),
      figure(massive),
    ]),
  };
}

const VALUES: Readonly<Record<Intervention["values"], string>> = {
  massive: "massive",
  ordinary: "as many ordinary ones in the same tokens",
};
const REPLACEMENTS: Readonly<Record<Intervention["replaced"], string>> = {
  zero: "zero",
  mean: "their mean",
};

/** The loss with massive activations replaced; undefined if it was not measured. */
export function interventionTable({ interventions }: PretrainedMeasurement): Table | undefined {
  const first = interventions?.[0];
  if (first === undefined) return undefined;
  const { layer, dimensions, positions, elements, texts } = first;
  const listed = (numbers: readonly number[]) =>
    numbers.length <= 8
      ? numbers.join(", ")
      : `${numbers.slice(0, 7).join(", ")} and ${numbers.length - 7} others`;
  const many = (numbers: readonly number[], what: string) =>
    `${what}${numbers.length === 1 ? "" : "s"} ${listed(numbers)}`;
  const intervals = interventions!.some(({ interval }) => range(interval) !== undefined);
  return {
    caption:
      `The loss with elements replaced after layer ${layer}, the first layer with massive ones: ` +
      `${plural(elements, "element")} in ${plural(texts, "text")}; ${
        many(dimensions, "dimension")
      }; ${many(positions, "token")}`,
    columns: [
      ...textColumns("elements", "replaced by"),
      ...numberColumns("loss", "difference"),
      ...intervals ? numberColumns("95 % interval") : [],
    ],
    rows: interventions!.map(({ values, replaced, loss, difference, interval }) => [
      VALUES[values],
      REPLACEMENTS[replaced],
      loss.toFixed(4),
      signed(difference),
      ...intervals ? [range(interval) ?? "–"] : [],
    ]),
  };
}

export function layerTable(
  { layers, positions, settings }: SinkMeasurement,
  pretrained: PretrainedMeasurement,
): Table {
  const s = settings.position;
  const others = pretrained.sinkPositions.filter((position) => position !== s);
  const cosineAt = [1, 8, 31].filter((position) => positions.includes(position));
  const intervals = pretrained.layers
    .some(({ gradientSinkInterval }) => range(gradientSinkInterval) !== undefined);
  return {
    caption: `By layer: the share of (text, head) pairs that sink at position ${s} and at the ` +
      `next strongest position, R_GS${
        intervals ? " and its 95 % interval for many such texts" : ""
      }, and the cosine to the first token's state`,
    columns: [
      { title: "layer" },
      ...numberColumns(`sinks at ${s}`, "next: at", "R_GS"),
      ...intervals ? numberColumns("95 % interval") : [],
      ...numberColumns(...cosineAt.map((position) => `cos ${position}`)),
    ],
    rows: pretrained.layers.map(({ layer, sinkRates, gradientSinkInterval, cosine }) => {
      const rateAt = (position: number) => sinkRates[pretrained.sinkPositions.indexOf(position)]!;
      const next = others.length === 0
        ? undefined
        : others.reduce((a, b) => rateAt(b) > rateAt(a) ? b : a);
      return [
        String(layer),
        figure(rateAt(s)),
        next === undefined || rateAt(next) === 0 ? "–" : `${figure(rateAt(next))}: ${next}`,
        figure(layers[layer]?.attention?.gradientSink.ratio),
        ...intervals ? [range(gradientSinkInterval) ?? "–"] : [],
        ...cosineAt.map((position) => figure(cosine[positions.indexOf(position)])),
      ];
    }),
  };
}
