/**
 * The effect of each intervention on the chain from attention sink to massive activation. For every
 * link, pairs a variant's runs with the baseline's runs of equal seed, and judges by a rule.
 */
import { holm } from "../../statistics/significance.ts";
import { median } from "../../statistics/summary.ts";
import { STUDY_VARIANTS, type StudyVariant } from "./arms.ts";
import { CHAIN_LINKS, type ChainLink, expectation } from "./chain/links.ts";
import { Evidences, LEVEL } from "./claims/evidence.ts";
import { lastMoment, type Moment, momentAtStrength, sinkStrength } from "./figures.ts";
import { runsOf, type StudyGroup } from "./merge.ts";
import type { StudyRecord } from "./record.ts";
import { type SeedSummary, signFlipTest, summarizeSeeds } from "./statistics.ts";

export { CHAIN_LINKS, type ChainLink } from "./chain/links.ts";

/** In the tables' order. */
export const CHAIN_MOMENTS = ["equal step", "equal loss", "equal sink"] as const;

export type ChainMoment = typeof CHAIN_MOMENTS[number];

export type ChainVerdict =
  | "broken"
  | "weaker"
  | "no change shown"
  | "stronger"
  | "too few seeds"
  | "no data";

/** A link is broken if a test shows that it weakens by more than this factor. */
export const BREAK = 2;

/** The rule, in words. */
export const CHAIN_RULE =
  `Arms are compared with the baseline in pairs of equal seed. A link is weaker or stronger if the ` +
  `two-sided sign-flip test over seeds passes at ${LEVEL}. It is broken if a one-sided test also shows ` +
  `that it weakens by more than a factor of ${BREAK}. Value drain weakens when the norm rises, every ` +
  "other link when its figure falls. Outcomes are compared by differences and called lower or higher.";

/** One intervention's effect on one link. */
export interface ChainCell {
  readonly link: ChainLink;
  readonly variant: StudyVariant;
  readonly moment: ChainMoment;
  /** The median of the baseline's figures; undefined without pairs. */
  readonly baseline: number | undefined;
  /** The median of the variant's figures; undefined without pairs. */
  readonly figure: number | undefined;
  /**
   * The summary over pairs of variant ÷ baseline, or of variant − baseline for a link that is
   * compared by difference.
   */
  readonly effect: SeedSummary;
  /** The two-sided sign-flip test for a change of the figure; undefined without pairs. */
  readonly test?: { readonly pValue: number; readonly holm: number };
  readonly verdict: ChainVerdict;
  /**
   * Whether the verdict at equal step is what the papers expect. Undefined at other moments, or if
   * the papers or the data say nothing.
   */
  readonly expected: "as expected" | "not reproduced" | "against the theory" | undefined;
  /** Why there is no data, or the sink strength at which the arms are compared. */
  readonly remark: string | undefined;
}

/** The chain in one setting. */
export interface Chain {
  readonly cells: readonly ChainCell[];
  /** The seeds for which every variant has a run. Only runs of these seeds are compared. */
  readonly seeds: readonly number[];
  /** The seeds for which at least one variant has no run. */
  readonly without: readonly number[];
}

/**
 * Compares every arm with the baseline.
 *
 * @param group one setting's matched runs
 * @returns no cells if the baseline is missing or there is no other variant
 */
export function chainOf(group: StudyGroup): Chain {
  const shared = group.seeds.filter((seed) =>
    group.variants.every((variant) =>
      group.records.some(({ arm }) => arm.variant === variant && arm.seed === seed)
    )
  );
  const own: StudyGroup = {
    ...group,
    records: group.records.filter(({ arm }) => shared.includes(arm.seed)),
  };
  const variants = STUDY_VARIANTS.filter((variant) =>
    variant !== "none" && group.variants.includes(variant)
  );
  const raw = !group.variants.includes("none")
    ? []
    : CHAIN_MOMENTS.flatMap((moment) =>
      variants.flatMap((variant) =>
        CHAIN_LINKS.map((link) => compare(own, { link, variant, moment }))
      )
    );
  const corrected = holm(raw.map(({ pValue }) => pValue));
  const cells = raw.map(({ pValue, ...cell }, i): ChainCell => ({
    ...cell,
    ...pValue === undefined ? {} : { test: { pValue, holm: corrected[i]! } },
  }));
  return { cells, seeds: shared, without: group.seeds.filter((seed) => !shared.includes(seed)) };
}

interface Place {
  readonly link: ChainLink;
  readonly variant: StudyVariant;
  readonly moment: ChainMoment;
}

function compare(
  group: StudyGroup,
  place: Place,
): Omit<ChainCell, "test"> & { readonly pValue: number | undefined } {
  const { link, variant, moment } = place;
  const { pairs, remark } = pairsOf(group, place);
  const known = link.compared === "difference"
    ? pairs
    : pairs.filter((pair) => pair.baseline > 0 && pair.variant > 0);
  const quotient = link.compared === "quotient";
  const effects = known.map((pair) =>
    quotient ? pair.variant / pair.baseline : pair.variant - pair.baseline
  );
  // `given` is positive where the link weakens.
  const sign = link.gives === "lower" ? -1 : 1;
  const given = effects.map((effect) => sign * (quotient ? Math.log(effect) : effect));
  const changed = signFlipTest(given);
  const broken = quotient
    ? signFlipTest(given.map((each) => each - Math.log(BREAK)))?.greater
    : undefined;
  const verdict = verdictOf({
    twoSided: changed?.twoSided,
    least: changed && Math.min(1, 2 * changed.least),
    giving: (changed?.greater ?? 1) < (changed?.less ?? 1),
    broken: broken !== undefined && broken <= LEVEL,
  });
  return {
    link,
    variant,
    moment,
    baseline: median(known.map((pair) => pair.baseline)),
    figure: median(known.map((pair) => pair.variant)),
    effect: summarizeSeeds(effects),
    pValue: changed?.twoSided,
    verdict,
    expected: moment === "equal step" ? outcomeOf(place, verdict) : undefined,
    remark,
  };
}

function verdictOf(
  { twoSided, least, giving, broken }: {
    readonly twoSided: number | undefined;
    readonly least: number | undefined;
    readonly giving: boolean;
    readonly broken: boolean;
  },
): ChainVerdict {
  if (twoSided === undefined || least === undefined) return "no data";
  if (least > LEVEL) return "too few seeds";
  if (twoSided > LEVEL) return "no change shown";
  if (!giving) return "stronger";
  return broken ? "broken" : "weaker";
}

function outcomeOf({ variant, link }: Place, verdict: ChainVerdict): ChainCell["expected"] {
  const wanted = expectation(variant, link);
  if (wanted === undefined || verdict === "no data" || verdict === "too few seeds") {
    return undefined;
  }
  const gave = verdict === "broken" || verdict === "weaker";
  if (wanted === "holds") return gave ? "against the theory" : "as expected";
  if (gave) return "as expected";
  return verdict === "stronger" ? "against the theory" : "not reproduced";
}

interface FigurePairs {
  readonly pairs: readonly { readonly baseline: number; readonly variant: number }[];
  readonly remark: string | undefined;
}

function pairsOf(group: StudyGroup, { link, variant, moment }: Place): FigurePairs {
  // Find the moments from the sink strength alone, so they are the same for all links.
  const equal = moment === "equal sink"
    ? new Evidences(group).pairs(variant, sinkStrength, moment)
    : undefined;
  const strength = equal?.strength;
  if (equal !== undefined && strength === undefined) {
    return { pairs: [], remark: "the arms never reach a common sink strength" };
  }
  const baselines = runsOf(group, "none");
  const pairs = runsOf(group, variant).flatMap((record) => {
    const other = baselines.find(({ arm }) => arm.seed === record.arm.seed);
    if (other === undefined) return [];
    const moments = strength !== undefined
      ? [momentAtStrength(other, strength), momentAtStrength(record, strength)]
      : moment === "equal step"
      ? [lastMoment(other), lastMoment(record)]
      : equalLoss(other, record);
    const [before, after] = moments.map((each) => each && link.figure(each));
    return before === undefined || after === undefined
      ? []
      : [{ baseline: before, variant: after }];
  });
  if (pairs.length > 0) {
    const steps = equal?.steps ?? [];
    return {
      pairs,
      remark: equal &&
        `sinks first reach ${strength} at step ${steps[0]} and ${steps[1]} (medians)`,
    };
  }
  return {
    pairs,
    remark: moment === "equal step" ? "not measured in these arms" : "measured at the end only",
  };
}

/** For each of two runs, the moment it first reaches the higher of the two lowest losses. */
function equalLoss(one: StudyRecord, two: StudyRecord): (Moment | undefined)[] {
  const lowest = ({ trajectory }: StudyRecord) =>
    trajectory.reduce((least, { loss }) => Math.min(least, loss), Infinity);
  const level = Math.max(lowest(one), lowest(two));
  return [one, two].map((record) => {
    const point = record.trajectory.find(({ loss }) => loss <= level);
    return point && { record, point };
  });
}

/** For one intervention, the links by verdict and by how they compare with the papers. */
export interface ChainSummary {
  readonly variant: StudyVariant;
  readonly broken: readonly ChainLink[];
  readonly weaker: readonly ChainLink[];
  readonly stronger: readonly ChainLink[];
  readonly notReproduced: readonly ChainLink[];
  readonly against: readonly ChainLink[];
}

/** Summarizes each intervention's verdicts at equal step. */
export function summarizeChain({ cells }: Chain): ChainSummary[] {
  const own = cells.filter(({ moment }) => moment === "equal step");
  return [...new Set(own.map(({ variant }) => variant))].map((variant) => {
    const of = (holds: (cell: ChainCell) => boolean) =>
      own.filter((cell) => cell.variant === variant && holds(cell)).map(({ link }) => link);
    return {
      variant,
      broken: of(({ verdict }) => verdict === "broken"),
      weaker: of(({ verdict }) => verdict === "weaker"),
      stronger: of(({ verdict }) => verdict === "stronger"),
      notReproduced: of(({ expected }) => expected === "not reproduced"),
      against: of(({ expected }) => expected === "against the theory"),
    };
  });
}
