/** The summary of a finished run: its sinks, and the state of token 0. */
import type { RunResult } from "../../experiments/run.ts";
import { estimate, pair } from "../../report/sinks/figure.ts";
import { formatTerminalTable, numberColumns } from "../../report/table.ts";
import { describeInterventions } from "../../reference/llama/config.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { LayerMeasurement } from "../../sinks/measurement/layer.ts";

export function formatSummary(
  { measurement, settings, adapter }: RunResult,
  { color }: { readonly color: boolean },
): string {
  if (measurement === undefined) return "";
  const { loss, oracleLoss, layers, settings: measured, data, intervals } = measurement;
  const idle = layers.some(({ attention }) =>
    attention?.heads.some(({ idleScore }) => idleScore !== null)
  );
  const head = [
    `${settings.steps} steps of ${settings.preset}, ${describeInterventions(settings.model)}, ` +
    `seed ${settings.seed}, on ${adapter}`,
    `Validation loss ${loss?.toFixed(4)} nats per token` +
    (oracleLoss === null ? "" : `; the best possible is ${oracleLoss.toFixed(4)}`),
    sinkSentence(measurement),
  ];
  const table = formatTerminalTable({
    caption: `At token ${measured.position} of ${data.sequences} sequences${
      intervals ? ", with 95 % intervals over sequences" : ""
    }; norms, and their ratio to those of tokens ${measured.early.join(" to ")}`,
    columns: [
      ...numberColumns("layer", idle ? "attention to it, no trigger" : "attention to it"),
      ...numberColumns(`R_GS(${measured.position})`, "value norm", "residual norm in", "out"),
    ],
    rows: layers.map((layer) => rowOf(layer, measurement)),
  }, { color });
  return `${head.join("\n")}\n\n${table}`;
}

function rowOf(
  { layer, attention, input, output }: LayerMeasurement,
  { intervals }: SinkMeasurement,
): string[] {
  const spread = intervals?.layers[layer];
  const scores =
    attention?.heads.map(({ head, score, idleScore }) =>
      idleScore === null
        ? estimate(score, spread?.scores[head])
        : estimate(idleScore, spread?.idleScores[head])
    ) ?? [];
  return [
    String(layer),
    attention === null ? "no attention" : scores.join(", "),
    attention === null ? "" : estimate(attention.gradientSink.ratio, spread?.gradientSink),
    attention === null ? "" : pair(attention.value),
    pair(input),
    pair(output),
  ];
}

/** Describes the strongest head in a sentence. */
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
