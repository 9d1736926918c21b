/** checkTheory() finds violations of the theory, and slack: a bound divided by what it bounds. */
import { assert, assertEquals } from "../../assert/assert.ts";
import { handTrace, mapTrace, rounded, rows, tracedModel } from "../../model/traces.ts";
import { allNear, near, type SinkProperty } from "./property.ts";

export const theoryProperties: readonly SinkProperty[] = [
  {
    name: "the theory holds on every variant, in float64 and rounded to float32",
    check({ checkTheory }) {
      for (const vScale of ["none", "fixed", "learned", "backward-only"] as const) {
        const { config, trace, gains, theta } = tracedModel({ config: { vScale }, batch: 2 });
        for (const given of [trace, rounded(trace)]) {
          const { checks, errors } = checkTheory(given, { config, gains, theta });
          assertEquals(errors, [], `${vScale}, ${given === trace ? "float64" : "float32"}`);
          assertEquals(checks.length, 15);
          for (const { name, compared, kind, slack } of checks) {
            assert(compared > 0, `${name} compared nothing`);
            assertEquals(slack.length > 0, kind === "bound", name);
            for (const { all } of slack) assert(all[0]! >= 1 - 1e-4, `${name}: slack ${all[0]}`);
          }
        }
      }
    },
  },
  {
    name: "the theory holds with sinks' logits and gates, in forms of its own",
    check({ checkTheory }) {
      const parts = [
        [{ sinkLogit: "learned" }, 15],
        [{ sinkLogit: "zero", vScale: "learned" }, 15],
        [{ attentionGate: "head" }, 16],
        [{ attentionGate: "element", sinkLogit: "learned" }, 16],
      ] as const;
      for (const [config, count] of parts) {
        const model = tracedModel({ config, batch: 2 });
        for (const given of [model.trace, rounded(model.trace)]) {
          const { checks, errors } = checkTheory(given, model);
          assertEquals(errors, [], JSON.stringify(config));
          assertEquals(checks.length, count);
        }
        // The checks named below must fail if the trace does not match the model's sink or gate.
        if ("sinkLogit" in config) {
          const without = { ...model.config, sinkLogit: "none" as const };
          const { errors } = checkTheory(model.trace, { ...model, config: without });
          for (const name of ["weights", "first query", "logit rows"]) {
            assert(errors.some((line) => line.startsWith(`${name} (`)), name);
          }
        }
        if ("attentionGate" in config) {
          const trace = mapTrace(
            model.trace,
            (numbers, name) =>
              name === "attention.opening" ? numbers.map((x) => 1.01 * x) : numbers,
          );
          const { errors } = checkTheory(trace, model);
          assertEquals(errors.map((line) => line.split(" (")[0]), ["gate"]);
        }
      }
    },
  },
  {
    name: "a sink's logit is one more key 0 of the query bound",
    check({ checkTheory }) {
      // With a query of 0 and a sink logit of −ln 3, the key's weight is 3/4, the output y = 3/2,
      // and the key's β = 2 − y. The sink counts as a key 0 with a value 0, so the mean key is 3.
      // The key 4 is at a distance of 1 from the mean key, the sink at a distance of 3.
      const { config, trace } = handTrace({
        batch: 1,
        context: 1,
        attention: {
          key: rows(4),
          value: rows(2),
          output: rows(1.5),
          logSumExp: Float64Array.of(Math.log(4 / 3)),
        },
        attentionGradients: { output: rows(1), value: rows(0.75), query: rows(0.75) },
      });
      const { checks } = checkTheory(trace, {
        config: { ...config, sinkLogit: "learned" },
        gains: [{ attention: [1, 1, 1, 1], mlp: [1, 1, 1, 1] }],
        sinks: [[-Math.log(3)]],
      });
      const { slack, violations } = checks.find(({ name }) => name === "query bound")!;
      assertEquals(violations, 0);
      // B_max is the sink's |β| = |0 − y| = 3/2, so the bound is 1/2 · 3/2 · 3. ‖∇q‖ is 3/4.
      near(slack[0]!.all[0], 3, "slack of the query bound");
    },
  },
  {
    name: "bounds are attained where they must be",
    check({ checkTheory }) {
      // Each value head has one query head, and only one query sees the last position: there all
      // three bounds are attained.
      const config = { keyValueHeads: 4, vScale: "none" as const };
      const model = tracedModel({ config, batch: 2 });
      const { checks } = checkTheory(model.trace, model);
      for (const name of ["weighted value bound", "mass bound", "second-moment bound"]) {
        const { slack } = checks.find((check) => check.name === name)!;
        assert(Math.abs(slack[0]!.all[0]! - 1) < 1e-9, `${name}: least slack ${slack[0]!.all[0]}`);
      }
      // A gradient orthogonal to h, with equal gains, attains the Compress bound, because RMSNorm's
      // Jacobian only multiplies it by a number.
      const trace = handTrace({
        batch: 1,
        context: 2,
        layer: { half: rows(3, 3) },
        gradients: {
          mlpNorm: Float64Array.of(0, 1, 0, 0, 0, 1, 0, 0),
          output: rows(1, 1),
          half: Float64Array.of(1, 2 / 1.5, 0, 0, 1, 2 / 1.5, 0, 0),
        },
      });
      const gains = [{ attention: [1, 1, 1, 1], mlp: [2, 2, 2, 2] }];
      const epsilon = { ...trace.config, normEpsilon: 1e-300, layersWithoutAttention: [0] };
      const [layer] = trace.trace.layers;
      const without = { ...trace.trace, layers: [{ ...layer!, attention: undefined }] };
      const { errors, checks: found } = checkTheory(without, { config: epsilon, gains });
      assertEquals(errors, []);
      const compress = found.find(({ name }) => name === "compress bound")!;
      near(compress.slack[0]!.all[0], 1, "least slack of Compress");
      near(compress.slack[0]!.sink[6], 1, "greatest slack of Compress at s");
    },
  },
  {
    name: "slack is that of a case worked by hand",
    check({ checkTheory }) {
      // Queries are 0, so attention is even: query 0 has the weight 1, query 1 the weights ½ and ½.
      // One value has r = C, where λ∥ = 1, the other r = 3C, where λ∥ = 9/8.
      const c = 4 * 4 * 0.02 ** 2;
      const [v0, v1] = [Math.sqrt(c), Math.sqrt(3 * c)] as const;
      // β_10 = 7 (v0 − y1) = −β_11, and ∇q_1 = ½ (½ β_10 · 4 + ½ β_11 · 0) for keys 4 and 0 with
      // mean 2.
      const beta = 7 * (v0 - v1) / 2;
      const { config, trace } = handTrace({
        batch: 1,
        context: 2,
        attention: { key: rows(4, 0), value: rows(v0, v1), output: rows(v0, (v0 + v1) / 2) },
        attentionGradients: {
          output: rows(5, 7),
          value: rows(5 + 3.5, 9 / 8 * 3.5),
          query: rows(0, beta),
        },
      });
      const { checks, errors } = checkTheory(trace, {
        config: { ...config, vScale: "backward-only" },
        gains: [{ attention: [1, 1, 1, 1], mlp: [1, 1, 1, 1] }],
      });
      assertEquals(errors, []);
      const slack = (name: string) => checks.find((check) => check.name === name)!.slack[0]!;
      // Query 1 attains its bound, ‖∇q_1‖ ≤ ½ |β| · 2. ‖∇q_0‖ is 0, so its slack is undefined.
      allNear(slack("query bound").all, Array<number>(7).fill(1), "query bound");
      assertEquals(slack("query bound").sink, []);
      near(slack("weighted value bound").all[0], 1, "weighted, least");
      near(slack("weighted value bound").all[6], 1, "weighted, most");
      near(slack("mass bound").sink[3], 1.5 * 7 / 8.5, "mass at s");
      near(slack("mass bound").all[0], 1, "mass at the last token");
      near(slack("second-moment bound").sink[3], Math.sqrt(1.25 * 74) / 8.5, "moment at s");
      assertEquals(slack("mass bound").histogram.counts.reduce((a, b) => a + b), 2);
    },
  },
  {
    name: "a wrong gradient violates what speaks of it",
    check({ checkTheory }) {
      const model = tracedModel({ config: { vScale: "learned" }, batch: 2 });
      const wrong = (path: string, factor: number) =>
        mapTrace(
          model.trace,
          (numbers, name) => name === path ? numbers.map((x) => factor * x) : numbers,
        );
      const cases = [
        ["attention.gradients.value", "value path"],
        ["attention.gradients.key", "key path"],
        ["attention.gradients.query", "query path"],
        ["attention.logSumExp", "weights"],
        ["attention.output", "logit rows"],
        ["attention.gradients.norm", "RMSNorm Jacobian"],
        ["gradients.mlpNorm", "RMSNorm Jacobian"],
        ["gradients.half", "radial gradient"],
      ] as const;
      for (const [path, name] of cases) {
        for (const cast of [false, true]) {
          const trace = wrong(path, 1.01);
          const { errors, checks } = checkTheory(cast ? rounded(trace) : trace, model);
          assert(errors.some((line) => line.startsWith(name)), `${path}: ${errors}`);
          assert(checks.find((check) => check.name === name)!.violations > 0, name);
        }
      }
      const bounds = [
        ["attention.gradients.value", "mass bound"],
        ["attention.gradients.value", "weighted value bound"],
        ["attention.gradients.value", "second-moment bound"],
        ["attention.gradients.key", "key bound"],
        ["attention.gradients.query", "query bound"],
        ["gradients.half", "compress bound"],
        ["gradients.half", "change bound"],
      ] as const;
      for (const [path, name] of bounds) {
        const { errors } = checkTheory(wrong(path, 1e4), model);
        assert(errors.some((line) => line.startsWith(name)), `${path}: ${errors}`);
      }
    },
  },
];
