/** The tables of sink and gradient-sink measurements; s is the sink's position. */
import { attentionGates, hasSinkLogit } from "../../reference/llama/config.ts";
import { isSink } from "../../sinks/uniform.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { BranchMeasurement } from "../../sinks/measurement/branch.ts";
import type { AttentionMeasurement, LayerMeasurement } from "../../sinks/measurement/layer.ts";
import type {
  QuantizationScaling,
  QuantizationTarget,
} from "../../sinks/measurement/quantization.ts";
import { SLACK_LEVELS, type TheoryCheck } from "../../sinks/measurement/theory.ts";
import { type Cell, numberColumns, type Table, textColumns } from "../table.ts";
import { estimate, figure, NONE, pair, range, signed } from "./figure.ts";
import { belowFloor } from "./floor.ts";

function attending(
  { layers }: SinkMeasurement,
): { layer: number; attention: AttentionMeasurement }[] {
  return layers.flatMap(({ layer, attention }) => attention === null ? [] : [{ layer, attention }]);
}

/** Each query head's attention to s. */
export function headTable(measurement: SinkMeasurement): Table {
  const { position: s, window, threshold, idleFrom } = measurement.settings;
  const { context } = measurement.data;
  const knowsIdle = attending(measurement).some(({ attention }) => attention.idleSinkRate !== null);
  const { uniformScore, uniformIdleScore } = measurement.summary;
  const score = (
    value: number | null,
    uniform: number | null | undefined,
    interval: readonly [number, number] | null | undefined,
  ): Cell => {
    const text = estimate(value, interval);
    return value !== null && isSink(value, { threshold, uniform: uniform ?? 0 })
      ? { text, tone: "unsure" }
      : text;
  };
  const interval = (layer: number, name: "scores" | "idleScores", head: number) =>
    measurement.intervals?.layers[layer]?.[name][head];
  const sinks = hasSinkLogit(measurement.config);
  const gates = attentionGates(measurement.config) > 0;
  const rates = attending(measurement).every(({ attention }) =>
    attention.heads.every(({ sinkRate }) => sinkRate !== undefined)
  );
  return {
    caption: `Attention to position ${s}. Scores are the mean of a_t${s} over ${
      Math.min(window, context - s)
    } queries${
      knowsIdle ? `, idle scores that over idle queries from position ${idleFrom} on` : ""
    }. A sink's score is above ${threshold}${
      uniformScore === null || uniformScore === undefined
        ? ""
        : ` and above that of uniform attention, ${figure(uniformScore)}${
          uniformIdleScore === null || uniformIdleScore === undefined
            ? ""
            : ` (idle: ${figure(uniformIdleScore)})`
        }`
    }${
      sinks
        ? ". An extra logit s without a value takes a share of the attention, the mean of " +
          "exp(s − logSumExp)"
        : ""
    }${gates ? ". A gate is 0 if closed, 1 if open" : ""}`,
    columns: [
      ...textColumns("layer", "head"),
      ...numberColumns("score"),
      ...rates ? numberColumns("sequences with a sink") : [],
      ...knowsIdle ? numberColumns("idle score") : [],
      ...numberColumns("mass M", "S = Σ a²"),
      ...sinks ? numberColumns("logit s", "its share") : [],
      ...sinks && knowsIdle ? numberColumns("idle share") : [],
      ...gates ? numberColumns("gate", `gate at ${s}`) : [],
      ...gates && knowsIdle ? numberColumns("idle gate") : [],
    ],
    rows: attending(measurement).flatMap(({ layer, attention }) =>
      attention.heads.map((head) => [
        String(layer),
        String(head.head),
        score(head.score, uniformScore, interval(layer, "scores", head.head)),
        ...rates ? [figure(head.sinkRate!)] : [],
        ...knowsIdle
          ? [score(head.idleScore, uniformIdleScore, interval(layer, "idleScores", head.head))]
          : [],
        figure(head.mass),
        figure(head.secondMoment),
        ...sinks ? [figure(head.sinkLogit?.logit), figure(head.sinkLogit?.score)] : [],
        ...sinks && knowsIdle ? [figure(head.sinkLogit?.idleScore)] : [],
        ...gates ? [figure(head.gate?.mean), pair(head.gate?.opening ?? null)] : [],
        ...gates && knowsIdle ? [figure(head.gate?.idleMean)] : [],
      ])
    ),
  };
}

/** Gradient sinks by layer. */
export function gradientTable(measurement: SinkMeasurement): Table {
  const { position: s, lastGradientPosition, early } = measurement.settings;
  const { positions, intervals } = measurement;
  // Writes the path's gradient norm at s, and its ratio to the mean over early tokens. The mean
  // covers only positions that the measurement keeps: by default all early ones.
  const path = (attention: AttentionMeasurement, path: "query" | "key" | "value"): string => {
    const at = (t: number) => attention.gradients[path][positions.indexOf(t)];
    const floor = path === "value" ? undefined : attention[`${path}GradientFloor`];
    const atFloor = belowFloor(measurement, { path, sink: at(s)!, floor });
    if (atFloor !== undefined) return atFloor;
    const others = positions.filter((t) => t !== s && t >= early[0] && t <= early[1]);
    const mean = others.reduce((sum, t) => sum + at(t)!, 0) / others.length;
    const sink = at(s)!;
    return pair({ sink, early: mean, ratio: mean === 0 ? null : sink / mean });
  };
  return {
    caption: `Gradients at position ${s}, summed over ${measurement.data.sequences} sequences. ` +
      `R_GS compares ∇h̃ with positions up to ${
        Math.min(lastGradientPosition, measurement.data.context - 1)
      }, × compares ∇v, ∇k and ∇q with positions ${early[0]}–${early[1]}${
        intervals ? ". In parentheses after R_GS: 95 % intervals over sequences" : ""
      }`,
    columns: [
      { title: "layer" },
      ...numberColumns("‖∇h̃‖", "R_GS", "single R_GS", "‖∇v‖", "‖∇k‖", "‖∇q‖"),
    ],
    rows: attending(measurement).map(({ layer, attention }) => [
      String(layer),
      figure(attention.gradientSink.sink),
      estimate(attention.gradientSink.ratio, intervals?.layers[layer]?.gradientSink),
      estimate(attention.singleGradientSink.ratio, intervals?.layers[layer]?.singleGradientSink),
      path(attention, "value"),
      path(attention, "key"),
      path(attention, "query"),
    ]),
  };
}

/** Bloat, Compress and Change. */
export function branchTable(measurement: SinkMeasurement): Table {
  const { position: s, early } = measurement.settings;
  const row = (layer: number, name: string, branch: BranchMeasurement): Cell[] => {
    const at = measurement.positions.indexOf(s);
    const fit = branch.compressFit;
    return [
      String(layer),
      name,
      figure(branch.byPosition.inputNorm[at]),
      pair(branch.bloat),
      pair(branch.compress),
      pair(branch.change),
      fit === null ? NONE : figure(fit.slope),
      fit === null ? NONE : figure(fit.range[1] - fit.range[0]),
    ];
  };
  return {
    caption: `Residual branches at position ${s} (× compares with positions ${early[0]}–${
      early[1]
    }), medians over sequences. The slope is that of log Compress over log ‖h‖. Decades are the range of ‖h‖`,
    columns: [
      ...textColumns("layer", "branch"),
      ...numberColumns("‖h‖", "Bloat", "Compress", "Change", "slope", "decades"),
    ],
    rows: measurement.layers.flatMap(({ layer, attention, mlp }) => [
      ...attention === null ? [] : [row(layer, "attention", attention.branch)],
      row(layer, "MLP", mlp.branch),
    ]),
  };
}

export function normTable(measurement: SinkMeasurement): Table {
  const { position: s, early } = measurement.settings;
  return {
    caption: `Norms at position ${s} (× compares with positions ${early[0]}–${
      early[1]
    }). The last two columns count a sequence's output elements above 100 and 1000 × the median magnitude`,
    columns: [
      { title: "layer" },
      ...numberColumns("‖h in‖", "‖r attn‖", "‖h half‖", "‖r mlp‖", "‖h out‖"),
      ...numberColumns("largest ÷ median", ">100×", ">1000×"),
    ],
    rows: measurement.layers.map((layer: LayerMeasurement) => [
      String(layer.layer),
      pair(layer.input),
      pair(layer.attention?.residual ?? null),
      pair(layer.half),
      pair(layer.mlp.residual),
      pair(layer.output),
      figure(layer.massive.ratio),
      figure(layer.massive.above100),
      figure(layer.massive.above1000),
    ]),
  };
}

/**
 * One row per value head: the value's norm at s, which is small at a sink (value-state drain). With
 * V-scale also the norm after V-scale, θ and C.
 */
export function valueTable(measurement: SinkMeasurement): Table {
  const { position: s, early } = measurement.settings;
  const valve = measurement.config.vScale !== "none";
  return {
    caption: `Norms of values at position ${s} (× compares with positions ${early[0]}–${
      early[1]
    }; below 1× is value drain)`,
    columns: [
      ...textColumns("layer", "value head"),
      ...numberColumns("‖v‖"),
      ...valve ? numberColumns("‖v̂‖ as used", "θ", "C") : [],
    ],
    rows: attending(measurement).flatMap(({ layer, attention }) =>
      attention.valueHeads.map(({ head, value, usedValue, theta, constant }) => [
        String(layer),
        String(head),
        pair(value),
        ...valve ? [pair(usedValue), figure(theta), figure(constant)] : [],
      ])
    ),
  };
}

const TARGETS: Readonly<Record<QuantizationTarget, string>> = {
  "down-projections": "down projections",
  "all-linears": "all linear maps",
};
const SCALINGS: Readonly<Record<QuantizationScaling, string>> = {
  "static-tensor": "static, one scale per tensor",
  "dynamic-token": "dynamic, one scale per token",
};

/** The loss with 8-bit activations; undefined if it was not measured. */
export function quantizationTable({ quantization }: SinkMeasurement): Table | undefined {
  if (quantization === null) return undefined;
  const { loss, calibrationBatches, cases } = quantization;
  const scales = calibrationBatches === 0 ? "the same" : `${calibrationBatches} other`;
  const intervals = cases.some(({ interval }) => range(interval) !== undefined);
  return {
    caption: `Loss with INT8 activations, ${
      loss.toFixed(4)
    } without them. Static scales come from ${scales} ${
      calibrationBatches === 1 || calibrationBatches === 0 ? "batch" : "batches"
    }`,
    columns: [
      ...textColumns("in front of", "scaling"),
      ...numberColumns("loss", "difference"),
      ...intervals ? numberColumns("95 % interval") : [],
    ],
    rows: cases.map(({ target, scaling, loss, difference, interval }) => [
      TARGETS[target],
      SCALINGS[scaling],
      loss.toFixed(4),
      signed(difference),
      ...intervals ? [range(interval) ?? "–"] : [],
    ]),
  };
}

/** The theory's identities and bounds; undefined if they were not checked. */
export function theoryTable({ theory, settings, data }: SinkMeasurement): Table | undefined {
  if (theory === null) return undefined;
  const median = SLACK_LEVELS.indexOf(0.5);
  // Each layer and branch has a median. Take the median of these medians; of two middle ones, the
  // smaller.
  const middle = (medians: readonly (number | undefined)[]): number | undefined => {
    const known = medians.filter((value) => value !== undefined).sort((a, b) => a - b);
    return known[Math.floor((known.length - 1) / 2)];
  };
  const least = ({ slack }: TheoryCheck) =>
    slack.length === 0 ? undefined : Math.min(...slack.flatMap(({ all }) => all[0] ?? []));
  return {
    caption: `The theory on a ${data.split ?? "validation"} batch. Worst is the largest distance ` +
      "from what must hold, as a share of the terms' magnitude. Slack is a bound divided by the actual value",
    columns: [
      ...textColumns("what", "formula"),
      ...numberColumns(
        "compared",
        "worst",
        "allowed",
        "violated",
        "least slack",
        "median",
        `at ${settings.position}`,
      ),
    ],
    rows: theory.checks.map((check) => [
      check.name,
      { text: check.formula, tone: "faint" },
      String(check.compared),
      figure(check.worst),
      figure(check.tolerance),
      check.violations === 0 ? "0" : { text: String(check.violations), tone: "bad" },
      figure(least(check)),
      figure(middle(check.slack.map(({ all }) => all[median]))),
      figure(middle(check.slack.map(({ sink }) => sink[median]))),
    ]),
  };
}

/** All tables with content, in reading order. */
export function sinkTables(measurement: SinkMeasurement): Table[] {
  const tables = [
    headTable(measurement),
    gradientTable(measurement),
    branchTable(measurement),
    normTable(measurement),
    valueTable(measurement),
    quantizationTable(measurement),
    theoryTable(measurement),
  ];
  return tables.filter((table) => table !== undefined).filter(({ rows }) => rows.length > 0);
}
