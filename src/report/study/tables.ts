/**
 * The study's tables: claims with verdicts, the evidence behind them, variants, onsets, settings.
 */
import type { ClaimResult } from "../../experiments/study/claims/judge.ts";
import type { Evidence } from "../../experiments/study/claims/evidence.ts";
import type { StudyVariant } from "../../experiments/study/arms.ts";
import {
  bloat,
  compressSlope,
  type Figure,
  gateOpening,
  gateOpeningAtSink,
  gradientSinkRatio,
  lastMoment,
  mlpNorm,
  onset,
  oracleGap,
  quantizationLoss,
  residualNorm,
  residualRatio,
  sinkGradient,
  sinkInput,
  sinkLogitShare,
  sinkStrength,
  validationLoss,
  valueNormRatio,
  valueOverKey,
} from "../../experiments/study/figures.ts";
import { runsOf, type Study, type StudyGroup } from "../../experiments/study/merge.ts";
import { type SeedSummary, summarizeSeeds } from "../../experiments/study/statistics.ts";
import { formatProbability, NO_DATA } from "../format.ts";
import { numberColumns, type Table, textColumns } from "../table.ts";
import { absence, headline, verdictCell } from "./verdicts.ts";

/** The variants' names in tables and pictures. */
export const VARIANT_NAMES: Readonly<Record<StudyVariant, string>> = {
  none: "baseline",
  fixed: "V-scale, fixed",
  learned: "V-scale, learned",
  "backward-only": "V-scale, backward only",
  "learned-sink": "learned sink",
  "softmax-off-by-one": "softmax-off-by-one",
  "head-gate": "gate per head",
  "element-gate": "gate per element",
};

/** Writes a figure: about three digits, ratios with ×, losses in nats with four decimals. */
export function formatFigure(value: number | undefined, form: Evidence["form"]): string {
  if (value === undefined) return NO_DATA;
  if (form === "ratio") return `${formatFigure(value, "number")}×`;
  const sign = value < 0 ? "−" : "";
  if (form === "count") return `${sign}${Math.round(Math.abs(value))}`;
  const size = Math.abs(value);
  if (form === "nats") return size < 0.00005 ? "0.0000" : sign + size.toFixed(4);
  if (size === 0) return "0";
  if (size >= 9999.5 || size < 0.001) {
    return sign + size.toExponential(1).replace("e+", "e").replace("e-", "e−");
  }
  return sign + (size >= 99.95 ? size.toFixed(0) : Number(size.toPrecision(3)).toString());
}

/** Writes a median with its interval, such as `15.5 (5.2 to 21.9)`. */
export function formatSummary(
  { median, interval }: SeedSummary,
  form: Evidence["form"],
): string {
  const center = formatFigure(median, form);
  if (median === undefined || interval === undefined) return center;
  return `${center} (${formatFigure(interval.low, form)} to ${formatFigure(interval.high, form)})`;
}

/**
 * Writes a piece of evidence. If it compares arms, the medians of the baseline and the variant come
 * first.
 *
 * @returns for example `92.1 → 45.8: 2.04× (1.99× to 2.37×)`
 */
export function formatEvidence({ summary, form, arms }: Omit<Evidence, "test">): string {
  const text = formatSummary(summary, form);
  if (arms === undefined) return text;
  const each = form === "nats" ? "nats" : "number";
  return `${formatFigure(arms.baseline, each)} → ${formatFigure(arms.variant, each)}: ${text}`;
}

/** One row per claim and setting. */
export function claimTable(claims: readonly ClaimResult[]): Table {
  return {
    columns: [
      ...textColumns("claim", "setting", "verdict", "here: median (interval) over seeds"),
      ...numberColumns("seeds", "p"),
      { title: "paper" },
    ],
    rows: claims.map((claim) => {
      const best = headline(claim);
      return [
        claim.title,
        claim.setting,
        verdictCell(claim.verdict),
        absence(claim) ??
          (best === undefined ? NO_DATA : `${best.label}: ${formatEvidence(best)}`),
        String(best?.summary.count ?? 0),
        best?.test === undefined ? "" : formatProbability(best.test.pValue),
        claim.paper,
      ];
    }),
  };
}

/** One row per piece of evidence, with p-values before and after correction. */
export function evidenceTable(claims: readonly ClaimResult[]): Table {
  return {
    caption:
      "All figures behind the verdicts. p comes from a one-sided, exact sign-flip test over seeds. " +
      "Holm's correction covers all tests on this page.",
    columns: [
      ...textColumns("claim", "setting", "figure"),
      { title: "seeds", align: "right" },
      ...textColumns("median (interval)", "tested: is it so that"),
      ...numberColumns("p", "Holm"),
    ],
    rows: claims.flatMap(({ id, setting, evidence }) =>
      evidence.map(({ test, ...figure }) => [
        id,
        setting,
        figure.label,
        String(figure.summary.count),
        formatEvidence(figure),
        test?.says ?? "",
        test === undefined ? "" : formatProbability(test.pValue),
        test === undefined ? "" : formatProbability(test.holm),
      ])
    ),
  };
}

interface NamedFigure {
  readonly name: string;
  readonly figure: Figure;
  readonly form: Evidence["form"];
  /**
   * Whether only some variants have this figure. Its row is left out if no run of the group has a
   * value for it.
   */
  readonly ofSome?: true;
}

const figures: readonly NamedFigure[] = [
  { name: "sink strength, sink layer", figure: sinkStrength, form: "number" },
  { name: "share of the sink’s logit", figure: sinkLogitShare, form: "number", ofSome: true },
  { name: "gates’ mean opening", figure: gateOpening, form: "number", ofSome: true },
  { name: "gates’ opening at token 0", figure: gateOpeningAtSink, form: "number", ofSome: true },
  { name: "R_GS(0), median over layers", figure: gradientSinkRatio, form: "number" },
  { name: "‖∇h̃_0‖, sink layer", figure: sinkGradient, form: "number" },
  { name: "‖∇v_0‖ / ‖∇k_0‖", figure: valueOverKey, form: "number" },
  { name: "‖v_0‖ against early tokens", figure: valueNormRatio, form: "number" },
  { name: "Bloat of token 0, sink layer", figure: bloat, form: "number" },
  { name: "slope of Compress", figure: compressSlope, form: "number" },
  { name: "‖h_in‖ of token 0, sink layer", figure: sinkInput, form: "number" },
  { name: "‖h_0‖, largest over layers", figure: residualNorm, form: "number" },
  { name: "‖h_0‖ against early tokens, largest", figure: residualRatio, form: "number" },
  { name: "‖r_mlp‖ of token 0, largest", figure: mlpNorm, form: "number" },
  { name: "validation loss, nats", figure: validationLoss, form: "nats" },
  { name: "validation loss above the oracle's, nats", figure: oracleGap, form: "nats" },
  {
    name: "loss increase, static int8, down projections",
    figure: quantizationLoss("down-projections", "static-tensor"),
    form: "nats",
  },
  {
    name: "loss increase, static int8, all linears",
    figure: quantizationLoss("all-linears", "static-tensor"),
    form: "nats",
  },
  {
    name: "loss increase, dynamic int8, all linears",
    figure: quantizationLoss("all-linears", "dynamic-token"),
    form: "nats",
  },
];

/** At the end of training. */
export function variantTable(group: StudyGroup): Table {
  const rows = figures.map(({ name, figure, form, ofSome }) => ({
    name,
    form,
    ofSome,
    values: group.variants.map((variant) =>
      runsOf(group, variant).flatMap((record) => {
        const moment = lastMoment(record);
        return moment === undefined ? [] : figure(moment) ?? [];
      })
    ),
  }));
  return {
    caption: `After ${group.settings.steps} steps: median over seeds, and its interval.`,
    columns: [
      { title: "figure" },
      ...numberColumns(
        ...group.variants.map((variant) =>
          `${VARIANT_NAMES[variant]}, ${runsOf(group, variant).length} seeds`
        ),
      ),
    ],
    rows: rows.filter(({ ofSome, values }) => !ofSome || values.some(({ length }) => length > 0))
      .map(({ name, form, values }) => [
        name,
        ...values.map((each) => formatSummary(summarizeSeeds(each), form)),
      ]),
  };
}

export interface Onset {
  readonly name: string;
  readonly figure: Figure;
  readonly level: number;
}

/** The onsets that the study looks for. An onset is when a figure first reaches a level. */
export const ONSETS: readonly Onset[] = [
  { name: "sink ≥ 0.2", figure: sinkStrength, level: 0.2 },
  { name: "sink ≥ 0.3", figure: sinkStrength, level: 0.3 },
  { name: "sink ≥ 0.5", figure: sinkStrength, level: 0.5 },
  { name: "sink ≥ 0.9", figure: sinkStrength, level: 0.9 },
  { name: "R_GS(0) ≥ 5", figure: gradientSinkRatio, level: 5 },
  {
    name: "value drain ≤ 0.5",
    figure: (moment) => {
      const ratio = valueNormRatio(moment);
      return ratio === undefined ? undefined : -ratio;
    },
    level: -0.5,
  },
  { name: "‖h_0‖ ≥ 2 × early tokens", figure: residualRatio, level: 2 },
];

/** For each onset, the first measured step at which its figure reaches its level. */
export function onsetTable(group: StudyGroup): Table {
  return {
    caption:
      "The first measured step that reaches a level: the median over the seeds that reach it, and " +
      "their range. Nothing is interpolated between measurements.",
    columns: [
      { title: "onset of" },
      ...numberColumns(...group.variants.map((variant) => VARIANT_NAMES[variant])),
    ],
    rows: ONSETS.map(({ name, figure, level }) => [
      name,
      ...group.variants.map((variant) => {
        const runs = runsOf(group, variant);
        const steps = runs.flatMap((record) => onset(record, figure, level) ?? []);
        if (steps.length === 0) return `never (0 of ${runs.length})`;
        const range = steps.length === 1 ? "" : ` (${Math.min(...steps)} to ${Math.max(...steps)})`;
        return `${formatFigure(summarizeSeeds(steps).median, "count")}${range}, ` +
          `${steps.length} of ${runs.length}`;
      }),
    ]),
  };
}

/** The run settings that all arms of a study setting share: one column per study setting. */
export function settingsTable({ groups }: Study): Table {
  const names = [...new Set(groups.flatMap(({ settings }) => Object.keys(settings)))];
  return {
    caption:
      "Settings that all arms of a column share. Arms differ in their variant and seed only.",
    columns: [
      { title: "setting" },
      ...numberColumns(...groups.map(({ setting }) => setting)),
    ],
    rows: names.map((name) => [
      name,
      ...groups.map(({ settings }) => {
        const value = settings[name];
        if (value === undefined || value === null) return "–";
        return Array.isArray(value)
          ? (value.length === 0 ? "none" : value.join(", "))
          : String(value);
      }),
    ]),
  };
}
