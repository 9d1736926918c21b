/** Verdicts on the study's claims: their signs, colors, meanings and counts. */
import type { ClaimResult } from "../../experiments/study/claims/judge.ts";
import {
  CLAIM_VERDICTS,
  type ClaimVerdict,
  type Evidence,
  LEVEL,
} from "../../experiments/study/claims/evidence.ts";
import { LEAST_SEEDS } from "../../experiments/study/claims/rule.ts";
import type { Cell, Tone } from "../table.ts";

/** How a verdict looks to readers. */
interface VerdictForm {
  /** Tells verdicts apart without color. */
  readonly sign: string;
  readonly tone: Tone;
  readonly meaning: string;
}

/** The form of every verdict. */
export const VERDICT_FORMS: Readonly<Record<ClaimVerdict, VerdictForm>> = {
  reproduced: { sign: "✓", tone: "good", meaning: "the rule holds" },
  partly: {
    sign: "◐",
    tone: "unsure",
    meaning: `the rule fails, but one of its tests passes at ${LEVEL}`,
  },
  "direction only": {
    sign: "↗",
    tone: "unsure",
    meaning: "no test passes; the medians point the claimed way, perhaps by chance",
  },
  "not reproduced": {
    sign: "✗",
    tone: "bad",
    meaning: "no test passes, and a median points the other way",
  },
  "too few seeds": {
    sign: "…",
    tone: "faint",
    meaning: `not judged: with fewer than ${LEAST_SEEDS} seeds no test can pass`,
  },
  "no data": {
    sign: "–",
    tone: "faint",
    meaning: "not judged: a figure is missing, or the claim is about a sink and none formed",
  },
};

/** In words and in color. */
export function verdictCell(verdict: ClaimVerdict): Cell {
  return { text: verdict, tone: VERDICT_FORMS[verdict].tone };
}

/** The evidence for a claim's row: the first piece that has a test, or else the very first. */
export function headline({ evidence }: ClaimResult): Evidence | undefined {
  return evidence.find(({ test }) => test !== undefined) ?? evidence[0];
}

/** For a claim with the verdict "no data", the reason in a few words; else undefined. */
export function absence({ verdict, remarks }: ClaimResult): string | undefined {
  return verdict === "no data" ? remarks[0]?.split(":")[0] : undefined;
}

/** Counts the claims of each verdict that occurs, in the order of `CLAIM_VERDICTS`. */
export function verdictCounts(
  claims: readonly ClaimResult[],
): { readonly verdict: ClaimVerdict; readonly count: number }[] {
  return CLAIM_VERDICTS.map((verdict) => ({
    verdict,
    count: claims.filter((claim) => claim.verdict === verdict).length,
  })).filter(({ count }) => count > 0);
}

const isJudged = (verdict: ClaimVerdict) => verdict !== "too few seeds" && verdict !== "no data";

/** Counts the claims by verdict, such as `7 reproduced, 2 partly; not judged: 3 too few seeds`. */
export function tally(claims: readonly ClaimResult[]): string {
  const counts = verdictCounts(claims);
  const words = (judged: boolean) =>
    counts.filter(({ verdict }) => isJudged(verdict) === judged)
      .map(({ verdict, count }) => `${count} ${verdict}`).join(", ");
  const [judged, rest] = [words(true), words(false)];
  if (rest === "") return judged || "no claims";
  return judged === "" ? `no claim judged: ${rest}` : `${judged}; not judged: ${rest}`;
}

/**
 * Explains every verdict that occurs. If a claim compares arms, also explains how to read its
 * figure. Each string is one sentence without a period.
 */
export function verdictLegend(claims: readonly ClaimResult[]): string[] {
  const compares = claims.some((claim) => headline(claim)?.arms !== undefined);
  return [
    ...verdictCounts(claims).map(({ verdict }) => {
      const { sign, meaning } = VERDICT_FORMS[verdict];
      return `${sign} ${verdict}: ${meaning}`;
    }),
    ...compares
      ? [
        "a → b: c (low to high): a and b are the medians of baseline and variant; c is the median of " +
        "all pairs' differences or ratios, with its interval, not the difference or ratio of a and b",
      ]
      : [],
  ];
}
