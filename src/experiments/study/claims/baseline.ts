/** The rules of claims about the baseline. */
import { claim, type ClaimRule, isAbove, isWithin, SINK, WEAK_SINK } from "./rule.ts";
import type { Evidences, Found } from "./evidence.ts";
import {
  bloatRatio,
  change,
  compressDecades,
  compressSlope,
  farthestChange,
  type Figure,
  gradientSinkRatio,
  queryOverValue,
  sinkInputRatio,
  sinkStrength,
  valueNormRatio,
  valueOverKey,
} from "../figures.ts";

export const baselineRules: readonly ClaimRule[] = [
  {
    id: "sink",
    title: "Baseline: attention forms a sink at token 0",
    paper: "0.617 at 0.3B in the authors' replies",
    rule:
      `Reproduced if a test shows that the sink's strength is above ${SINK}, partly if a test ` +
      `shows that it is above ${WEAK_SINK}. Direction: the median is above ${WEAK_SINK}. Claims about ` +
      `sinks are judged only if the median is at least ${WEAK_SINK} in one of their arms.`,
    judge(evidences) {
      const values = evidences.values("none", sinkStrength);
      const [strong, weak] = [SINK, WEAK_SINK].map((bound) =>
        evidences.find("sink strength, sink layer", {
          form: "number",
          values,
          above: { says: `above ${bound}`, distances: values.map((each) => each - bound) },
        })
      ) as [Found, Found];
      return claim([strong, weak], {
        fully: strong.passed,
        direction: isAbove(weak.median, WEAK_SINK),
      });
    },
  },
  {
    id: "path-order",
    title: "Baseline, token 0: value path > key path ≫ query path = 0",
    paper: "value > key ≫ query; the query's gradient is exactly 0",
    rule: "Reproduced if ‖∇v‖ > ‖∇k‖ passes its test and ‖∇q‖ is at most 1e-6 of ‖∇v‖ in every " +
      "seed. Direction: the median of ‖∇v‖/‖∇k‖ is above 1.",
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
        direction: isAbove(order.median, 1),
      });
    },
  },
  {
    id: "gradient-sink",
    title: "Baseline: the attention sink is a gradient sink, R_GS(0) > 1",
    paper: "median over layers 15.5 (quartiles 5.2 to 21.9) at 0.1B, 9 to 40 at 0.3B, 9.4 at 1B",
    rule:
      "Reproduced if R_GS(0) > 1 passes its test and its median is at least 5.2, the paper's lower " +
      "quartile at 0.1B. Direction: the median is above 1.",
    sinkOf: ["none"],
    judge(evidences) {
      const found = ratioAbove(evidences, "R_GS(0), median over layers", {
        figure: gradientSinkRatio,
        bound: 1,
      });
      return claim([found], {
        fully: found.passed && isAbove(found.median, 5.2),
        direction: isAbove(found.median, 1),
      });
    },
  },
  {
    id: "value-drain",
    title: "Baseline: the sink's value norm is unusually small",
    paper: "sink tokens have unusually small value norms (value-state drain)",
    rule:
      "Reproduced if a test shows that the ratio to early tokens is below 1, and its median is at " +
      "most 0.5. " +
      "Direction: the median is below 1.",
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
        direction: isWithin(found.median, 0, 1),
      });
    },
  },
  {
    id: "compress-slope",
    title: "Baseline: Compress falls as one over ‖h‖",
    paper: "slope about −1 in log-log against ‖h_in‖",
    rule:
      "Reproduced if a test shows that the slope is less than 0.15 away from −1, and ‖h‖ spans more " +
      "than half a decade. Partly if a test shows that the slope is less than 0.5 away from −1. " +
      "Direction: the median slope is at most 0.5 away from −1.",
    judge(evidences) {
      const values = evidences.values("none", compressSlope);
      const [near, far] = [0.15, 0.5].map((most) =>
        evidences.find("slope of log Compress, attention branches, median over layers", {
          form: "number",
          values,
          above: {
            says: `less than ${most} away from −1`,
            distances: values.map((each) => most - Math.abs(each + 1)),
          },
        })
      ) as [Found, Found];
      const decades = evidences.find("decades that ‖h‖ spans", {
        form: "number",
        values: evidences.values("none", compressDecades),
      });
      return claim([near, far, decades], {
        fully: near.passed && isAbove(decades.median, 0.5),
        direction: isWithin(far.median, -1.5, -0.5),
      });
    },
  },
  {
    id: "bloat-massive",
    title: "Baseline: Bloat is extreme only where ‖h‖ is massive, at token 0",
    paper: "extreme Bloat at token 0 only, where ‖h‖ is massive",
    rule:
      "Reproduced if tests show that token 0's Bloat and ‖h_in‖ at the sink layer are above those of " +
      "early tokens, and both median ratios are above 5. Direction: both median ratios are above 1.",
    sinkOf: ["none"],
    judge(evidences) {
      const bloat = ratioAbove(evidences, "Bloat of token 0 against early tokens, sink layer", {
        figure: bloatRatio,
        bound: 1,
      });
      const norm = ratioAbove(evidences, "‖h_in‖ of token 0 against early tokens, sink layer", {
        figure: sinkInputRatio,
        bound: 1,
      });
      const both = [bloat, norm];
      return claim(both, {
        fully: both.every(({ passed, median }) => passed && isAbove(median, 5)),
        direction: both.every(({ median }) => isAbove(median, 1)),
      });
    },
  },
  {
    id: "change-near-one",
    title: "Baseline: Change stays near 1",
    paper: "near 1 throughout",
    rule:
      "Reproduced if tests show that token 0's median Change over branches is within a factor of 2 of " +
      "1, and that of the farthest branch within a factor of 4 of 1. Direction: the median over seeds " +
      "of token 0's median Change is within a factor of 2 of 1.",
    judge(evidences) {
      const centers = evidences.values("none", change);
      const center = evidences.find("Change of token 0, median over branches", {
        form: "number",
        values: centers,
        above: {
          says: "within a factor of 2 of 1",
          distances: centers.map((each) => Math.LN2 - Math.abs(Math.log(Math.max(each, 1e-30)))),
        },
      });
      const factors = evidences.values("none", farthestChange);
      const farthest = evidences.find("the farthest branch is off by a factor of", {
        form: "ratio",
        values: factors,
        above: { says: "below 4", distances: factors.map((each) => Math.log(4 / each)) },
      });
      return claim([center, farthest], {
        fully: center.passed && farthest.passed,
        direction: isWithin(center.median, 0.5, 2),
      });
    },
  },
];

/** Tests on a logarithmic scale whether the baseline's positive figure lies above a bound. */
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
