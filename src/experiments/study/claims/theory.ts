/** The rule of the theory's claim. */
import type { ClaimRule } from "./rule.ts";
import type { RawClaim } from "./evidence.ts";
import { lastMoment } from "../figures.ts";
import { summarizeSeeds } from "../statistics.ts";

/** The only rule: it covers every comparison with the theory in every run. */
export const theoryRules: readonly ClaimRule[] = [
  {
    id: "theory",
    title: "The exact identities and bounds hold on the trained models",
    paper: "theorems",
    rule:
      "Reproduced if rounding explains the error of every comparison in every run; otherwise not.",
    judge({ group }) {
      const moments = group.records.flatMap((record) => lastMoment(record) ?? []);
      const checks = moments.map(({ record }) => record.final?.theory?.checks ?? []);
      const known = checks.filter((each) => each.length > 0);
      const violations = known.map((each) =>
        each.reduce((sum, { violations }) => sum + violations, 0)
      );
      const compared = known.map((each) => each.reduce((sum, { compared }) => sum + compared, 0));
      const worst = known.map((each) =>
        Math.max(...each.map(({ worst, tolerance }) => worst / tolerance))
      );
      return {
        verdict: known.length === 0
          ? "no data"
          : violations.every((count) => count === 0)
          ? "reproduced"
          : "not reproduced",
        evidence: [
          {
            label: "largest error over its tolerance, worst comparison of a run",
            form: "number",
            summary: summarizeSeeds(worst),
          },
          countEvidence("comparisons per run", compared),
          countEvidence("violations per run", violations),
        ],
      };
    },
  },
];

function countEvidence(label: string, values: readonly number[]): RawClaim["evidence"][number] {
  return { label, form: "count", summary: summarizeSeeds(values) };
}
