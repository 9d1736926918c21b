/** Measurements of whole models agree with plain recomputations. */
import * as reference from "../../../../src/reference/mod.ts";
import type { SinkSettings } from "../../../../src/sinks/measurement/settings.ts";
import { assert, assertEquals } from "../../assert/assert.ts";
import { mapTrace, tracedModel } from "../../model/traces.ts";
import { mean, near, type SinkProperty } from "./property.ts";

function norm(data: Float64Array, row: number, width: number): number {
  return Math.hypot(...data.subarray(row * width, (row + 1) * width));
}

export const recomputedProperties: readonly SinkProperty[] = [
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
          // A batch's gradients are those of the mean loss over its own sequences. So in a batch of
          // `count` of the 3 sequences they are 3 / count times as large.
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
      // Massive activations are counted batch by batch, so their counts may depend on the cut.
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
];

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
