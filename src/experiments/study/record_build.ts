/** Makes a run's record. */
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { SlackDistribution } from "../../sinks/measurement/theory.ts";
import type { MetricsRow, TrainingRow } from "../run/metrics.ts";
import type { RunSettings } from "../run/settings.ts";
import type { StudyArm } from "./arms.ts";
import { STUDY_RECORD_SCHEMA, type StudyRecord } from "./record.ts";
import { matchedSettings } from "./settings.ts";
import { trajectoryPoint } from "./trajectory.ts";

export interface StudyRecordParts {
  readonly arm: StudyArm;
  readonly settings: RunSettings;
  readonly suite: StudyRecord["suite"];
  /** The version of gradsink that measured the trained model, if another version trained it. */
  readonly measuredBy?: StudyRecord["suite"] | undefined;
  readonly adapter: string;
  /** The text's digest; undefined without text. */
  readonly corpus: string | undefined;
  /** All metrics of the run. */
  readonly metrics: readonly MetricsRow[];
  /**
   * The measurement of the trained model, with theory and quantization; undefined if there is none.
   */
  readonly final: SinkMeasurement | undefined;
  /** The time of writing, as RFC 3339. */
  readonly date: string;
}

/** The most losses in a record. */
const CURVE = 100;

/** The most tokens per branch. */
const POINTS = 40;

/**
 * Makes a record.
 *
 * @throws {TypeError} if a measurement has no loss
 */
export function buildStudyRecord(parts: StudyRecordParts): StudyRecord {
  const { arm, settings, suite, measuredBy, adapter, corpus, metrics, final, date } = parts;
  const measured = metrics.filter((row) => row.kind === "measurement");
  const shown = shownSteps(measured.map(({ step }) => step), settings.steps);
  const trajectory = measured.map(({ step, measurement }) => {
    const point = trajectoryPoint(measurement, step);
    return shown.has(step) ? point : { ...point, paths: null };
  });
  const complete = trajectory.at(-1)?.step === settings.steps && final !== undefined;
  return {
    schema: STUDY_RECORD_SCHEMA,
    suite,
    ...measuredBy === undefined ? {} : { measuredBy },
    arm,
    settings: matchedSettings(settings, corpus),
    steps: settings.steps,
    status: complete ? "complete" : "incomplete",
    date,
    adapter,
    training: trainingCurve(metrics.filter((row) => row.kind === "training")),
    positions: measured[0]?.measurement.positions ?? final?.positions ?? [],
    trajectory,
    final: final === undefined ? null : thinned(final),
  };
}

/** A record keeps gradients by position only near the ends of these shares of training. */
export const SHOWN_SHARES = [0.1, 0.4, 1] as const;

/** The measured steps nearest to {@linkcode SHOWN_SHARES} of training, and the last one. */
function shownSteps(steps: readonly number[], total: number): ReadonlySet<number> {
  const nearest = SHOWN_SHARES.flatMap((share) =>
    steps.toSorted((a, b) => Math.abs(a - share * total) - Math.abs(b - share * total))[0] ?? []
  );
  return new Set([...nearest, ...steps.slice(-1)]);
}

/**
 * Joins neighboring rows into at most {@linkcode CURVE} groups. A group's loss is the mean over its
 * steps.
 */
function trainingCurve(rows: readonly TrainingRow[]): StudyRecord["training"] {
  const each = Math.ceil(rows.length / CURVE);
  const steps: number[] = [];
  const losses: number[] = [];
  let before = 0;
  for (let from = 0; from < rows.length; from += each) {
    let total = 0;
    const start = before;
    for (const row of rows.slice(from, from + each)) {
      total += row.loss * (row.step - before);
      before = row.step;
    }
    steps.push(before);
    losses.push(total / (before - start));
  }
  return { steps, losses };
}

/**
 * Drops what no picture or claim needs: the figures of most single tokens, most lists by position,
 * and the histograms of how tight the theory's bounds are.
 */
function thinned(final: SinkMeasurement): SinkMeasurement {
  const { theory } = final;
  return {
    ...final,
    layers: final.layers.map((layer) => ({
      ...layer,
      attention: layer.attention && {
        ...layer.attention,
        gradients: {
          norm: layer.attention.gradients.norm,
          query: [],
          key: [],
          value: [],
          output: [],
        },
        singleNormGradient: [],
        branch: thinnedBranch(layer.attention.branch),
      },
      mlp: { ...layer.mlp, normGradient: [], branch: thinnedBranch(layer.mlp.branch) },
      outputByPosition: [],
    })),
    theory: theory && {
      ...theory,
      checks: theory.checks.map((check) => ({
        ...check,
        // If a check held, the place of its worst case does not matter.
        where: check.violations === 0 ? "" : check.where,
        slack: check.slack.map(withoutBins),
      })),
    },
  };
}

type Branch = SinkMeasurement["layers"][number]["mlp"]["branch"];

/**
 * Reduces a record to the parts that a report needs.
 *
 * @param record a run's record, perhaps a larger one from an earlier version
 * @param options `points`: whether to keep the figures of single tokens, which no claim needs
 */
export function thinRecord(
  record: StudyRecord,
  { points }: { readonly points: boolean },
): StudyRecord {
  if (record.final === null) return record;
  const final = thinned(record.final);
  if (points) return { ...record, final };
  const layers = final.layers.map((layer) => ({
    ...layer,
    attention: layer.attention && {
      ...layer.attention,
      branch: withoutPoints(layer.attention.branch),
    },
    mlp: { ...layer.mlp, branch: withoutPoints(layer.mlp.branch) },
  }));
  return { ...record, final: { ...final, layers } };
}

function withoutPoints(branch: Branch): Branch {
  return {
    ...branch,
    points: { sequence: [], position: [], inputNorm: [], bloat: [], compress: [], change: [] },
  };
}

/**
 * Drops lists by position. Keeps the figures of at most 40 single tokens, of which at most 10
 * are at position 0.
 */
function thinnedBranch(branch: Branch): Branch {
  const { points } = branch;
  const all = [...points.position.keys()];
  const sinks = all.filter((i) => points.position[i] === 0).slice(0, POINTS / 4);
  const others = all.filter((i) => points.position[i] !== 0);
  const every = Math.max(1, Math.ceil(others.length / (POINTS - sinks.length)));
  const kept = [...sinks, ...others.filter((_, i) => i % every === 0)];
  const pick = <Value>(values: readonly Value[]): Value[] => kept.map((i) => values[i]!);
  return {
    ...branch,
    byPosition: { inputNorm: [], bloat: [], compress: [], change: [] },
    points: {
      sequence: pick(points.sequence),
      position: pick(points.position),
      inputNorm: pick(points.inputNorm),
      bloat: pick(points.bloat),
      compress: pick(points.compress),
      change: pick(points.change),
    },
  };
}

function withoutBins(slack: SlackDistribution): SlackDistribution {
  const rough = (values: readonly number[]) => values.map((each) => Number(each.toPrecision(3)));
  return {
    ...slack,
    all: rough(slack.all),
    sink: rough(slack.sink),
    histogram: { ...slack.histogram, counts: [] },
  };
}
