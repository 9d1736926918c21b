/** Merges the runs of one or many machines, and reports runs that do not belong together. */
import {
  armName,
  STUDY_SETTINGS,
  STUDY_VARIANTS,
  type StudyArm,
  type StudySetting,
  type StudyVariant,
} from "./arms.ts";
import type { StudyRecord } from "./record.ts";

export interface StudyGroup {
  readonly setting: StudySetting;
  /** The records, in the order of seeds; those of one seed in the order of `STUDY_VARIANTS`. */
  readonly records: readonly StudyRecord[];
  /** The variants that have a run, in the order of `STUDY_VARIANTS`. */
  readonly variants: readonly StudyVariant[];
  /** The seeds of all runs, increasing. */
  readonly seeds: readonly number[];
  /** The run settings (steps, learning rate and so on) that all these runs share. */
  readonly settings: StudyRecord["settings"];
}

/** A merged study. */
export interface Study {
  readonly groups: readonly StudyGroup[];
  /**
   * Names of arms without a run in `groups`. Expected are all planned arms and, in each group, each
   * of its variants with each of its seeds.
   */
  readonly missing: readonly string[];
  /** Remarks for the reader, one line each. */
  readonly warnings: readonly string[];
  readonly adapters: readonly string[];
  readonly versions: readonly string[];
}

/** A record and its place. */
export interface NamedRecord {
  readonly path: string;
  readonly record: StudyRecord;
}

/**
 * Merges records. A run counts only if it is complete and has the run settings that are most common
 * in its study setting. If several are equally common, the earliest record's settings decide. If
 * an arm has several complete runs, the first one counts.
 *
 * @param found records, in the order of their folders
 * @param planned names of all planned arms, as far as known
 */
export function mergeStudy(
  found: readonly NamedRecord[],
  planned: readonly string[] = [],
): Study {
  const warnings: string[] = [];
  const arms = new Map<string, NamedRecord>();
  for (const each of found) {
    const name = armName(each.record.arm);
    const other = arms.get(name);
    if (other === undefined) arms.set(name, each);
    else arms.set(name, preferred(name, { first: other, second: each }, warnings));
  }
  const unique = [...arms.values()];
  for (const { path, record } of unique) {
    if (record.status === "complete") continue;
    const at = record.trajectory.at(-1)?.step ?? 0;
    warnings.push(
      `${armName(record.arm)} (${path}) is incomplete, at step ${at} of ${record.steps}: left out`,
    );
  }
  const groups = STUDY_SETTINGS.flatMap((setting) =>
    groupOf(setting, unique.filter(({ record }) => record.arm.setting === setting), warnings) ?? []
  );
  const records = groups.flatMap((group) => group.records);
  const versions = distinct(records.map(({ suite }) => suite.version));
  const commits = distinct(records.map(({ suite }) => suite.commit ?? "unknown"));
  if (versions.length > 1) {
    warnings.push(`runs are of different versions of gradsink: ${versions.join(", ")}`);
  } else if (commits.length > 1) {
    const short = commits.map(shortCommit);
    warnings.push(`runs are of different commits of gradsink: ${short.join(", ")}`);
  }
  const measuring = distinct(
    records.flatMap(({ measuredBy }) =>
      measuredBy === undefined ? [] : measuredBy.commit ?? "unknown"
    ),
  );
  if (measuring.length > 0) {
    warnings.push(
      `trained models were measured by a later commit than the one that trained them: ${
        measuring.map(shortCommit).join(", ")
      }`,
    );
  }
  warnings.push(...groups.flatMap(unevenAdapters));
  return {
    groups,
    missing: missingArms(groups, planned),
    warnings,
    adapters: distinct(records.map(({ adapter }) => adapter)),
    versions,
  };
}

function shortCommit(commit: string): string {
  return commit.replace(/^([0-9a-f]{10})[0-9a-f]+/, "$1");
}

function preferred(
  name: string,
  { first, second }: { readonly first: NamedRecord; readonly second: NamedRecord },
  warnings: string[],
): NamedRecord {
  const [one, two] = [first.record, second.record].map(({ status }) => status === "complete");
  if (!one && two) return second;
  if (!two) return first;
  const same = JSON.stringify(first.record.trajectory) === JSON.stringify(second.record.trajectory);
  warnings.push(
    same
      ? `${name} is there twice with equal figures (${first.path}, ${second.path}): counted once`
      : `${name} is there twice with different figures: ${first.path} counts, ${second.path} does not`,
  );
  return first;
}

function groupOf(
  setting: StudySetting,
  found: readonly NamedRecord[],
  warnings: string[],
): StudyGroup | undefined {
  const complete = found.filter(({ record }) => record.status === "complete");
  if (complete.length === 0) return undefined;
  const common = mostCommonSettings(complete);
  const matched = complete.filter(({ path, record }) => {
    const differences = settingDifferences(common, matchedSettings(record));
    if (differences.length > 0) {
      warnings.push(
        `${armName(record.arm)} (${path}) is left out, its settings differ: ${
          differences.join("; ")
        }`,
      );
    }
    return differences.length === 0;
  }).map(({ record }) => record);
  const order = (record: StudyRecord) => STUDY_VARIANTS.indexOf(record.arm.variant);
  return {
    setting,
    records: matched.toSorted((a, b) => a.arm.seed - b.arm.seed || order(a) - order(b)),
    variants: STUDY_VARIANTS.filter((variant) =>
      matched.some(({ arm }) => arm.variant === variant)
    ),
    seeds: [...new Set(matched.map(({ arm }) => arm.seed))].sort((a, b) => a - b),
    settings: common,
  };
}

function matchedSettings({ settings, steps }: StudyRecord): StudyRecord["settings"] {
  return { ...settings, steps };
}

function mostCommonSettings(found: readonly NamedRecord[]): StudyRecord["settings"] {
  const groups = Map.groupBy(
    found.map(({ record }) => matchedSettings(record)),
    (settings) => JSON.stringify(Object.entries(settings).sort(([a], [b]) => a < b ? -1 : 1)),
  );
  let best: StudyRecord["settings"][] = [];
  for (const [, group] of groups) if (group.length > best.length) best = group;
  return best[0]!;
}

function settingDifferences(
  common: StudyRecord["settings"],
  settings: StudyRecord["settings"],
): string[] {
  const names = [...new Set([...Object.keys(common), ...Object.keys(settings)])];
  return names.flatMap((name) => {
    const [usual, own] = [JSON.stringify(common[name]), JSON.stringify(settings[name])];
    return usual === own
      ? []
      : [`${name} is ${own ?? "not given"}, usually ${usual ?? "not given"}`];
  });
}

function missingArms(groups: readonly StudyGroup[], planned: readonly string[]): string[] {
  const present = new Set(groups.flatMap(({ records }) => records.map(({ arm }) => armName(arm))));
  const grid = groups.flatMap(({ setting, variants, seeds }) =>
    seeds.flatMap((seed) => variants.map((variant): StudyArm => ({ setting, variant, seed })))
  ).map(armName);
  return distinct([...grid, ...planned]).filter((name) => !present.has(name));
}

/** Warns of seeds whose variants ran on different adapters, because adapters round differently. */
function unevenAdapters({ setting, seeds, records }: StudyGroup): string[] {
  return seeds.flatMap((seed) => {
    const adapters = distinct(
      records.filter(({ arm }) => arm.seed === seed).map(({ adapter }) => adapter),
    );
    return adapters.length <= 1
      ? []
      : [`${setting}, seed ${seed}: variants ran on different adapters: ${adapters.join(", ")}`];
  });
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

/** A variant's records, in the order of seeds. */
export function runsOf(group: StudyGroup, variant: StudyVariant): StudyRecord[] {
  return group.records.filter(({ arm }) => arm.variant === variant);
}
