/**
 * What must be true of the measurements of sinks, worked by hand or against plain recomputations, as functions of the
 * modules that measure: so that deliberately broken ones can be shown to fail.
 */
import * as reference from "../../../src/reference/mod.ts";
import type { SinkSettings } from "../../../src/sinks/measurement.ts";
import { assert, assertEquals } from "../assert.ts";
import { handTrace, mapTrace, rounded, rows, tracedModel } from "../traces.ts";

/** The modules, as they are or with one of them broken. */
export interface SinkModules {
  readonly SinkMeter: typeof import("../../../src/sinks/sink_meter.ts").SinkMeter;
  readonly checkTheory: typeof import("../../../src/sinks/theory.ts").checkTheory;
}

/** One property. */
export interface SinkProperty {
  readonly name: string;
  check(modules: SinkModules): void;
}

function near(actual: number | null | undefined, wanted: number, what: string): void {
  const close = typeof actual === "number" &&
    Math.abs(actual - wanted) <= 1e-12 * Math.max(1, Math.abs(wanted));
  assert(close, `${what} is ${actual}, wanted ${wanted}`);
}

function allNear(
  actual: readonly (number | null)[] | undefined,
  wanted: readonly number[],
  what: string,
): void {
  assertEquals(actual?.length, wanted.length, what);
  wanted.forEach((value, i) => near(actual![i], value, `${what} [${i}]`));
}

/** ‖·‖ of row `row` of `width`. */
function norm(data: Float64Array, row: number, width: number): number {
  return Math.hypot(...data.subarray(row * width, (row + 1) * width));
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

function measure(
  { SinkMeter }: SinkModules,
  { config, trace }: ReturnType<typeof handTrace>,
  options: { readonly settings?: Partial<SinkSettings>; readonly idle?: readonly number[] } = {},
) {
  const meter = new SinkMeter({ config, context: trace.context, settings: options.settings });
  meter.add(trace, { idle: options.idle && Uint8Array.from(options.idle) });
  return meter.result();
}

const small: Partial<SinkSettings> = { early: [1, 2], lastGradientPosition: 2, idleFrom: 0 };

/** All of them. */
export const sinkProperties: readonly SinkProperty[] = [
  {
    name: "attention statistics are those of weights worked by hand",
    check(modules) {
      // Logits of token 0's key are log 3 above the others for every query: weights 1, 3/4, 3/5, 3/6.
      const query = rows(...Array<number>(8).fill(2));
      const key = rows(Math.log(3), 0, 0, 0, 0, 0, 0, 0);
      const logSumExp = Float64Array.from(
        [1, 2, 3, 4, 1, 2, 3, 4],
        (n, i) => i < 4 ? Math.log(n + 2) : Math.log(n),
      );
      const trace = handTrace({ batch: 2, context: 4, attention: { query, key, logSumExp } });
      // The second sequence attends evenly: 1, 1/2, 1/3, 1/4. Scale: D = 4, so ⟨q,k⟩/2.
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
      // Position 0: both sequences pull the same way. Position 1: against each other. Position 3: beyond T_e.
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
      // Columns of even rows: 1/2, 1/3, 1/4.
      near(attention!.heads[0]!.mass, 13 / 12, "M_1");
    },
  },
  {
    name: "Bloat, Compress and Change are the ratios of one token, and their median over sequences",
    check(modules) {
      // Three sequences of 2 tokens.
      const input = rows(2, 1, 4, 1, 8, 1);
      const trace = handTrace({
        batch: 3,
        context: 2,
        layer: { input, half: input },
        gradients: {
          input: rows(12, 1, 15, 1, 11, 2),
          half: rows(10, 1, 10, 1, 10, 1),
          mlpNorm: rows(6, 6, 6, 6, 6, 6),
          output: rows(2, 3, 3, 3, 5, 3),
        },
        attentionGradients: { norm: rows(20, 1, 40, 3, 30, 2) },
      });
      const settings: Partial<SinkSettings> = { ...small, early: [1, 1] };
      const result = measure(modules, trace, { settings });
      const { byPosition, bloat, points } = result.layers[0]!.attention!.branch;
      allNear(byPosition.inputNorm, [4, 1], "‖h‖");
      allNear(byPosition.bloat, [3, 2], "Bloat");
      // 2/20, 5/40, 1/30; the second token's difference is 0 twice, which is no number for Compress.
      allNear(byPosition.compress, [0.1, 0.5], "Compress");
      allNear(byPosition.change, [1.2, 1], "Change");
      near(bloat?.ratio, 1.5, "Bloat at the sink");
      allNear(points.bloat, [2, 1, 4, 3], "Bloat of single tokens");
      assertEquals(points.sequence, [0, 0, 1, 1]);
      assertEquals(points.position, [0, 1, 0, 1]);
      const { mlp } = result.layers[0]!;
      allNear(mlp.branch.byPosition.bloat, [2, 2], "MLP's Bloat");
      allNear(mlp.branch.byPosition.compress, [7 / 6, 2 / 6], "MLP's Compress");
      allNear(mlp.branch.byPosition.change, [10 / 3, 1 / 3], "MLP's Change");
    },
  },
  {
    name: "Compress's slope is that of the logarithms",
    check(modules) {
      const sizes = [1, 2, 4, 10, 100, 300];
      const input = rows(...sizes);
      const trace = handTrace({
        batch: 2,
        context: 3,
        layer: { input },
        gradients: {
          input: rows(...sizes.map((size) => 1 + 0.5 * size ** -1.5)),
          half: rows(...sizes.map(() => 1)),
        },
        attentionGradients: { norm: rows(...sizes.map(() => 1)) },
      });
      const { compressFit } = measure(modules, trace, { settings: small }).layers[0]!.attention!
        .branch;
      assert(Math.abs(compressFit!.slope + 1.5) < 1e-9, `slope ${compressFit!.slope}`);
      assert(Math.abs(compressFit!.intercept - Math.log10(0.5)) < 1e-9, "intercept");
      assert(compressFit!.explained > 1 - 1e-9, "R²");
      allNear(compressFit!.range, [0, Math.log10(300)], "range");
      assertEquals(compressFit!.tokens, 6);
    },
  },
  {
    name: "norms are means over sequences, s against early tokens",
    check(modules) {
      const output = rows(8, 1, 3, 100, 4, 1, 3, 100);
      const trace = handTrace({
        batch: 2,
        context: 4,
        layer: { output },
        attention: { value: rows(0.5, 1, 3, 9, 0.5, 3, 1, 9) },
      });
      const layer = measure(modules, trace, { settings: small }).layers[0]!;
      assertEquals(layer.output, { sink: 6, early: 2, ratio: 3 });
      assertEquals(layer.outputByPosition, [6, 1, 3, 100]);
      assertEquals(layer.attention!.value, { sink: 0.5, early: 2, ratio: 0.25 });
      assertEquals(layer.attention!.valueHeads[0]!.value.ratio, 0.25);
      assertEquals(layer.input.ratio, null);
    },
  },
  {
    name: "massive activations are counted by the median magnitude",
    check(modules) {
      const ones = () => new Float64Array(2 * 3 * 4).fill(-1);
      const output = ones();
      output[1] = 101;
      output[2] = -1001;
      output[3] = 100; // not above
      output[13] = 5000; // sequence 1, position 0
      output[20] = 200; // sequence 1, position 2
      const trace = handTrace({ batch: 2, context: 3, layer: { output } });
      assertEquals(measure(modules, trace, { settings: small }).layers[0]!.massive, {
        median: 1,
        largest: 5000,
        ratio: 5000,
        above100: 2,
        above1000: 1,
        above100AtSink: 1.5,
      });
    },
  },
  {
    name: "how sequences are cut into batches changes nothing",
    check({ SinkMeter }) {
      const { config, trace, theta } = tracedModel({ config: { vScale: "learned" }, batch: 3 });
      const { context } = trace;
      const whole = new SinkMeter({ config, context, theta });
      const idle = Uint8Array.from({ length: 3 * context }, (_, i) => i % 3 === 0 ? 1 : 0);
      whole.add(trace, { idle, loss: 2, oracleLoss: 1 });
      const parts = new SinkMeter({ config, context, theta });
      for (const [first, count, loss] of [[0, 1, 1], [1, 2, 2.5]] as const) {
        const cut = (numbers: Float64Array, name: string) => {
          const each = numbers.length / 3;
          // A batch's gradients are those of its own mean loss.
          const scale = name.includes("gradients") ? 3 / count : 1;
          return numbers.slice(first * each, (first + count) * each).map((x) => scale * x);
        };
        parts.add({
          batch: count,
          context,
          layers: mapTrace(trace, cut).layers,
        }, {
          idle: idle.slice(first * context, (first + count) * context),
          loss,
          oracleLoss: 1,
        });
      }
      // Massive activations are counted batch by batch.
      const strip = (result: ReturnType<typeof whole.result>) => ({
        ...result,
        layers: result.layers.map((layer) => ({ ...layer, massive: null })),
      });
      sameNumbers(strip(parts.result()), strip(whole.result()), "result");
      assertEquals(whole.result().loss, 2);
    },
  },
  {
    name: "a model's measurements are those of plain recomputations",
    check({ SinkMeter }) {
      const { config, trace, theta } = tracedModel({ config: { vScale: "learned" } });
      const { batch, context } = trace;
      const settings: Partial<SinkSettings> = { window: 6, early: [1, 5], lastGradientPosition: 7 };
      const meter = new SinkMeter({ config, context, theta, settings });
      meter.add(trace);
      const result = meter.result();
      assertEquals(result.layers.map(({ attention }) => attention === null), [false, true, false]);
      const layer = trace.layers[2]!, attention = layer.attention!;
      const measured = result.layers[2]!.attention!;
      const { queryHeads, keyValueHeads, headDim, modelDim } = config;
      const tensor = (data: Float64Array, heads: number, width: number) =>
        reference.tensor(data, [batch, heads, context, width]);
      const statistics = reference.attentionSinkStatistics({
        query: tensor(attention.query, queryHeads, headDim),
        key: tensor(attention.key, keyValueHeads, headDim),
        logSumExp: reference.tensor(attention.logSumExp, [batch, queryHeads, context]),
        window: 6,
      });
      for (const name of ["score", "mass", "secondMoment"] as const) {
        measured.heads.forEach((head, h) => {
          const each = Array.from(
            { length: batch },
            (_, b) => statistics[name].data[b * queryHeads + h]!,
          );
          near(head[name], mean(each), name);
        });
      }
      const used = reference.vScaleForward({
        value: tensor(attention.value, keyValueHeads, headDim),
        constant: reference.tensor(measured.valueHeads.map(({ constant }) => constant!), [
          keyValueHeads,
        ]),
      }).scaledValue.data;
      measured.valueHeads.forEach(({ value, usedValue, theta: learned, constant }, h) => {
        const at = (data: Float64Array, t: number) =>
          mean(
            Array.from({ length: batch }, (_, b) =>
              norm(data, (b * keyValueHeads + h) * context + t, headDim)),
          );
        near(value.sink, at(attention.value, 0), "‖v_0‖");
        near(value.early, mean([1, 2, 3, 4, 5].map((t) => at(attention.value, t))), "early ‖v‖");
        near(usedValue.sink, at(used, 0), "‖v̂_0‖");
        near(learned, theta[2]![h]!, "θ");
        near(constant, modelDim * headDim * 4e-4 * Math.exp(theta[2]![h]!), "C");
      });
      const summed = (data: Float64Array, heads: number, width: number, t: number) =>
        Math.hypot(...Array.from({ length: heads * width }, (_, i) => {
          const head = Math.floor(i / width);
          return Array.from(
            { length: batch },
            (_, b) => data[((b * heads + head) * context + t) * width + i % width]!,
          ).reduce((a, b) => a + b, 0);
        }));
      const { gradients } = attention;
      for (let t = 0; t < context; t++) {
        near(measured.gradients.norm[t], summed(gradients.norm, 1, modelDim, t), "‖∇h̃‖");
        near(measured.gradients.query[t], summed(gradients.query, 4, headDim, t), "‖∇q‖");
        near(measured.gradients.key[t], summed(gradients.key, 2, headDim, t), "‖∇k‖");
        near(measured.gradients.value[t], summed(gradients.value, 2, headDim, t), "‖∇v‖");
      }
      const others = [1, 2, 3, 4, 5, 6, 7].map((t) => summed(gradients.norm, 1, modelDim, t));
      near(
        measured.gradientSink.ratio,
        summed(gradients.norm, 1, modelDim, 0) / mean(others),
        "R_GS",
      );
      assertEquals(measured.gradients.query[0], 0);
    },
  },
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
    name: "bounds are attained where they must be",
    check({ checkTheory }) {
      // One value head is read by one query head; the last position is seen by one query only.
      const config = { keyValueHeads: 4, vScale: "none" as const };
      const model = tracedModel({ config, batch: 2 });
      const { checks } = checkTheory(model.trace, model);
      for (const name of ["weighted value bound", "mass bound", "second-moment bound"]) {
        const { slack } = checks.find((check) => check.name === name)!;
        assert(Math.abs(slack[0]!.all[0]! - 1) < 1e-9, `${name}: least slack ${slack[0]!.all[0]}`);
      }
      // The same for a gradient across h, with all gains alike: J is then that multiple of the identity.
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
      // Queries are 0, so attention is even: weights 1; ½, ½. Values with r = C, where λ∥ = 1, and r = 3C, where λ∥ = 9/8.
      const c = 4 * 4 * 0.02 ** 2;
      const [v0, v1] = [Math.sqrt(c), Math.sqrt(3 * c)] as const;
      // β_10 = 7 (v0 − y1) = −β_11, and ∇q_1 = ½ (½ β_10 4 + ½ β_11 0) for keys 4 and 0, whose mean is 2.
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
      // ‖∇q_1‖ ≤ ½ |β| 2; ‖∇q_0‖ is 0 and has none.
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

/** Whether two results hold the same numbers, but for rounding. */
function sameNumbers(actual: unknown, wanted: unknown, path: string): void {
  if (typeof wanted === "number" && typeof actual === "number") {
    const size = Math.max(1e-9, Math.abs(wanted));
    assert(Math.abs(actual - wanted) <= 1e-9 * size, `${path}: ${actual}, wanted ${wanted}`);
  } else if (typeof wanted === "object" && wanted !== null) {
    for (const [name, value] of Object.entries(wanted)) {
      sameNumbers((actual as Record<string, unknown>)[name], value, `${path}.${name}`);
    }
  } else assertEquals(actual, wanted, path);
}
