/**
 * Judges the paper's claims by rules, from measurements over seeds. No verdict is set by hand, and
 * missing data has its own verdict.
 *
 * `claim()` in rule.ts turns a rule's outcome into a verdict, the same way for all claims but the
 * theory's: "reproduced" if the rule holds, "partly" if it does not but one of its tests passes,
 * "direction only" if no test passes but the medians point the claim's way, else "not reproduced".
 *
 * A test passes if the one-sided sign-flip test over seeds gives p ≤ 0.05. With fewer than 5 seeds
 * it cannot pass; claims that need tests are then not judged.
 *
 * The paper: Chen, Lin and Yao, arXiv 2603.17771.
 */
import { holm } from "../../../statistics/significance.ts";
import type { StudySetting } from "../arms.ts";
import { median } from "../../../statistics/summary.ts";
import { type ClaimRule, WEAK_SINK } from "./rule.ts";
import { baselineRules } from "./baseline.ts";
import { quantizationRules } from "./quantization.ts";
import { theoryRules } from "./theory.ts";
import { variantRules } from "./variants.ts";
import { type ClaimVerdict, type Evidence, Evidences, type RawClaim } from "./evidence.ts";
import { sinkStrength } from "../figures.ts";
import type { Study, StudyGroup } from "../merge.ts";

/** All claims, in the tables' order. */
export const CLAIM_RULES: readonly ClaimRule[] = [
  ...baselineRules,
  ...variantRules("learned"),
  ...variantRules("backward-only"),
  ...quantizationRules,
  ...theoryRules,
];

export interface ClaimResult {
  readonly id: string;
  readonly title: string;
  readonly setting: StudySetting;
  readonly verdict: ClaimVerdict;
  readonly paper: string;
  /** In words: what "reproduced" requires and, for most claims, what lesser verdicts require. */
  readonly rule: string;
  readonly evidence: readonly Evidence[];
  /** Why there is no data, or the limits of the evidence. */
  readonly remarks: readonly string[];
}

/** Judges a claim. A claim about a sink is not judged if no sink formed. */
function judge(rule: ClaimRule, evidences: Evidences): RawClaim {
  const found = rule.judge(evidences);
  const strengths = (rule.sinkOf ?? []).flatMap((variant) =>
    median(evidences.values(variant, sinkStrength)) ?? []
  );
  if (strengths.length === 0 || strengths.some((strength) => strength >= WEAK_SINK)) return found;
  return {
    verdict: "no data",
    evidence: found.evidence.map(({ test: _, ...figure }) => figure),
    remarks: [`no sink formed: its median strength is below ${WEAK_SINK} in every arm compared`],
  };
}

export function judgeClaims(study: Study): ClaimResult[] {
  const raw = study.groups.flatMap((group) =>
    CLAIM_RULES.map((rule): { rule: ClaimRule; group: StudyGroup; claim: RawClaim } => ({
      rule,
      group,
      claim: judge(rule, new Evidences(group)),
    }))
  );
  const corrected = holm(
    raw.flatMap(({ claim }) => claim.evidence.map(({ test }) => test?.pValue)),
  );
  let at = 0;
  return raw.map(({ rule, group, claim }) => ({
    id: rule.id,
    title: rule.title,
    setting: group.setting,
    verdict: claim.verdict,
    paper: rule.paper,
    rule: rule.rule,
    evidence: claim.evidence.map(({ test, ...evidence }) => {
      const adjusted = corrected[at++];
      return test === undefined ? evidence : { ...evidence, test: { ...test, holm: adjusted! } };
    }),
    remarks: claim.remarks ?? [],
  }));
}
