/** Writes measurements for a terminal. */
import { plural } from "../../plural.ts";
import { escapeTerminal } from "../../escape.ts";
import { describeInterventions } from "../../reference/llama/config.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import {
  interventionTable,
  largestTable,
  layerTable,
  pretrainedSummary,
} from "./pretrained_tables.ts";
import { estimate, figure } from "./figure.ts";
import { pathRatio } from "./floor.ts";
import { branchTable, quantizationTable, sinkTables, theoryTable } from "./tables.ts";
import { formatTerminalTable, type Table } from "../table.ts";

/** Describes the measurement and its main figures, one line each. */
export function sinkSummary(measurement: SinkMeasurement): string[] {
  const { source, config, data, loss, oracleLoss, summary, settings, pretrained } = measurement;
  const s = settings.position;
  const gap = loss === null || oracleLoss === null
    ? ""
    : `, ${figure(loss - oracleLoss)} above the oracle`;
  const ratio = summary.gradientSink;
  const spread = measurement.intervals?.summary;
  return [
    ...pretrained !== undefined
      ? pretrainedSummary(measurement, pretrained)
      : source === null
      ? []
      : [`${source.run}, step ${source.step}: ${source.task}, ${describeInterventions(config)}`],
    `${plural(config.layers, "layer")}, d ${config.modelDim}, ${
      plural(config.queryHeads, "query head")
    }, ${plural(config.keyValueHeads, "key and value head")}, D ${config.headDim}${
      pretrained === undefined
        ? `; ${data.sequences} ${data.split ?? "validation"} sequences of ${data.context} tokens`
        : ""
    }`,
    ...loss === null || pretrained !== undefined
      ? []
      : [`loss ${loss.toFixed(4)} nats per token${gap}`],
    ...spread === undefined ? [] : ["in parentheses: 95 % intervals over sequences"],
    ...summary.sinkRate === null || pretrained !== undefined ? [] : rateLines(measurement),
    ...ratio === null ? [] : [
      `R_GS(${s}) from the summed gradients of ${data.sequences} sequences: median over layers ${
        estimate(ratio.median, spread?.gradientSink)
      }, quartiles ${figure(ratio.lower)} and ${figure(ratio.upper)}`,
    ],
    ...summary.paths === null ? [] : [
      `gradients at ${s} against early tokens: values ${pathRatio(measurement, "value")}, keys ${
        pathRatio(measurement, "key")
      }, queries ${pathRatio(measurement, "query")}`,
    ],
  ];
}

function rateLines({ summary, settings, intervals }: SinkMeasurement): string[] {
  const spread = intervals?.summary;
  const idle = (value: number | null | undefined, interval?: readonly [number, number] | null) =>
    value === null || value === undefined ? "" : `, for idle queries ${estimate(value, interval)}`;
  const { sequenceSinkRate, uniformScore } = summary;
  return [
    sequenceSinkRate === null || sequenceSinkRate === undefined
      ? "sink rate unknown: this older file has only means over sequences"
      : `sink rate ${
        estimate(sequenceSinkRate, spread?.sequenceSinkRate)
      } of (sequence, head) pairs${
        idle(summary.idleSequenceSinkRate, spread?.idleSequenceSinkRate)
      }`,
    `heads whose mean score is above ${settings.threshold}: ${figure(summary.sinkRate)}${
      idle(summary.idleSinkRate)
    }; strongest mean score ${estimate(summary.largestScore, spread?.largestScore)}${
      idle(summary.largestIdleScore, spread?.largestIdleScore)
    }`,
    ...uniformScore === null || uniformScore === undefined ? [] : [
      `uniform attention would score ${figure(uniformScore)}${idle(summary.uniformIdleScore)}`,
    ],
  ];
}

/** A pretrained model has hundreds of heads, so only the page and JSON have a row for each head. */
function tablesOf(measurement: SinkMeasurement): Table[] {
  const { pretrained } = measurement;
  if (pretrained === undefined) return sinkTables(measurement);
  return [
    layerTable(measurement, pretrained),
    largestTable(pretrained),
    interventionTable(pretrained),
    branchTable(measurement),
    quantizationTable(measurement),
    theoryTable(measurement),
  ].filter((table) => table !== undefined);
}

/** Writes a measurement for a terminal. */
export function formatSinkMeasurement(
  measurement: SinkMeasurement,
  options: { readonly color?: boolean } = {},
): string {
  const errors = measurement.theory?.errors ?? [];
  return [
    sinkSummary(measurement).map((line) => `${escapeTerminal(line)}\n`).join(""),
    ...tablesOf(measurement).map((table) => formatTerminalTable(table, options)),
    ...errors.length === 0
      ? []
      : [errors.map((line) => `violated: ${escapeTerminal(line)}\n`).join("")],
  ].join("\n");
}
