/** The checks made during a measurement agree with the independent ones in the operators' tests. */
import { vScaleConstant } from "../../src/reference/llama/config.ts";
import type { AttentionTrace } from "../../src/reference/llama/trace.ts";
import { checkTheory, slackRows } from "../../src/sinks/theory.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { keyBound, queryBound, valueBounds } from "../support/attention/gradient_bounds.ts";
import {
  firstQueryGradient,
  keyPath,
  logitRowsSumToZero,
  queryPath,
  valuePath,
} from "../support/attention/identities.ts";
import type { AttentionNumbers } from "../support/attention/layer.ts";
import { rmsNormBound, rmsNormRadialGradient } from "../support/rows/identities.ts";
import { mapTrace, rounded, tracedModel } from "../support/model/traces.ts";

Deno.test("checkTheory() finds the violations that tests/support/attention/identities.ts finds", () => {
  for (const vScale of ["none", "learned", "backward-only"] as const) {
    const { config, trace: exact, gains, theta } = tracedModel({
      config: { vScale, layersWithoutAttention: [1, 2] },
      batch: 2,
    });
    // Changes each element of the output and of the gradients with respect to query, key and value
    // by a different amount.
    const trace = mapTrace(
      exact,
      (numbers, name) =>
        /attention\.(output|gradients\.(query|key|value))/.test(name)
          ? numbers.map((x, i) => x * (1 + 0.3 * Math.sin(i)) + 1e-3 * Math.sin(i + 1))
          : numbers,
    );
    const { batch, context } = trace;
    const { queryHeads, keyValueHeads, headDim } = config;
    const attention = trace.layers[0]!.attention as AttentionTrace<Float64Array>;
    const plain = (data: Float64Array, heads: number) => ({
      data,
      shape: [batch, heads, context, headDim],
    });
    const constants = Array.from(
      { length: keyValueHeads },
      (_, h) => vScaleConstant(config) * Math.exp(theta[0]?.[h] ?? 0),
    );
    const numbers: AttentionNumbers = {
      query: plain(attention.query, queryHeads),
      key: plain(attention.key, keyValueHeads),
      value: plain(attention.value, keyValueHeads),
      output: plain(attention.output, queryHeads),
      logSumExp: { data: attention.logSumExp, shape: [batch, queryHeads, context] },
      outputGradient: plain(attention.gradients.output, queryHeads),
      queryGradient: plain(attention.gradients.query, queryHeads),
      keyGradient: plain(attention.gradients.key, keyValueHeads),
      valueGradient: plain(attention.gradients.value, keyValueHeads),
      vScale: vScale === "none" ? undefined : {
        constant: { data: constants, shape: [keyValueHeads] },
        mode: vScale === "learned" ? "full" : "backward-only",
      },
    };
    const { checks } = checkTheory(trace, { config, gains, theta });
    const found = new Map(checks.map((check) => [check.name, check]));
    const identities = {
      "value path": valuePath(numbers),
      "key path": keyPath(numbers),
      "query path": queryPath(numbers),
      "first query": firstQueryGradient(numbers),
      "logit rows": logitRowsSumToZero(numbers),
    };
    for (const [name, { worst, compared }] of Object.entries(identities)) {
      const check = found.get(name)!;
      // The two violations may differ by a factor of up to 2.5, for two reasons. The identity
      // reports the largest violation. checkTheory() reports the violation that is the largest
      // share of its tolerance, and tolerances differ between heads. And for the first query,
      // checkTheory() divides by 2 ‖v_0‖, the identity by ‖v_0‖.
      assert(check.worst > 0.4 * worst && check.worst <= worst * (1 + 1e-9), `${name}: ${worst}`);
      assert(check.violations > 0, name);
      assertEquals(check.compared, compared, name);
    }
    const { weighted, mass, secondMoment } = valueBounds(numbers);
    const bounds = {
      "weighted value bound": weighted.worst,
      "mass bound": mass.worst,
      "second-moment bound": secondMoment.worst,
    };
    for (const [name, worst] of Object.entries(bounds)) {
      // The slack is bound / norm. valueBounds() reports (norm − bound) / bound = 1/slack − 1.
      const { all } = found.get(name)!.slack[0]!;
      assert(Math.abs(1 / all[0]! - 1 - worst) < 1e-9, `${name}: ${1 / all[0]! - 1}, ${worst}`);
    }
    assertEquals(found.get("key bound")!.violations > 0, keyBound(numbers).worst > 1e-9);
    assertEquals(found.get("query bound")!.violations > 0, queryBound(numbers).worst > 1e-9);
  }
});

Deno.test("checkTheory() reports no rounding as a violation, even with extreme numbers", () => {
  const worst = new Map<string, number>();
  for (let seed = 1; seed <= 12; seed++) {
    for (const vScale of ["none", "learned"] as const) {
      for (const scale of [1, 25, 80]) {
        for (const massive of [1, 1e4]) {
          const options = { config: { vScale }, batch: 1, context: 12, seed, scale, massive };
          const { config, trace, gains, theta } = tracedModel(options);
          for (const given of [trace, rounded(trace)]) {
            const { checks, errors } = checkTheory(given, { config, gains, theta });
            assertEquals(errors, [], JSON.stringify(options));
            for (const { name, worst: found, tolerance } of checks) {
              worst.set(name, Math.max(worst.get(name) ?? 0, found / tolerance));
            }
          }
        }
      }
    }
  }
  // The largest share of its tolerance that any violation reached. Above 1, a tolerance is
  // exceeded. Below 0.1, all tolerances are far too large.
  const most = Math.max(...worst.values());
  assert(most > 0.1 && most < 1, String(most));
});

Deno.test("checkTheory() finds the RMSNorm slack that tests/support/rows/identities.ts finds", () => {
  const { config, trace, gains } = tracedModel({ config: { layersWithoutAttention: [0, 1, 2] } });
  const { checks } = checkTheory(trace, { config, gains, sequences: 3 });
  for (let layer = 0; layer < config.layers; layer++) {
    const { half, gradients } = trace.layers[layer]!;
    const shape = [half.length / config.modelDim, config.modelDim];
    const numbers = {
      input: { data: half, shape },
      gain: { data: gains[layer]!.mlp, shape: [config.modelDim] },
      inverseRms: { data: [], shape: [] },
      outputGradient: { data: gradients.mlpNorm, shape },
      inputGradient: {
        data: gradients.half.map((value, i) => value - gradients.output[i]!),
        shape,
      },
      epsilon: config.normEpsilon,
    };
    const { slack } = checks.find(({ name }) => name === "compress bound")!;
    const least = slack.find((row) => row.layer === layer)!.all[0]!;
    assert(Math.abs(1 / least - 1 - rmsNormBound(numbers).worst) < 1e-9);
    assert(rmsNormRadialGradient(numbers).worst < 1e-12);
  }
});

Deno.test("slackRows() has a row per bound, layer and branch", () => {
  const { config, trace, gains } = tracedModel({});
  const rows = slackRows(checkTheory(trace, { config, gains }));
  // There are five bounds of attention, each in two layers, and two of RMSNorm, each in five
  // branches.
  assertEquals(rows.length, 5 * 2 + 2 * 5);
  for (const { all, sink, histogram, name } of rows) {
    assertEquals(all.length, 7);
    assert(all.every((value, i) => i === 0 || value >= all[i - 1]!), name);
    assert(name === "query bound" ? sink.length === 0 : sink.length === 7, name);
    assert(histogram.counts.every((count) => Number.isInteger(count)));
    const low = 10 ** histogram.from, high = 10 ** (histogram.from + histogram.width);
    assert(low <= all[0]! * (1 + 1e-9) && all[0]! < high * (1 + 1e-9), `${low} ${all[0]} ${high}`);
  }
});
