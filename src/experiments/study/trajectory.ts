/** The figures that the study follows. */
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { BranchMeasurement } from "../../sinks/measurement/branch.ts";
import type { SinkComparison } from "../../sinks/measurement/comparison.ts";
import type { HeadMeasurement } from "../../sinks/measurement/head.ts";
import type { AttentionMeasurement, LayerMeasurement } from "../../sinks/measurement/layer.ts";
import type {
  SinkPair,
  TrajectoryAttention,
  TrajectoryBranch,
  TrajectoryLayer,
  TrajectoryPoint,
} from "./record.ts";
import { mean } from "../../statistics/mean.ts";

/**
 * Extracts the figures that the study follows through training.
 *
 * @param step the number of training steps done
 * @throws {TypeError} if the measurement has no loss
 */
export function trajectoryPoint(measurement: SinkMeasurement, step: number): TrajectoryPoint {
  const { loss, oracleLoss, layers, summary } = measurement;
  if (loss === null) throw new TypeError("trajectoryPoint: the measurement has no loss");
  return {
    step,
    loss,
    oracleLoss,
    paths: summary.pathGradients,
    layers: layers.map((layer) => layerOf(layer, measurement)),
  };
}

function layerOf(layer: LayerMeasurement, measurement: SinkMeasurement): TrajectoryLayer {
  const { attention, mlp, input, output, massive } = layer;
  return {
    layer: layer.layer,
    attention: attention === null
      ? null
      : { ...attentionOf(attention, measurement), branch: branchOf(attention.branch) },
    mlp: { residual: pair(mlp.residual), branch: branchOf(mlp.branch) },
    input: pair(input),
    output: pair(output),
    massive: massive.ratio,
  };
}

function attentionOf(
  attention: AttentionMeasurement,
  { positions, settings }: SinkMeasurement,
): TrajectoryAttention {
  const { heads, valueHeads, gradients } = attention;
  const idle = heads.flatMap(({ idleScore }) => idleScore ?? []);
  const thetas = valueHeads.flatMap(({ theta }) => theta ?? []);
  const [first, last] = settings.early;
  const against = (norms: readonly number[]): SinkPair => {
    const early = norms.filter((_, i) =>
      positions[i]! >= first && positions[i]! <= last && positions[i] !== settings.position
    );
    return [norms[positions.indexOf(settings.position)]!, meanOrZero(early)];
  };
  return {
    score: meanOrZero(heads.map(({ score }) => score)),
    idleScore: idle.length === 0 ? null : mean(idle),
    sinkRate: attention.sinkRate,
    ...attention.sequenceSinkRate === undefined
      ? {}
      : { sequenceSinkRate: attention.sequenceSinkRate },
    gradient: pair(attention.gradientSink),
    paths: {
      query: against(gradients.query),
      key: against(gradients.key),
      value: against(gradients.value),
    },
    valueNorm: pair(attention.value),
    residual: pair(attention.residual),
    theta: thetas.length === 0 ? null : thetas,
    ...sinkLogitOf(heads),
    ...gateOf(heads),
  };
}

function sinkLogitOf(
  heads: readonly HeadMeasurement[],
): Pick<TrajectoryAttention, "sinkLogit"> {
  const sinks = heads.flatMap(({ sinkLogit }) => sinkLogit ?? []);
  if (sinks.length === 0) return {};
  const idle = sinks.flatMap(({ idleScore }) => idleScore ?? []);
  return {
    sinkLogit: {
      logits: sinks.map(({ logit }) => logit),
      score: meanOrZero(sinks.map(({ score }) => score)),
      idleScore: idle.length === 0 ? null : mean(idle),
    },
  };
}

function gateOf(heads: readonly HeadMeasurement[]): Pick<TrajectoryAttention, "gate"> {
  const gates = heads.flatMap(({ gate }) => gate ?? []);
  if (gates.length === 0) return {};
  const idle = gates.flatMap(({ idleMean }) => idleMean ?? []);
  return {
    gate: {
      mean: meanOrZero(gates.map((gate) => gate.mean)),
      idleMean: idle.length === 0 ? null : mean(idle),
      opening: [
        meanOrZero(gates.map(({ opening }) => opening.sink)),
        meanOrZero(gates.map(({ opening }) => opening.early)),
      ],
    },
  };
}

function branchOf(branch: BranchMeasurement): TrajectoryBranch {
  const { bloat, compress, change, compressFit } = branch;
  return {
    bloat: bloat && pair(bloat),
    compress: compress && pair(compress),
    change: change && pair(change),
    slope: compressFit && compressFit.slope,
    decades: compressFit && compressFit.range[1] - compressFit.range[0],
  };
}

function pair({ sink, early }: SinkComparison): SinkPair {
  return [sink, early];
}

function meanOrZero(values: readonly number[]): number {
  return values.length === 0 ? 0 : mean(values);
}
