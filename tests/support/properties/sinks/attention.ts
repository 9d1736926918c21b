/** Measurements of heads and gradient sinks agree with results worked out by hand. */
import type { SinkSettings } from "../../../../src/sinks/measurement/settings.ts";
import { assertEquals } from "../../assert/assert.ts";
import { handTrace, rows } from "../../model/traces.ts";
import { allNear, measure, near, type SinkProperty, small } from "./property.ts";

export const attentionProperties: readonly SinkProperty[] = [
  {
    name: "attention statistics are those of weights worked by hand",
    check(modules) {
      // In the first sequence, token 0's logit is log 3 above all others, so queries 0 to 3 give
      // token 0 the weights 1, 3/4, 3/5, 3/6.
      const query = rows(...Array<number>(8).fill(2));
      const key = rows(Math.log(3), 0, 0, 0, 0, 0, 0, 0);
      const logSumExp = Float64Array.from(
        [1, 2, 3, 4, 1, 2, 3, 4],
        (n, i) => i < 4 ? Math.log(n + 2) : Math.log(n),
      );
      const trace = handTrace({ batch: 2, context: 4, attention: { query, key, logSumExp } });
      // In the second sequence attention is uniform, so token 0 has the weights 1, 1/2, 1/3, 1/4.
      // The logits are ⟨q, k⟩/2, because D = 4.
      const settings = { ...small, window: 3, idleFrom: 2 };
      const result = measure(modules, trace, { settings, idle: [1, 1, 0, 1, 1, 1, 1, 1] });
      const head = result.layers[0]!.attention!.heads[0]!;
      near(head.score, ((1 + 3 / 4 + 3 / 5) + (1 + 1 / 2 + 1 / 3)) / 6, "score");
      near(head.mass, ((1 + 3 / 4 + 3 / 5 + 1 / 2) + (1 + 1 / 2 + 1 / 3 + 1 / 4)) / 2, "mass");
      near(
        head.secondMoment,
        ((1 + 9 / 16 + 9 / 25 + 1 / 4) + (1 + 1 / 4 + 1 / 9 + 1 / 16)) / 2,
        "second moment",
      );
      near(head.idleScore, (1 / 2 + 1 / 3 + 1 / 4) / 3, "idle score");
      assertEquals(result.summary.sinkRate, 1);
      // The second sequence's score is above the threshold ε, but not above the score of uniform
      // attention. So only the first sequence counts in these rates.
      assertEquals([head.sinkRate, result.summary.sequenceSinkRate], [1 / 2, 1 / 2]);
      assertEquals([head.idleSinkRate, result.summary.idleSequenceSinkRate], [1 / 2, 1 / 2]);
      near(result.summary.uniformScore, (1 + 1 / 2 + 1 / 3) / 3, "uniform score");
      near(result.summary.uniformIdleScore, (1 / 4 + 1 / 3 + 1 / 4) / 3, "uniform idle score");
      const clipped = measure(modules, trace, { settings: { ...small, window: 64 } });
      near(
        clipped.layers[0]!.attention!.heads[0]!.score,
        clipped.layers[0]!.attention!.heads[0]!.mass / 4,
        "score of a window that is cut off",
      );
      assertEquals(clipped.layers[0]!.attention!.heads[0]!.idleScore, null);
    },
  },
  {
    name: "a query's view of itself is no sign of a sink among idle queries",
    check(modules) {
      const trace = handTrace({ batch: 1, context: 4 });
      const result = measure(modules, trace, { settings: small, idle: [1, 1, 1, 1] });
      near(
        result.layers[0]!.attention!.heads[0]!.idleScore,
        (1 / 2 + 1 / 3 + 1 / 4) / 3,
        "idle score",
      );
    },
  },
  {
    name: "a head counts as a sink above the threshold, not at it",
    check(modules) {
      const trace = handTrace({ batch: 1, context: 4 });
      const rate = (threshold: number) =>
        measure(modules, trace, { settings: { ...small, window: 2, threshold } }).summary.sinkRate;
      assertEquals(rate(0.75), 0); // (1 + 1/2) / 2 exactly
      assertEquals(rate(0.7499), 1);
    },
  },
  {
    name: "R_GS sums over the batch before the norm, and leaves s out of the mean",
    check(modules) {
      // At position 0 both sequences' gradients agree, at position 1 they cancel, and position 3 is
      // beyond `lastGradientPosition`, 2.
      const gradient = rows(3, 2, 1, 50, 3, -2, 1, 50);
      const trace = handTrace({
        batch: 2,
        context: 4,
        attentionGradients: { norm: gradient, value: gradient },
      });
      const result = measure(modules, trace, { settings: small });
      const attention = result.layers[0]!.attention!;
      allNear(attention.gradients.norm, [6, 0, 2, 100], "summed");
      allNear(attention.singleNormGradient, [6, 4, 2, 100], "single");
      near(attention.gradientSink.early, 1, "mean of others");
      near(attention.gradientSink.ratio, 6, "R_GS");
      near(attention.singleGradientSink.ratio, 2, "R_GS of single sequences");
      near(result.summary.gradientSink?.median, 6, "median");
      allNear(result.summary.pathGradients?.value, [6, 0, 2, 100], "path");
      near(result.summary.paths?.value.ratio, 6, "path against early tokens");
    },
  },
  {
    name: "another position can be the sink, also among those it is compared with",
    check(modules) {
      const trace = handTrace({
        batch: 1,
        context: 4,
        attentionGradients: { norm: rows(1, 8, 3, 4) },
      });
      const settings: Partial<SinkSettings> = { ...small, position: 1 };
      const { attention } = measure(modules, trace, { settings }).layers[0]!;
      near(attention!.gradientSink.ratio, 4, "R_GS(1)");
      // Attention is uniform, so token 1 has the weights 1/2, 1/3 and 1/4.
      near(attention!.heads[0]!.mass, 13 / 12, "M_1");
    },
  },
];
