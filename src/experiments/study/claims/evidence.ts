/**
 * The evidence for a claim's verdict: figures over seeds, in pairs if two arms are compared, and
 * tests.
 */
import type { StudyVariant } from "../arms.ts";
import { type Figure, lastMoment, type Moment, momentAtStrength } from "../figures.ts";
import { median } from "../../../statistics/summary.ts";
import { runsOf, type StudyGroup } from "../merge.ts";
import { type SeedSummary, signFlipTest, summarizeSeeds } from "../statistics.ts";

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

/** A test passes if its p-value, before correction, is at most this. */
export const LEVEL = 0.05;

/**
 * The sink strengths at which two arms can be compared. The comparison takes the strength that the
 * largest number of pairs reach; at a tie, the highest such strength.
 */
export const STRENGTHS = [0.9, 0.7, 0.5, 0.3, 0.2] as const;

/** When pairs are compared: at the last step, or at equal sink strength. */
export type When = "equal step" | "equal sink";

export interface Evidence {
  /** The figure's name. */
  readonly label: string;
  /** How to write the figure. */
  readonly form: "number" | "ratio" | "nats" | "count";
  readonly summary: SeedSummary;
  /** Medians, if the figure compares two arms. */
  readonly arms?: { readonly baseline: number; readonly variant: number };
  /** The one-sided test in the claim's direction. */
  readonly test?: {
    /** What the test shows if it passes, for example "above 0.2". */
    readonly says: string;
    readonly pValue: number;
    /** The smallest p-value that this many seeds can give. */
    readonly least: number;
    /** The p-value after Holm's correction over the study's tests. */
    readonly holm: number;
  };
}

/** Evidence whose p-value is not corrected. */
export interface RawEvidence extends Omit<Evidence, "test"> {
  readonly test?: { readonly says: string; readonly pValue: number; readonly least: number };
}

/** The result of a rule. */
export interface RawClaim {
  readonly verdict: ClaimVerdict;
  readonly evidence: readonly RawEvidence[];
  readonly remarks?: readonly string[];
}

/** A one-sided test: whether values lie above a bound. */
export interface Above {
  /** What the test shows if it passes, for example "above 0.2". */
  readonly says: string;
  /** How far each seed's value lies above the bound: differences, or logarithms of quotients. */
  readonly distances: readonly number[];
}

/** Evidence and its test, for rules. */
export interface Found {
  readonly evidence: RawEvidence;
  readonly median: number | undefined;
  /** True if the test passed; false without a test or with too few seeds. */
  readonly passed: boolean;
  /** False if this number of seeds is too small for the test to pass. */
  readonly reachable: boolean;
  readonly count: number;
}

/** Collects figures of one setting's runs. */
export class Evidences {
  readonly group: StudyGroup;

  /** @param group one setting's matched runs */
  constructor(group: StudyGroup) {
    this.group = group;
  }

  /** A variant's figure at the end of training: one number per seed with data. */
  values(variant: StudyVariant, figure: Figure): number[] {
    return runsOf(this.group, variant).flatMap((record) => {
      const moment = lastMoment(record);
      return moment === undefined ? [] : figure(moment) ?? [];
    });
  }

  /**
   * A figure of the baseline and of the variant, in pairs of runs with equal seeds.
   *
   * @param when at the last step; or at the steps where each run's sink first reaches a common
   *   strength, one of {@linkcode STRENGTHS}
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

  /** Summarizes values. If `above` is given, also tests whether they lie above its bound. */
  find(
    label: string,
    { form, values, above, pairs = [] }: {
      readonly form: Evidence["form"];
      readonly values: readonly number[];
      readonly above?: Above;
      /** Pairs from which the values were computed. */
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

  /** Tests whether a variant lowers a figure: baseline ÷ variant is then above 1. */
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

export interface Pairs {
  readonly pairs: readonly { readonly baseline: number; readonly variant: number }[];
  /** The sink strength of the comparison; undefined at equal step or without a common strength. */
  readonly strength: number | undefined;
  /** The median steps at which the figures were taken. */
  readonly steps: readonly [baseline: number, variant: number];
}
