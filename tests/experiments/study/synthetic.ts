/** For tests only: records with made-up figures. */
import { randomNormal } from "../../../src/random.ts";
import type { StudySetting, StudyVariant } from "../../../src/experiments/study/arms.ts";
import {
  STUDY_RECORD_SCHEMA,
  type StudyRecord,
  type TrajectoryPoint,
} from "../../../src/experiments/study/record.ts";
import type { SinkMeasurement } from "../../../src/sinks/measurement.ts";
import type { SinkComparison } from "../../../src/sinks/measurement/comparison.ts";
import type { LayerMeasurement } from "../../../src/sinks/measurement/layer.ts";
import { DEFAULT_SINK_SETTINGS } from "../../../src/sinks/measurement/settings.ts";
import { trajectoryPoint } from "../../../src/experiments/study/trajectory.ts";
import { PLAIN_LLAMA } from "../../../src/reference/llama/config.ts";

/** Options of made-up figures. */
export interface World {
  readonly setting?: StudySetting;
  readonly variant?: StudyVariant;
  readonly seed?: number;
  /** "paper": variants have the paper's effects. "same": variants are like the baseline. */
  readonly world?: "paper" | "same";
  readonly steps?: number;
  readonly status?: StudyRecord["status"];
  readonly settings?: StudyRecord["settings"];
  /** If true, `settings` replaces the usual settings. Otherwise it is added to them. */
  readonly onlySettings?: boolean;
  readonly withFinal?: boolean;
}

const POSITIONS = [...Array.from({ length: 32 }, (_, i) => i), 63];

/** A moment of a made-up run: its progress in training, and whether V-scale acts. */
interface Stage {
  readonly progress: number;
  readonly valve: boolean;
  readonly layers: number;
  readonly first: number;
  readonly noise: (at: number) => number;
}

function comparison(sink: number, early: number): SinkComparison {
  return { sink, early, ratio: sink / early };
}

function byPosition(sink: number, others: number): number[] {
  return POSITIONS.map((position) =>
    position === 0 ? sink : others * (1 + 0.3 * Math.sin(position))
  );
}

function branch(norm: number, bloat: number): LayerMeasurement["mlp"]["branch"] {
  const norms = byPosition(norm, 12);
  const points = norms.flatMap((each) => [each, 1.1 * each]);
  return {
    byPosition: {
      inputNorm: norms,
      bloat: byPosition(bloat, 1),
      compress: norms.map((each) => 8 / each),
      change: byPosition(1.1, 1),
    },
    points: {
      sequence: points.map((_, i) => i % 2),
      position: points.map((_, i) => POSITIONS[i >> 1]!),
      inputNorm: points,
      bloat: points.map((_, i) => i < 2 ? bloat : 1),
      compress: points.map((each) => 8 / each),
      change: points.map(() => 1),
    },
    compressFit: {
      slope: -1.02,
      intercept: Math.log10(8),
      explained: 0.97,
      range: [Math.log10(12), Math.log10(Math.max(norm, 13))],
      tokens: 2048,
    },
    bloat: comparison(bloat, 1),
    compress: comparison(8 / norm, 8 / 12),
    change: comparison(1.1, 1),
  };
}

function layerMeasurement(layer: number, stage: Stage): LayerMeasurement {
  const { progress, valve, first, noise } = stage;
  const sink = Math.min(
    0.99,
    progress * (valve ? 0.97 : 0.8) * (layer === first ? 1 : 0.4) * noise(0),
  );
  const ratio = 1 + progress * (valve ? 6 : 15) * noise(1);
  const norm = 12 * (1 + progress * (valve ? 2 : 8) * noise(2));
  const attention: LayerMeasurement["attention"] = layer < first ? null : {
    heads: [{
      head: 0,
      score: 0.6 * sink,
      idleScore: sink,
      mass: 20 * sink,
      secondMoment: 15 * sink,
    }],
    valueHeads: [{
      head: 0,
      value: comparison(0.5 * (1 - 0.9 * progress), 0.5),
      usedValue: comparison(0.5 * (1 - 0.9 * progress), 0.5),
      theta: valve ? 1.2 * progress : null,
      constant: valve ? 1.6 : null,
    }],
    sinkRate: sink > 0.3 ? 1 : 0,
    idleSinkRate: sink > 0.3 ? 1 : 0,
    gradientSink: comparison(0.01 * ratio, 0.01),
    singleGradientSink: comparison(0.02 * ratio, 0.02),
    gradients: {
      norm: byPosition(0.01 * ratio, 0.01),
      query: byPosition(0, 0.002),
      key: byPosition(0.02 * noise(3), 0.003),
      value: byPosition(0.02 * (1 + 4 * progress) * noise(4), 0.004),
      output: byPosition(0.01, 0.01),
    },
    singleNormGradient: byPosition(0.02 * ratio, 0.02),
    value: comparison(0.5 * (1 - 0.9 * progress) * noise(5), 0.5),
    residual: comparison(1, 4),
    branch: branch(norm, 1 + 9 * progress * (valve ? 0.05 : 1)),
  };
  return {
    layer,
    attention,
    mlp: {
      residual: comparison(norm * 0.8, 6),
      normGradient: byPosition(0.01, 0.01),
      branch: branch(1.2 * norm, 1.2),
    },
    input: comparison(norm, 12),
    half: comparison(norm * 1.1, 13),
    output: comparison(norm * 1.4 * noise(6), 14),
    outputByPosition: byPosition(norm * 1.4, 14),
    massive: {
      median: 0.8,
      largest: norm / 3,
      ratio: norm / 2.4,
      above100: 0,
      above1000: 0,
      above100AtSink: 0,
    },
  };
}

function measurement(stage: Stage, loss: number): SinkMeasurement {
  const layers = Array.from({ length: stage.layers }, (_, layer) => layerMeasurement(layer, stage));
  const gradients = layers.at(-1)!.attention!.gradients;
  const increase = stage.valve ? 0.02 : 0.2 * stage.noise(7);
  const cases = (["down-projections", "all-linears"] as const).flatMap((target) => [
    { target, scaling: "static-tensor" as const, loss: loss + increase, difference: increase },
    { target, scaling: "dynamic-token" as const, loss: loss + 0.001, difference: 0.001 },
  ]);
  const quantiles = [1.01, 1.2, 1.5, 2, 3, 6, 20];
  return {
    schema: "gradsink-sinks/1",
    source: null,
    config: {
      vocabulary: 64,
      layers: stage.layers,
      modelDim: 64,
      queryHeads: 1,
      keyValueHeads: 1,
      headDim: 64,
      feedForwardDim: 176,
      ...PLAIN_LLAMA,
      layersWithoutAttention: stage.first === 1 ? [0] : [],
    },
    settings: DEFAULT_SINK_SETTINGS,
    data: { sequences: 32, context: 64 },
    loss,
    oracleLoss: 1.5,
    positions: POSITIONS,
    layers,
    summary: {
      gradientSink: null,
      singleGradientSink: null,
      sinkRate: null,
      idleSinkRate: null,
      largestScore: null,
      largestIdleScore: null,
      pathGradients: { query: gradients.query, key: gradients.key, value: gradients.value },
      paths: null,
      compressFit: { attention: null, mlp: null },
    },
    quantization: { loss, calibrationBatches: 4, cases },
    theory: {
      checks: [
        {
          name: "row sums",
          formula: "Σ_j ∂L/∂z_sj = 0",
          kind: "identity",
          compared: 4096,
          worst: 1e-8,
          where: "layer 0, head 0, position 3, sequence 1",
          tolerance: 1e-6,
          violations: 0,
          slack: [],
        },
        {
          name: "mass bound",
          formula: "‖∇_{v_s}L‖ ≤ M_s max_t‖g_t‖",
          kind: "bound",
          compared: 2048,
          worst: -0.2,
          where: "layer 0, head 0, position 0, sequence 0",
          tolerance: 1e-6,
          violations: 0,
          slack: layers.filter(({ attention }) => attention !== null).map(({ layer }) => ({
            layer,
            branch: "attention" as const,
            all: quantiles,
            sink: quantiles.map((each) => 1 + each / 2),
            histogram: { from: 0, width: 0.1, counts: [100, 400, 200, 50, 10, 5] },
          })),
        },
      ],
      errors: [],
    },
  };
}

/** A record of an arm, with made-up figures that follow the options. */
export function syntheticRecord(options: World = {}): StudyRecord {
  const {
    setting = "shallow",
    variant = "none",
    seed = 1,
    world = "paper",
    steps = 1000,
    status = "complete",
    withFinal = true,
  } = options;
  // Noise of 2 %, drawn for each seed and variant.
  const draws = randomNormal({
    seed: 1000 * seed + variant.length,
    length: 8,
    standardDeviation: 0.02,
  });
  const stage = (progress: number): Stage => ({
    progress,
    valve: world === "paper" && variant !== "none",
    layers: setting === "shallow" ? 2 : 3,
    first: setting === "deep" ? 1 : 0,
    noise: (at) => 1 + draws[at]!,
  });
  const last = status === "complete" ? steps : steps / 2;
  const marks = Array.from({ length: 11 }, (_, i) => Math.round(last * i / 10));
  const lossAt = (step: number) => 1.5 + 2.5 * Math.exp(-step / 100) + 0.001 * draws[7]!;
  const trajectory: TrajectoryPoint[] = marks.map((step) =>
    trajectoryPoint(measurement(stage(Math.min(1, 1.2 * step / steps)), lossAt(step)), step)
  );
  return {
    schema: STUDY_RECORD_SCHEMA,
    suite: { version: "0.1.0", commit: "0".repeat(40) },
    arm: { setting, variant, seed },
    settings: {
      ...options.onlySettings === true
        ? {}
        : { batch: 8, context: 64, learningRate: 0.003, layers: setting === "shallow" ? 2 : 3 },
      ...options.settings,
    },
    steps,
    status,
    date: "2026-11-25T00:00:00Z",
    adapter: "made up",
    training: { steps: marks.slice(1), losses: marks.slice(1).map(lossAt) },
    positions: POSITIONS,
    trajectory,
    final: withFinal && status === "complete" ? measurement(stage(1), lossAt(steps)) : null,
  };
}

/**
 * Records of the baseline and three V-scale variants, for each seed and each setting in `names`,
 * with paths in one folder.
 */
export function syntheticStudy(
  seeds: readonly number[],
  options: World & { readonly names?: readonly StudySetting[] } = {},
): { path: string; record: StudyRecord }[] {
  const { names = ["shallow"], ...world } = options;
  return seeds.flatMap((seed) =>
    names.flatMap((setting) =>
      (["none", "fixed", "learned", "backward-only"] as const).map((variant) => ({
        path: `made-up/${setting}-${variant}-seed${seed}.json`,
        record: syntheticRecord({ ...world, setting, variant, seed }),
      }))
    )
  );
}
