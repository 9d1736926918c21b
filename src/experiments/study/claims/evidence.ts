/**
 * What a claim's verdict rests on: figures over seeds, in pairs where two arms are compared, and
 * tests.
 */
import type { StudyVariant } from "../arms.ts";
import { type Figure, lastMoment, type Moment, momentAtStrength } from "../figures.ts";
import { median } from "../../../statistics/summary.ts";
import { runsOf, type StudyGroup } from "../merge.ts";
import { type SeedSummary, signFlipTest, summarizeSeeds } from "../statistics.ts";

/** All verdicts on a claim, in the order in which they are counted. */
export const CLAIM_VERDICTS = [
  "reproduced",
  "partly",
  "direction only",
  "not reproduced",
  "too few seeds",
  "no data",
] as const;

/** The verdict on a claim. */
export type ClaimVerdict = typeof CLAIM_VERDICTS[number];

/** A one-sided test counts as passed at this level, before correction. */
export const LEVEL = 0.05;

/** The levels of sink strength at which arms are compared, the highest that all reach. */
export const STRENGTHS = [0.9, 0.7, 0.5, 0.3, 0.2] as const;

/** Figures of pairs at one time: after equal steps, or at equal sink strength. */
export type When = "equal step" | "equal sink";

/** A piece of evidence: figures over seeds, and maybe a test. */
export interface Evidence {
  /** What the figure is. */
  readonly label: string;
  /** How its number is to be shown. */
  readonly form: "number" | "ratio" | "nats" | "count";
  readonly summary: SeedSummary;
  /** Where a figure compares two arms: each one's median. */
  readonly arms?: { readonly baseline: number; readonly variant: number };
  /** The one-sided test in the claim's direction. */
  readonly test?: {
    /** What a passed test shows. */
    readonly says: string;
    readonly pValue: number;
    /** The smallest p-value that this number of seeds can reach. */
    readonly least: number;
    /** Corrected over all tests of the study. */
    readonly holm: number;
  };
}

/** Evidence before the correction over the whole study. */
export interface RawEvidence extends Omit<Evidence, "test"> {
  readonly test?: { readonly says: string; readonly pValue: number; readonly least: number };
}

/** What a rule finds. */
export interface RawClaim {
  readonly verdict: ClaimVerdict;
  readonly evidence: readonly RawEvidence[];
  readonly remarks?: readonly string[];
}

/** One-sided: whether values lie above a bound. */
export interface Above {
  /** What a passed test shows. */
  readonly says: string;
  /** Each seed's distance above the bound, in the unit of the test. */
  readonly distances: readonly number[];
}

/** Evidence with its test, for rules to look at. */
export interface Found {
  readonly evidence: RawEvidence;
  readonly median: number | undefined;
  /** True if the test passed; false with too few seeds, or without a test. */
  readonly passed: boolean;
  /** Whether this many seeds can pass the test; true without a test. */
  readonly reachable: boolean;
  readonly count: number;
}

/** Takes figures of one setting's runs. */
export class Evidences {
  readonly group: StudyGroup;

  /** @param group matched runs of one setting */
  constructor(group: StudyGroup) {
    this.group = group;
  }

  /** A figure of a variant at the end of training, one per seed. */
  values(variant: StudyVariant, figure: Figure): number[] {
    return runsOf(this.group, variant).flatMap((record) => {
      const moment = lastMoment(record);
      return moment === undefined ? [] : figure(moment) ?? [];
    });
  }

  /**
   * A figure of pairs with the same seed, the variant's beside the baseline's.
   *
   * @param variant compared with none
   * @param figure which one
   * @param when at the last step, or where both sinks are first at least as strong as a level that
   * all pairs reach (else as many pairs as possible)
   */
  pairs(variant: StudyVariant, figure: Figure, when: When): Pairs {
    const baseline = runsOf(this.group, "none");
    const both = runsOf(this.group, variant).flatMap((record) => {
      const other = baseline.find(({ arm }) => arm.seed === record.arm.seed);
      return other === undefined ? [] : [{ other, record }];
    });
    const at = (moments: (pair: typeof both[number]) => readonly (Moment | undefined)[]) => {
      const found = both.flatMap((pair) => {
        const [before, after] = moments(pair);
        const one = before && figure(before);
        const two = after && figure(after);
        if (one === undefined || two === undefined) return [];
        return [{ baseline: one, variant: two, steps: [before!.point.step, after!.point.step] }];
      });
      const middle = (arm: 0 | 1) => median(found.map(({ steps }) => steps[arm]!)) ?? 0;
      return { pairs: found, steps: [middle(0), middle(1)] as const };
    };
    if (when === "equal step") {
      const taken = at(({ other, record }) => [lastMoment(other), lastMoment(record)]);
      return { ...taken, strength: undefined };
    }
    let best: Pairs = { pairs: [], strength: undefined, steps: [0, 0] };
    for (const strength of STRENGTHS) {
      const taken = at(({ other, record }) => [
        momentAtStrength(other, strength),
        momentAtStrength(record, strength),
      ]);
      if (taken.pairs.length > best.pairs.length) best = { ...taken, strength };
    }
    return best;
  }

  /** Values and whether they lie above a bound. */
  find(
    label: string,
    { form, values, above, pairs = [] }: {
      readonly form: Evidence["form"];
      readonly values: readonly number[];
      readonly above?: Above;
      /** Where the values compare arms. */
      readonly pairs?: Pairs["pairs"];
    },
  ): Found {
    const summary = summarizeSeeds(values);
    const test = above && signFlipTest(above.distances);
    return {
      evidence: {
        label,
        form,
        summary,
        ...pairs.length === 0 ? {} : {
          arms: {
            baseline: median(pairs.map((pair) => pair.baseline))!,
            variant: median(pairs.map((pair) => pair.variant))!,
          },
        },
        ...test === undefined
          ? {}
          : { test: { says: above!.says, pValue: test.greater, least: test.least } },
      },
      median: summary.median,
      passed: test !== undefined && test.greater <= LEVEL,
      reachable: test === undefined || test.least <= LEVEL,
      count: values.length,
    };
  }

  /** How many times as large the baseline's figure is: above 1 where the variant lowers it. */
  lowered(
    label: string,
    { variant, figure, when }: {
      readonly variant: StudyVariant;
      readonly figure: Figure;
      readonly when: When;
    },
  ): Found {
    const { pairs, strength, steps } = this.pairs(variant, figure, when);
    const known = pairs.filter((pair) => pair.baseline > 0 && pair.variant > 0);
    const time = when === "equal step"
      ? "at equal step"
      : strength === undefined
      ? "at equal sink strength"
      : `where the sink first reaches ${strength} (median steps ${steps[0]} and ${steps[1]})`;
    return this.find(`${label}, baseline ÷ variant, ${time}`, {
      form: "ratio",
      values: known.map((pair) => pair.baseline / pair.variant),
      pairs: known,
      above: {
        says: "the variant's is lower",
        distances: known.map((pair) => Math.log(pair.baseline / pair.variant)),
      },
    });
  }
}

/** Figures of pairs with the same seed. */
export interface Pairs {
  readonly pairs: readonly { readonly baseline: number; readonly variant: number }[];
  /** The level of sink strength at which they were taken. */
  readonly strength: number | undefined;
  /** The median step of the baseline's moments, and of the variant's. */
  readonly steps: readonly [baseline: number, variant: number];
}
