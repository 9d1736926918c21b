/** The rules of claims about V-scale's effects. */
import type { VScaleVariant } from "../../../reference/llama/config.ts";
import { claim, type ClaimRule, isAbove } from "./rule.ts";
import type { Evidences, RawClaim } from "./evidence.ts";
import {
  type Figure,
  gradientSinkRatio,
  mlpNorm,
  mlpRatio,
  residualNorm,
  residualRatio,
  sinkStrength,
  validationLoss,
} from "../figures.ts";

const names: Readonly<Record<Exclude<VScaleVariant, "none">, string>> = {
  fixed: "V-scale, fixed",
  learned: "V-scale",
  "backward-only": "V-scale, backward only",
};

/** What the paper and its authors' replies report, as baseline → variant. */
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

/**
 * A sink counts as kept if its strength is above this share of the baseline's. The authors' replies
 * report shares of 0.81 (0.502 / 0.617) and 0.74 (0.458 / 0.617).
 */
const KEPT = 0.7;

/**
 * A loss counts as no worse if it exceeds the baseline's by less than this, in nats per token. The
 * losses in `reported` differ from the baseline's by −0.010 and +0.014.
 */
const LOSS_MARGIN = 0.015;

/** The claims that a variant keeps the sink, lowers other figures, and does not worsen the loss. */
export function variantRules(variant: "learned" | "backward-only"): ClaimRule[] {
  const name = names[variant];
  return [
    {
      id: `sink-kept-${variant}`,
      title: `${name} keeps or strengthens the attention sink`,
      paper: reported[variant].sink,
      rule:
        `Reproduced if a test at equal step shows that the sink's strength is above ${KEPT} of the ` +
        "baseline's. Direction: the median is above that share.",
      sinkOf: ["none", variant],
      judge(evidences) {
        const { pairs } = evidences.pairs(variant, sinkStrength, "equal step");
        const known = pairs.filter((pair) => pair.baseline > 0 && pair.variant > 0);
        const shares = known.map((pair) => pair.variant / pair.baseline);
        const kept = evidences.find("sink strength, variant ÷ baseline, at equal step", {
          form: "ratio",
          values: shares,
          pairs: known,
          above: {
            says: `above ${KEPT} of the baseline's`,
            distances: shares.map((share) => Math.log(share / KEPT)),
          },
        });
        return claim([kept], { fully: kept.passed, direction: isAbove(kept.median, KEPT) });
      },
    },
    {
      id: `gradient-sink-lower-${variant}`,
      title: `${name} lowers R_GS(0)`,
      paper: variant === "learned" ? "medians fall from 9–16 to 5.6–7.3" : "not reported",
      rule:
        "Reproduced if tests show that R_GS(0) is lower, both at equal step and at equal sink strength. " +
        "Direction: all medians are lower.",
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
        "Reproduced if tests show that the norm and its ratio to early tokens (each the largest over " +
        "layers) are lower, both at equal step and at equal sink strength. Direction: all medians are " +
        "lower.",
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
      rule: "The rule for the residual norm, with ‖r_mlp‖ in its place.",
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
        `Reproduced if a test at equal step shows that the loss is less than ${LOSS_MARGIN} nats per ` +
        "token above the baseline's. Direction: the median difference is below that.",
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
          direction: found.median !== undefined && found.median < LOSS_MARGIN,
        });
      },
    },
  ];
}

/** A claim that a variant lowers figures, at equal step and at equal sink strength. */
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
  if (known.length === 0) return claim(found, { fully: false, direction: false });
  // A comparison without data does not contradict the claim, but prevents the verdict "reproduced".
  const outcome = {
    fully: known.length === found.length && known.every(({ passed }) => passed),
    direction: known.every(({ median }) => isAbove(median, 1)),
  };
  return { ...claim(known, outcome, remarks), evidence: found.map(({ evidence }) => evidence) };
}
