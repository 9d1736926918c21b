/**
 * Which claims are judged, what the paper has, and by which rule a verdict follows from figures over seeds.
 *
 * The paper: Chen, Lin and Yao, arXiv 2603.17771. "Test passed" is a one-sided exact sign-flip test at 0.05
 * over seeds; with fewer than 5 seeds it cannot pass, so nothing is more than partly reproduced then.
 */
import type { VScaleVariant } from "../reference/llama_config.ts";
import type { ClaimVerdict, Evidences, Found, RawClaim } from "./study_evidence.ts";
import {
  bloatRatio,
  change,
  compressDecades,
  compressSlope,
  farthestChange,
  type Figure,
  gradientSinkRatio,
  lastMoment,
  mlpNorm,
  mlpRatio,
  quantizationLoss,
  queryOverValue,
  residualNorm,
  residualRatio,
  sinkInputRatio,
  sinkStrength,
  validationLoss,
  valueNormRatio,
  valueOverKey,
} from "./study_figures.ts";
import { summarizeSeeds } from "./study_statistics.ts";

/** A claim and how it is judged. */
export interface ClaimRule {
  /** Letters and dashes. */
  readonly id: string;
  readonly title: string;
  readonly paper: string;
  readonly rule: string;
  /** The claim is about a sink: it is judged where one of these arms has at least a weak one. */
  readonly sinkOf?: readonly VScaleVariant[];
  judge(evidences: Evidences): RawClaim;
}

/** A sink: in contexts of 64 tokens five times what equal attention to all would be. */
const SINK = 0.2;

/** A weak one. Below it there is none, and claims about sinks have nothing to be judged on. */
export const WEAK_SINK = 0.1;

/** A verdict from whether the claim holds fully, or at least in direction; no data comes first. */
function verdict(
  found: readonly Found[],
  { fully, partly }: { readonly fully: boolean; readonly partly: boolean },
): ClaimVerdict {
  if (found.some(({ count }) => count === 0)) return "no data";
  return fully ? "reproduced" : partly ? "partly" : "not reproduced";
}

/** A claim from its evidence. */
function claim(
  found: readonly Found[],
  outcome: { readonly fully: boolean; readonly partly: boolean },
  remarks: readonly string[] = [],
): RawClaim {
  const few = Math.min(...found.map(({ count }) => count));
  return {
    verdict: verdict(found, outcome),
    evidence: found.map(({ evidence }) => evidence),
    remarks: few > 0 && few < 5 && found.some(({ evidence }) => evidence.test !== undefined)
      ? [...remarks, `a comparison has ${few} of 5 seeds that a test takes to pass`]
      : remarks,
  };
}

function isAbove(value: number | undefined, bound: number): boolean {
  return value !== undefined && value > bound;
}

function isWithin(value: number | undefined, low: number, high: number): boolean {
  return value !== undefined && value >= low && value <= high;
}

const baselineRules: readonly ClaimRule[] = [
  {
    id: "sink",
    title: "Baseline: attention forms a sink at token 0",
    paper: "0.617 at 0.3B in the authors' replies",
    rule:
      `Reproduced if the sink's strength is above ${SINK} by its test; partly if the median is above ` +
      `${WEAK_SINK}. Below, claims about the sink are not judged.`,
    judge(evidences) {
      const values = evidences.values("none", sinkStrength);
      const found = evidences.find("sink strength, sink layer", {
        form: "number",
        values,
        above: { says: `above ${SINK}`, distances: values.map((each) => each - SINK) },
      });
      return claim([found], { fully: found.passed, partly: isAbove(found.median, WEAK_SINK) });
    },
  },
  {
    id: "path-order",
    title: "Baseline, token 0: value path > key path ≫ query path = 0",
    paper: "value > key ≫ query; the query's gradient is exactly 0",
    rule: "Reproduced if ‖∇v‖ > ‖∇k‖ passes its test and ‖∇q‖ is at most 1e-6 of ‖∇v‖ with every " +
      "seed; partly if the median of ‖∇v‖/‖∇k‖ is above 1.",
    sinkOf: ["none"],
    judge(evidences) {
      const order = ratioAbove(evidences, "‖∇v_0‖ / ‖∇k_0‖, mean over layers", {
        figure: valueOverKey,
        bound: 1,
      });
      const shares = evidences.values("none", queryOverValue);
      const query = evidences.find("‖∇q_0‖ / ‖∇v_0‖", { form: "number", values: shares });
      return claim([order, query], {
        fully: order.passed && shares.every((share) => share <= 1e-6),
        partly: isAbove(order.median, 1),
      });
    },
  },
  {
    id: "gradient-sink",
    title: "Baseline: the attention sink is a gradient sink, R_GS(0) > 1",
    paper: "median over layers 15.5 (quartiles 5.2 to 21.9) at 0.1B, 9 to 40 at 0.3B, 9.4 at 1B",
    rule:
      "Reproduced if R_GS(0) > 1 passes its test and its median is at least 5.2, the paper's lower " +
      "quartile at 0.1B; partly if the median is above 1.",
    sinkOf: ["none"],
    judge(evidences) {
      const found = ratioAbove(evidences, "R_GS(0), median over layers", {
        figure: gradientSinkRatio,
        bound: 1,
      });
      return claim([found], {
        fully: found.passed && isAbove(found.median, 5.2),
        partly: isAbove(found.median, 1),
      });
    },
  },
  {
    id: "value-drain",
    title: "Baseline: the sink's value norm is unusually small",
    paper: "sink tokens have unusually small value norms (value-state drain)",
    rule:
      "Reproduced if the ratio to early tokens is below 1 by its test and its median at most 0.5; " +
      "partly if the median is below 1.",
    sinkOf: ["none"],
    judge(evidences) {
      const values = evidences.values("none", valueNormRatio);
      const found = evidences.find("‖v_0‖ against early tokens, sink layer", {
        form: "number",
        values,
        above: {
          says: "below 1",
          distances: values.map((each) => -Math.log(Math.max(each, 1e-30))),
        },
      });
      return claim([found], {
        fully: found.passed && isWithin(found.median, 0, 0.5),
        partly: isWithin(found.median, 0, 1),
      });
    },
  },
  {
    id: "compress-slope",
    title: "Baseline: Compress falls as one over ‖h‖",
    paper: "slope about −1 in log-log against ‖h_in‖",
    rule:
      "Reproduced if the median slope is between −1.15 and −0.85 and ‖h‖ spans at least half a " +
      "decade; partly if it is between −1.5 and −0.5.",
    judge(evidences) {
      const slope = evidences.find(
        "slope of log Compress, attention branches, median over layers",
        {
          form: "number",
          values: evidences.values("none", compressSlope),
        },
      );
      const decades = evidences.find("decades that ‖h‖ spans", {
        form: "number",
        values: evidences.values("none", compressDecades),
      });
      return claim([slope, decades], {
        fully: isWithin(slope.median, -1.15, -0.85) && isAbove(decades.median, 0.5),
        partly: isWithin(slope.median, -1.5, -0.5),
      });
    },
  },
  {
    id: "bloat-massive",
    title: "Baseline: Bloat is extreme only where ‖h‖ is massive, at token 0",
    paper: "extreme Bloat at token 0 only, where ‖h‖ is massive",
    rule:
      "Reproduced if, at the sink layer, token 0's Bloat is above the early tokens' by its test with a " +
      "median ratio of at least 5, and its ‖h_in‖ is at least 5 times theirs; partly if both medians are " +
      "above 1.",
    sinkOf: ["none"],
    judge(evidences) {
      const bloat = ratioAbove(evidences, "Bloat of token 0 against early tokens, sink layer", {
        figure: bloatRatio,
        bound: 1,
      });
      const norm = evidences.find("‖h_in‖ of token 0 against early tokens, sink layer", {
        form: "ratio",
        values: evidences.values("none", sinkInputRatio),
      });
      return claim([bloat, norm], {
        fully: bloat.passed && isAbove(bloat.median, 5) && isAbove(norm.median, 5),
        partly: isAbove(bloat.median, 1) && isAbove(norm.median, 1),
      });
    },
  },
  {
    id: "change-near-one",
    title: "Baseline: Change stays near 1",
    paper: "near 1 throughout",
    rule:
      "Reproduced if token 0's median Change over branches is between 0.5 and 2 and no branch is off " +
      "by more than a factor of 4; partly if the first holds.",
    judge(evidences) {
      const center = evidences.find("Change of token 0, median over branches", {
        form: "number",
        values: evidences.values("none", change),
      });
      const farthest = evidences.find("the farthest branch is off by a factor of", {
        form: "ratio",
        values: evidences.values("none", farthestChange),
      });
      const near = isWithin(center.median, 0.5, 2);
      return claim([center, farthest], {
        fully: near && isWithin(farthest.median, 1, 4),
        partly: near,
      });
    },
  },
];

/** A positive figure of the baseline, tested against a bound by its logarithm. */
function ratioAbove(
  evidences: Evidences,
  label: string,
  { figure, bound }: { readonly figure: Figure; readonly bound: number },
): Found {
  const values = evidences.values("none", figure);
  return evidences.find(label, {
    form: "ratio",
    values,
    above: {
      says: `above ${bound}`,
      distances: values.map((each) => Math.log(Math.max(each, 1e-30) / bound)),
    },
  });
}

const names: Readonly<Record<Exclude<VScaleVariant, "none">, string>> = {
  fixed: "V-scale, fixed",
  learned: "V-scale",
  "backward-only": "V-scale, backward only",
};

/** What the paper and its authors' replies report of each variant. */
const reported = {
  learned: {
    sink: "preserved or slightly higher; 0.617 → 0.502 at 0.3B in the authors' replies",
    residual: "1916 → 346 (5.5 times lower); against early tokens 11.1 → 3.03",
    loss: "2.9168 → 2.9068 at 0.3B",
  },
  "backward-only": {
    sink: "0.617 → 0.458 at 0.3B in the authors' replies",
    residual: "1916 → 607 (3.2 times lower); against early tokens 11.1 → 3.63",
    loss: "2.9168 → 2.9307 at 0.3B",
  },
} as const;

/** A sink counts as kept at this share of the baseline's: the replies report 0.81 and 0.74. */
const KEPT = 0.7;

/** A loss counts as no worse up to this, in nats a token: what the replies' differences come to. */
const LOSS_MARGIN = 0.015;

function variantRules(variant: "learned" | "backward-only"): ClaimRule[] {
  const name = names[variant];
  return [
    {
      id: `sink-kept-${variant}`,
      title: `${name} keeps or strengthens the attention sink`,
      paper: reported[variant].sink,
      rule:
        `Reproduced if the sink is above ${KEPT} of the baseline's by its test at equal step; partly ` +
        `if the median is.`,
      sinkOf: ["none", variant],
      judge(evidences) {
        const { pairs } = evidences.pairs(variant, sinkStrength, "equal step");
        const kept = evidences.find("sink strength, variant − baseline, at equal step", {
          form: "number",
          values: pairs.map((pair) => pair.variant - pair.baseline),
          pairs,
          above: {
            says: `above ${KEPT} of the baseline's`,
            distances: pairs.map((pair) => pair.variant - KEPT * pair.baseline),
          },
        });
        const { arms } = kept.evidence;
        const share = arms && arms.variant - KEPT * arms.baseline;
        return claim([kept], { fully: kept.passed, partly: isAbove(share, 0) });
      },
    },
    {
      id: `gradient-sink-lower-${variant}`,
      title: `${name} lowers R_GS(0)`,
      paper: variant === "learned" ? "medians fall from 9–16 to 5.6–7.3" : "not reported",
      rule:
        "Reproduced if it is lower by its test at equal step and, where both sinks are equally strong, " +
        "too; partly if one of the medians is lower.",
      sinkOf: ["none", variant],
      judge: (evidences) =>
        loweredClaim(evidences, {
          variant,
          figures: [["R_GS(0), median over layers", gradientSinkRatio]],
        }),
    },
    {
      id: `residual-lower-${variant}`,
      title: `${name} lowers the residual norm of token 0`,
      paper: reported[variant].residual,
      rule:
        "Reproduced if the norm itself and its ratio to early tokens (each the largest over layers) are " +
        "lower by their tests, at equal step and at equal sink strength; partly if at least one of the " +
        "medians is lower.",
      sinkOf: ["none", variant],
      judge: (evidences) =>
        loweredClaim(evidences, {
          variant,
          figures: [["‖h_0‖", residualNorm], ["‖h_0‖ against early tokens", residualRatio]],
        }),
    },
    {
      id: `mlp-lower-${variant}`,
      title: `${name} lowers the MLP output norm of token 0`,
      paper: variant === "learned" ? "clearly lower" : "strongly suppresses massive activations",
      rule: "As for the residual norm, with ‖r_mlp‖.",
      sinkOf: ["none", variant],
      judge: (evidences) =>
        loweredClaim(evidences, {
          variant,
          figures: [["‖r_mlp‖ of token 0", mlpNorm], ["the same against early tokens", mlpRatio]],
        }),
    },
    {
      id: `loss-${variant}`,
      title: `${name} does not worsen the validation loss`,
      paper: reported[variant].loss,
      rule:
        `Reproduced if the loss is less than ${LOSS_MARGIN} nats a token above the baseline's by its ` +
        `test at equal step; partly if the median is.`,
      judge(evidences) {
        const { pairs } = evidences.pairs(variant, validationLoss, "equal step");
        const found = evidences.find("validation loss, variant − baseline, at equal step", {
          form: "nats",
          values: pairs.map((pair) => pair.variant - pair.baseline),
          pairs,
          above: {
            says: `less than ${LOSS_MARGIN} above`,
            distances: pairs.map((pair) => LOSS_MARGIN - (pair.variant - pair.baseline)),
          },
        });
        return claim([found], {
          fully: found.passed,
          partly: found.median !== undefined && found.median < LOSS_MARGIN,
        });
      },
    },
  ];
}

/** Lower than the baseline's, at equal step and at equal sink strength. */
function loweredClaim(
  evidences: Evidences,
  { variant, figures }: {
    readonly variant: VScaleVariant;
    readonly figures: readonly (readonly [string, Figure])[];
  },
): RawClaim {
  const found = figures.flatMap(([label, figure]) =>
    (["equal step", "equal sink"] as const).map((when) =>
      evidences.lowered(label, { variant, figure, when })
    )
  );
  const known = found.filter(({ count }) => count > 0);
  const passed = found.filter((each) => each.passed).length;
  const remarks = [
    `${passed} of ${found.length} comparisons pass their test`,
    ...known.length < found.length
      ? ["some arms never reached a common sink strength, so that comparison has no data"]
      : [],
  ];
  if (known.length === 0) return claim(found, { fully: false, partly: false });
  // Comparisons without data do not speak against the claim, but it cannot be fully reproduced then.
  const outcome = {
    fully: known.length === found.length && known.every(({ passed }) => passed),
    partly: known.some(({ median }) => isAbove(median, 1)),
  };
  return { ...claim(known, outcome, remarks), evidence: found.map(({ evidence }) => evidence) };
}

const STATIC = quantizationLoss("down-projections", "static-tensor");
const DYNAMIC = quantizationLoss("down-projections", "dynamic-token");

/** Rounding that costs less than this, in nats a token, leaves a model alone. */
const HARMLESS = 0.01;

const otherRules: readonly ClaimRule[] = [
  {
    id: "int8-static",
    title:
      "Static 8-bit activations in front of down projections hurt the baseline more than V-scale",
    paper: "1B: perplexity 22.84 → 32.94 (+0.37 nats) against 22.83 → 25.21 (+0.10)",
    rule:
      "Reproduced if the baseline's loss rises more by its test and by at least 0.01 nats a token; " +
      "partly if its median rises more.",
    judge(evidences) {
      const { pairs } = evidences.pairs("learned", STATIC, "equal step");
      const more = evidences.find("loss increase, baseline − V-scale", {
        form: "nats",
        values: pairs.map((pair) => pair.baseline - pair.variant),
        pairs,
        above: {
          says: "the baseline's is larger",
          distances: pairs.map((pair) => pair.baseline - pair.variant),
        },
      });
      return claim([more], {
        fully: more.passed && isAbove(more.evidence.arms?.baseline, HARMLESS),
        partly: isAbove(more.median, 0),
      });
    },
  },
  {
    id: "int8-dynamic",
    title: "Dynamic 8-bit activations, one scale a token, leave both alone",
    paper: "leaves both alone",
    rule: `Reproduced if both medians are within ${HARMLESS} nats a token; partly if one is.`,
    judge(evidences) {
      const found = (["none", "learned"] as const).map((variant) =>
        evidences.find(`loss increase, ${variant === "none" ? "baseline" : "V-scale"}`, {
          form: "nats",
          values: evidences.values(variant, DYNAMIC),
        })
      );
      const harmless = found.map(({ median }) => isWithin(median, -HARMLESS, HARMLESS));
      return claim(found, {
        fully: harmless.every(Boolean),
        partly: harmless.some(Boolean),
      });
    },
  },
  {
    id: "theory",
    title: "The exact identities and bounds hold on the trained models",
    paper: "theorems",
    rule: "Reproduced if no comparison on any run exceeds what rounding explains; else not.",
    judge({ group }) {
      const moments = group.records.flatMap((record) => lastMoment(record) ?? []);
      const checks = moments.map(({ record }) => record.final?.theory?.checks ?? []);
      const known = checks.filter((each) => each.length > 0);
      const violations = known.map((each) =>
        each.reduce((sum, { violations }) => sum + violations, 0)
      );
      const compared = known.map((each) => each.reduce((sum, { compared }) => sum + compared, 0));
      return {
        verdict: known.length === 0
          ? "no data"
          : violations.every((count) => count === 0)
          ? "reproduced"
          : "not reproduced",
        evidence: [
          countEvidence("comparisons a run", compared),
          countEvidence("violations a run", violations),
        ],
      };
    },
  },
];

function countEvidence(label: string, values: readonly number[]): RawClaim["evidence"][number] {
  return { label, form: "count", summary: summarizeSeeds(values) };
}

/** All claims, in the order in which tables show them. */
export const CLAIM_RULES: readonly ClaimRule[] = [
  ...baselineRules,
  ...variantRules("learned"),
  ...variantRules("backward-only"),
  ...otherRules,
];
