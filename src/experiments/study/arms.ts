/**
 * The study's arms: every variant of the model with every seed in every setting. A setting is a
 * task and a shape of the model, so two arms of one setting differ only in variant and seed.
 */
import {
  type LlamaConfig,
  V_SCALE_VARIANTS,
  type VScaleVariant,
} from "../../reference/llama/config.ts";

/** The study's settings, in the tables' order. */
export const STUDY_SETTINGS = ["shallow", "deep", "text", "text-anchored"] as const;

/** A setting's name. */
export type StudySetting = typeof STUDY_SETTINGS[number];

/** Each setting in a few words. */
export const SETTING_TITLES: Readonly<Record<StudySetting, string>> = {
  shallow: "Bigram-Backcopy, 2 layers, attention in both",
  deep: "Bigram-Backcopy, 3 layers, the sink above an MLP (no attention in layer 0)",
  text: "byte-level text, 4 layers",
  "text-anchored": "byte-level text, 4 layers, the same first token in every sequence",
};

/** Whether a setting trains on text. */
export function isTextSetting(setting: StudySetting): boolean {
  return setting === "text" || setting === "text-anchored";
}

/**
 * How a model differs from the baseline, `none`: by V-scale, an extra logit per query head, or
 * gates on attention.
 */
export type StudyVariant =
  | VScaleVariant
  | "learned-sink"
  | "softmax-off-by-one"
  | "head-gate"
  | "element-gate";

export type StudyIntervention = Pick<LlamaConfig, "vScale" | "sinkLogit" | "attentionGate">;

/** A variant's configuration: `vScale`, and any other field that differs from the baseline's. */
export function interventionOf(variant: StudyVariant): StudyIntervention {
  switch (variant) {
    case "learned-sink":
      return { vScale: "none", sinkLogit: "learned" };
    case "softmax-off-by-one":
      return { vScale: "none", sinkLogit: "zero" };
    case "head-gate":
      return { vScale: "none", attentionGate: "head" };
    case "element-gate":
      return { vScale: "none", attentionGate: "element" };
    default:
      return { vScale: variant };
  }
}

/** One run of the study. */
export interface StudyArm {
  readonly setting: StudySetting;
  readonly variant: StudyVariant;
  readonly seed: number;
}

/** The selection of arms. */
export interface StudySelection {
  readonly settings: readonly StudySetting[];
  readonly variants: readonly StudyVariant[];
  readonly seeds: readonly number[];
}

/** One machine's part of a study: machine `index` of `count`, counted from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** An arm's name, and its folder's: for example `deep-learned-seed3`. */
export function armName({ setting, variant, seed }: StudyArm): string {
  return `${setting}-${variant}-seed${seed}`;
}

/**
 * Lists all arms, seed by seed, so an interrupted study has about the same number of seeds of every
 * variant.
 *
 * @param shard the part for one machine. All variants of a setting and seed stay together, so each
 *   compared pair comes from one adapter
 *
 * @example
 * ```ts
 * import { armName, listArms } from "./arms.ts";
 *
 * const arms = listArms(
 *   { settings: ["shallow", "deep"], variants: ["none", "learned"], seeds: [1, 2] },
 *   { index: 2, count: 3 },
 * );
 * console.log(arms.map(armName)); // ["deep-none-seed1", "deep-learned-seed1"]
 * ```
 */
export function listArms(
  { settings, variants, seeds }: StudySelection,
  shard: Shard = { index: 1, count: 1 },
): StudyArm[] {
  const blocks = seeds.flatMap((seed) => settings.map((setting) => ({ setting, seed })));
  return blocks.filter((_, i) => i % shard.count === shard.index - 1)
    .flatMap((block) => variants.map((variant) => ({ ...block, variant })));
}

/**
 * Reads a list of variants or settings; undefined if a name is unknown or occurs twice.
 *
 * @param text comma-separated names
 * @param known all allowed names; the result has their order
 */
export function parseNames<Name extends string>(
  text: string,
  known: readonly Name[],
): Name[] | undefined {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.some((name) => !known.includes(name as Name));
  if (unknown || new Set(names).size < names.length) return undefined;
  return known.filter((name) => names.includes(name));
}

/** All variants, in the tables' order. */
export const STUDY_VARIANTS: readonly StudyVariant[] = [
  ...V_SCALE_VARIANTS,
  "learned-sink",
  "softmax-off-by-one",
  "head-gate",
  "element-gate",
];

/** More seeds are probably a typing error. */
const MOST_SEEDS = 1000;

/**
 * Reads seeds; undefined for other text.
 *
 * @param text a count such as `5`, for seeds 1 to 5, or a range such as `6-10`
 */
export function parseSeeds(text: string): number[] | undefined {
  const match = /^(?:(\d{1,9})-)?(\d{1,9})$/.exec(text.trim());
  if (match === null) return undefined;
  const first = match[1] === undefined ? 1 : Number(match[1]);
  const last = Number(match[2]);
  if (last < first || last - first >= MOST_SEEDS) return undefined;
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Reads a shard such as `2/8`; undefined for other text. */
export function parseShard(text: string): Shard | undefined {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text.trim());
  if (match === null) return undefined;
  const [index, count] = [Number(match[1]), Number(match[2])];
  return index >= 1 && index <= count ? { index, count } : undefined;
}
