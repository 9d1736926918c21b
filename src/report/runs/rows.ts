/** Turns runs into one row per number, the form that data frames and pictures need. */
import type { StoredRun } from "../../experiments/run/read.ts";
import type { MetricsRow } from "../../experiments/run/metrics.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { LayerMeasurement } from "../../sinks/measurement/layer.ts";
import type { Interval } from "../../statistics/resampling.ts";

/** One number of one run. */
export interface RunRow {
  readonly run: string;
  readonly seed: number;
  readonly vScale: string;
  /** The number of steps done. */
  readonly step: number;
  /** Losses are in nats per token. */
  readonly quantity: string;
  readonly layer: number | null;
  readonly head: number | null;
  readonly value: number;
  /** The 95 % interval over sequences. */
  readonly interval: Interval | null;
}

type Found = Omit<RunRow, "run" | "seed" | "vScale" | "step">;

function found(
  quantity: string,
  value: number | null | undefined,
  place: { readonly layer?: number; readonly head?: number; readonly interval?: Interval | null } =
    {},
): Found[] {
  const { layer = null, head = null, interval = null } = place;
  return value === null || value === undefined ? [] : [{ quantity, layer, head, value, interval }];
}

/** Lists the main numbers of runs. */
export function runRows(runs: readonly StoredRun[]): RunRow[] {
  return runs.flatMap(({ name, settings, rows }) =>
    rows.flatMap((row) =>
      numbersOf(row).map((each) => ({
        run: name,
        seed: settings.seed,
        vScale: settings.model.vScale,
        step: row.step,
        ...each,
      }))
    )
  );
}

function numbersOf(row: MetricsRow): Found[] {
  if (row.kind === "training") {
    return [
      ...found("training loss", row.loss),
      ...found("training oracle loss", row.oracleLoss),
      ...found("gradient norm", row.gradientNorm),
      ...found("learning rate", row.learningRate),
      ...found("tokens per second", row.tokensPerSecond),
    ];
  }
  const { measurement } = row;
  const { loss, oracleLoss, summary, intervals, layers } = measurement;
  const spread = intervals?.summary;
  return [
    ...found("validation loss", loss, { interval: spread?.loss ?? null }),
    ...found("validation oracle loss", oracleLoss),
    ...found("sequences", measurement.data.sequences),
    ...found("R_GS, median over layers", summary.gradientSink?.median, {
      interval: spread?.gradientSink ?? null,
    }),
    ...found("largest score", summary.largestScore, { interval: spread?.largestScore ?? null }),
    ...found("largest idle score", summary.largestIdleScore, {
      interval: spread?.largestIdleScore ?? null,
    }),
    ...layers.flatMap((layer) => layerNumbers(layer, measurement)),
  ];
}

function layerNumbers(
  { layer, attention, mlp, input, output, massive }: LayerMeasurement,
  { intervals }: SinkMeasurement,
): Found[] {
  const spread = intervals?.layers[layer];
  const at = (quantity: string, value: number | null | undefined, interval?: Interval | null) =>
    found(quantity, value, { layer, interval: interval ?? null });
  return [
    ...at("‖h in‖ at the sink", input.sink),
    ...at("‖h out‖ at the sink", output.sink),
    ...at("‖h out‖, early tokens", output.early),
    ...at("‖r mlp‖ at the sink", mlp.residual.sink),
    ...at("largest ÷ median |h|", massive.ratio),
    ...attention === null ? [] : [
      ...at("R_GS", attention.gradientSink.ratio, spread?.gradientSink),
      ...at("single R_GS", attention.singleGradientSink.ratio, spread?.singleGradientSink),
      ...at("‖v‖ against early tokens", attention.value.ratio),
      ...at("Bloat at the sink", attention.branch.bloat?.sink),
      ...attention.heads.flatMap(({ head, score, idleScore }) => [
        ...found("score", score, { layer, head, interval: spread?.scores[head] ?? null }),
        ...found("idle score", idleScore, {
          layer,
          head,
          interval: spread?.idleScores[head] ?? null,
        }),
      ]),
    ],
  ];
}
