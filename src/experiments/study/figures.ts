/**
 * The figures that the study compares: each is one number of a run at one step. Token 0 is the
 * sink. h is the residual stream, h_in before a layer and h_out after it; h̃ is the RMSNorm's
 * output that feeds attention, and r_mlp is what the MLP adds to the stream.
 * src/reference/theory.md defines R_GS, Bloat, Compress and Change.
 */
import type { SinkPair, StudyRecord, TrajectoryLayer, TrajectoryPoint } from "./record.ts";
import { firstReached } from "./statistics.ts";
import { median } from "../../statistics/summary.ts";

/** A run at a step. */
export interface Moment {
  readonly record: StudyRecord;
  readonly point: TrajectoryPoint;
}

/** A figure; undefined without data. */
export type Figure = (moment: Moment) => number | undefined;

function attentionLayers({ layers }: TrajectoryPoint): TrajectoryLayer[] {
  return layers.filter(({ attention }) => attention !== null);
}

/** A layer's sink score, over idle queries (see `Task.idleQueries`) if the task has any. */
function layerSink({ attention }: TrajectoryLayer): number {
  return attention!.idleScore ?? attention!.score;
}

/**
 * The layer with the strongest attention to token 0 at the end of a run. Figures "at the sink" use
 * this layer at all steps. Undefined if no layer has attention, or nothing was measured.
 */
export function sinkLayer(record: StudyRecord): number | undefined {
  const last = record.trajectory.at(-1);
  if (last === undefined) return undefined;
  let best: TrajectoryLayer | undefined;
  for (const layer of attentionLayers(last)) {
    if (best === undefined || layerSink(layer) > layerSink(best)) best = layer;
  }
  return best?.layer;
}

/** A run's sink layer at a moment. */
export function atSink(moment: Moment): TrajectoryLayer | undefined {
  const wanted = sinkLayer(moment.record);
  return moment.point.layers.find(({ layer, attention }) => layer === wanted && attention !== null);
}

/** Token 0's figure divided by the pair's second number, usually the mean over early tokens. */
export function ratio(pair: SinkPair | null | undefined): number | undefined {
  return pair == null || !(pair[1] > 0) ? undefined : pair[0] / pair[1];
}

function medianOf(values: readonly (number | undefined)[]): number | undefined {
  return median(values.filter((value) => value !== undefined));
}

function largest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** The sink layer's score, over idle queries (see `Task.idleQueries`) if the task has any. */
export const sinkStrength: Figure = (moment) => {
  const layer = atSink(moment);
  return layer && layerSink(layer);
};

/** R_GS(0): median over layers with attention. */
export const gradientSinkRatio: Figure = ({ point }) =>
  medianOf(attentionLayers(point).map(({ attention }) => ratio(attention!.gradient)));

/**
 * The extra logit's share of attention at the sink layer, over idle queries (see
 * `Task.idleQueries`) if the task has any.
 */
export const sinkLogitShare: Figure = (moment) => {
  const found = atSink(moment)?.attention?.sinkLogit;
  return found && (found.idleScore ?? found.score);
};

/**
 * The gates' mean opening at the sink layer, over idle queries (see `Task.idleQueries`) if the task
 * has any.
 */
export const gateOpening: Figure = (moment) => {
  const found = atSink(moment)?.attention?.gate;
  return found && (found.idleMean ?? found.mean);
};

export const gateOpeningAtSink: Figure = (moment) => atSink(moment)?.attention?.gate?.opening[0];

/** ‖∇h̃_0‖ at the sink layer. */
export const sinkGradient: Figure = (moment) => atSink(moment)?.attention?.gradient[0];

/** Token 0's value norm divided by the mean over early tokens, at the sink layer. */
export const valueNormRatio: Figure = (moment) => ratio(atSink(moment)?.attention?.valueNorm);

/**
 * ‖∇v_0‖ / ‖∇k_0‖: the gradients with respect to token 0's value and key. Each norm is a mean over
 * layers.
 */
export const valueOverKey: Figure = ({ point, record }) => {
  const zero = record.positions.indexOf(0);
  const [value, key] = [point.paths?.value[zero], point.paths?.key[zero]];
  return value === undefined || key === undefined || key === 0 ? undefined : value / key;
};

/**
 * ‖∇q_0‖ / ‖∇v_0‖: the gradients with respect to token 0's query and value. Each norm is a mean
 * over layers.
 */
export const queryOverValue: Figure = ({ point, record }) => {
  const zero = record.positions.indexOf(0);
  const [value, query] = [point.paths?.value[zero], point.paths?.query[zero]];
  return value === undefined || query === undefined || value === 0 ? undefined : query / value;
};

/** The slope of log Compress over log ‖h‖: median over attention branches. */
export const compressSlope: Figure = ({ point }) =>
  medianOf(attentionLayers(point).map(({ attention }) => attention!.branch.slope ?? undefined));

/** Decades of ‖h‖ that the slope's fit spans: median over layers. */
export const compressDecades: Figure = ({ point }) =>
  medianOf(attentionLayers(point).map(({ attention }) => attention!.branch.decades ?? undefined));

/** Token 0's Bloat divided by the mean over early tokens, at the sink layer. */
export const bloatRatio: Figure = (moment) => ratio(atSink(moment)?.attention?.branch.bloat);

/** Bloat of token 0 at the sink layer. */
export const bloat: Figure = (moment) => atSink(moment)?.attention?.branch.bloat?.[0];

/** Token 0's ‖h_in‖ divided by the mean over early tokens, at the sink layer. */
export const sinkInputRatio: Figure = (moment) => ratio(atSink(moment)?.input);

/** ‖h_in‖ of token 0 at the sink layer. */
export const sinkInput: Figure = (moment) => atSink(moment)?.input[0];

function changes({ layers }: TrajectoryPoint): number[] {
  return layers.flatMap(({ attention, mlp }) =>
    [attention?.branch.change?.[0], mlp.branch.change?.[0]].flatMap((each) => each ?? [])
  );
}

/** Change of token 0: median over all branches. */
export const change: Figure = ({ point }) => median(changes(point));

/** Token 0's Change or, if that is larger, 1 / Change: the largest over all branches. */
export const farthestChange: Figure = ({ point }) => {
  const all = changes(point).filter((each) => each > 0);
  return largest(all.map((each) => Math.max(each, 1 / each)));
};

/** ‖h_out‖ of token 0: the largest over layers. */
export const residualNorm: Figure = ({ point }) =>
  largest(point.layers.map(({ output }) => output[0]));

/** Token 0's ‖h_out‖ divided by the mean over early tokens: the largest over layers. */
export const residualRatio: Figure = ({ point }) =>
  largest(point.layers.map(({ output }) => ratio(output)));

/** ‖r_mlp‖ of token 0: the largest over layers. */
export const mlpNorm: Figure = ({ point }) =>
  largest(point.layers.map(({ mlp }) => mlp.residual[0]));

/** Token 0's ‖r_mlp‖ divided by the mean over early tokens: the largest over layers. */
export const mlpRatio: Figure = ({ point }) =>
  largest(point.layers.map(({ mlp }) => ratio(mlp.residual)));

/** Validation loss, in nats per token. */
export const validationLoss: Figure = ({ point }) => point.loss;

/** Validation loss minus the oracle's loss (see `Task.oracleLoss`), in nats per token. */
export const oracleGap: Figure = ({ point }) =>
  point.oracleLoss === null ? undefined : point.loss - point.oracleLoss;

/**
 * How much the trained model's loss rises if activations are rounded to 8 bits, in nats per token;
 * defined at the last step only.
 */
export function quantizationLoss(
  target: "down-projections" | "all-linears",
  scaling: "static-tensor" | "dynamic-token",
): Figure {
  return ({ record, point }) =>
    point !== record.trajectory.at(-1) ? undefined : record.final?.quantization?.cases
      .find((each) => each.target === target && each.scaling === scaling)?.difference;
}

/** A run at its last measured step. */
export function lastMoment(record: StudyRecord): Moment | undefined {
  const point = record.trajectory.at(-1);
  return point && { record, point };
}

/** The first measured moment at which a run's sink has at least this strength, if any. */
export function momentAtStrength(record: StudyRecord, level: number): Moment | undefined {
  const step = onset(record, sinkStrength, level);
  const point = record.trajectory.find((each) => each.step === step);
  return point && { record, point };
}

/** The first measured step at which a figure reaches a level, if any. */
export function onset(record: StudyRecord, figure: Figure, level: number): number | undefined {
  return firstReached(
    record.trajectory.flatMap((point) => {
      const value = figure({ record, point });
      return value === undefined ? [] : [{ step: point.step, value }];
    }),
    level,
  );
}
