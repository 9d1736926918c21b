/**
 * The claims of the paper, with the rule by which a verdict follows from figures over seeds.
 *
 * The paper: Chen, Lin and Yao, arXiv 2603.17771. "Test passed" is a one-sided exact sign-flip test
 * at 0.05 over seeds. With fewer than 5 seeds it cannot pass; a claim that rests on tests is not
 * judged then.
 */
import { baselineRules } from "./baseline.ts";
import type { ClaimRule } from "./rule.ts";
import { quantizationRules } from "./quantization.ts";
import { theoryRules } from "./theory.ts";
import { variantRules } from "./variants.ts";

/** All claims, in the order in which tables show them. */
export const CLAIM_RULES: readonly ClaimRule[] = [
  ...baselineRules,
  ...variantRules("learned"),
  ...variantRules("backward-only"),
  ...quantizationRules,
  ...theoryRules,
];
