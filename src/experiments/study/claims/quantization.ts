/** The rules of claims about 8-bit activations. */
import { claim, type ClaimRule, isAbove, isWithin } from "./rule.ts";
import { quantizationLoss } from "../figures.ts";

const STATIC = quantizationLoss("down-projections", "static-tensor");

const DYNAMIC = quantizationLoss("down-projections", "dynamic-token");

/** Rounding is harmless if it changes the loss by less than this, in nats per token. */
const HARMLESS = 0.01;

export const quantizationRules: readonly ClaimRule[] = [
  {
    id: "int8-static",
    title:
      "Static 8-bit activations in front of down projections hurt the baseline more than V-scale",
    paper: "1B: perplexity 22.84 → 32.94 (+0.37 nats) against 22.83 → 25.21 (+0.10)",
    rule:
      "Reproduced if a test shows that the baseline's loss rises more, and its median rise is above " +
      `${HARMLESS} nats per token. Direction: the median difference between the rises is above 0.`,
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
        direction: isAbove(more.median, 0),
      });
    },
  },
  {
    id: "int8-dynamic",
    title: "Dynamic 8-bit activations, one scale per token, leave both alone",
    paper: "leaves both alone",
    rule:
      `Reproduced if tests show that both losses change by less than ${HARMLESS} nats per token. ` +
      "Direction: both medians change by no more than that.",
    judge(evidences) {
      const found = (["none", "learned"] as const).map((variant) => {
        const values = evidences.values(variant, DYNAMIC);
        return evidences.find(`loss increase, ${variant === "none" ? "baseline" : "V-scale"}`, {
          form: "nats",
          values,
          above: {
            says: `less than ${HARMLESS} away from 0`,
            distances: values.map((each) => HARMLESS - Math.abs(each)),
          },
        });
      });
      return claim(found, {
        fully: found.every(({ passed }) => passed),
        direction: found.every(({ median }) => isWithin(median, -HARMLESS, HARMLESS)),
      });
    },
  },
];
