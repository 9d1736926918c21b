/** What a finished run says: where its sinks are, and what stands at token 0. */
import type { RunResult } from "../../experiments/run.ts";
import { NO_DATA } from "../../report/format.ts";
import { formatTerminalTable } from "../../report/table.ts";
import type { LayerMeasurement, SinkComparison, SinkMeasurement } from "../../sinks/measurement.ts";

/**
 * A finished run in words and a table.
 *
 * @param result of the run
 * @param options colors
 */
export function formatSummary(
  { measurement, settings, adapter }: RunResult,
  { color }: { readonly color: boolean },
): string {
  if (measurement === undefined) return "";
  const { loss, oracleLoss, layers, settings: measured } = measurement;
  const idle = layers.some(({ attention }) =>
    attention?.heads.some(({ idleScore }) => idleScore !== null)
  );
  const head = [
    `${settings.steps} steps of ${settings.preset}, V-scale ${settings.model.vScale}, ` +
    `seed ${settings.seed}, on ${adapter}`,
    `Validation loss ${figure(loss, 4)} nats per token` +
    (oracleLoss === null ? "" : `; the best possible is ${figure(oracleLoss, 4)}`),
    sinkSentence(measurement),
  ];
  const table = formatTerminalTable({
    caption: `At token ${measured.position}, and its ratio to tokens ${
      measured.early.join(" to ")
    }`,
    columns: [
      { title: "layer", align: "right" },
      { title: idle ? "attention to it, no trigger" : "attention to it", align: "right" },
      { title: "gradient sink", align: "right" },
      { title: "value norm", align: "right" },
      { title: "residual norm in", align: "right" },
      { title: "out", align: "right" },
    ],
    rows: layers.map(rowOf),
  }, { color });
  return `${head.join("\n")}\n\n${table}`;
}

function rowOf({ layer, attention, input, output }: LayerMeasurement): string[] {
  const scores = attention?.heads.map(({ score, idleScore }) => idleScore ?? score) ?? [];
  return [
    String(layer),
    attention === null ? "no attention" : scores.map((score) => score.toFixed(2)).join(" "),
    attention === null ? "" : `${figure(attention.gradientSink.ratio, 3)}×`,
    attention === null ? "" : compared(attention.value),
    compared(input),
    compared(output),
  ];
}

function compared({ sink, ratio }: SinkComparison): string {
  return `${figure(sink, 3)} (${figure(ratio, 3)}×)`;
}

/** The strongest head, in a sentence. */
function sinkSentence({ layers, settings }: SinkMeasurement): string {
  const heads = layers.flatMap(({ layer, attention }) =>
    (attention?.heads ?? []).map(({ head, score, idleScore }) => ({
      layer,
      head,
      idle: idleScore !== null,
      score: idleScore ?? score,
    }))
  );
  const strongest = heads.toSorted((a, b) => b.score - a.score)[0];
  if (strongest === undefined) return "The model has no attention.";
  const { layer, head, idle, score } = strongest;
  const which = idle ? "queries that have nothing to copy" : "queries";
  const name = `Layer ${layer}, head ${head}: ${which} give token ${settings.position}`;
  const share = `${(100 * score).toFixed(0)} % of their attention`;
  return score > settings.threshold
    ? `${name} ${share}: a sink.`
    : `${name} ${share}: no sink yet.`;
}

function figure(value: number | null, digits: number): string {
  return value === null ? NO_DATA : String(Number(value.toPrecision(digits)));
}
