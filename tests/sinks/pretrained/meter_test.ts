/** The measurements of pretrained models agree with plain formulas on the twin's trace. */
import { llamaGradients } from "../../../src/reference/llama.ts";
import type { LlamaConfig } from "../../../src/reference/llama/config.ts";
import { attentionColumn } from "../../../src/sinks/attention_column.ts";
import { DEFAULT_SINK_SETTINGS } from "../../../src/sinks/measurement/settings.ts";
import { SinkMeter } from "../../../src/sinks/meter.ts";
import { GradientGram } from "../../../src/sinks/pretrained/gradient_interval.ts";
import { PretrainedMeter } from "../../../src/sinks/pretrained/meter.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { llamaBatch, llamaParameters, SMALL_LLAMA } from "../../support/model/llama.ts";

const config: LlamaConfig = { ...SMALL_LLAMA, layersWithoutAttention: [] };
const [BATCH, CONTEXT] = [3, 12];
const settings = { window: 5, threshold: 0.25, lastGradientPosition: 7 };

const parameters = new Map(
  [...llamaParameters(config, { seed: 4 })].map(([name, each]) => [name, Float64Array.from(each)]),
);
const batch = llamaBatch(config, { batch: BATCH, context: CONTEXT, seed: 4 });
const { trace, loss } = llamaGradients({ config, parameters, batch });

/** Adds the trace's texts to a PretrainedMeter `times` times. Returns its result and the scores. */
function measure(times = 1) {
  const meter = new PretrainedMeter({ config, context: CONTEXT, settings });
  const sinks = new SinkMeter({ config, context: CONTEXT, settings });
  sinks.add(trace, { loss });
  for (let time = 0; time < times; time++) {
    trace.layers.forEach((layer, index) => meter.addLayer(index, layer, BATCH));
    meter.addLosses([1, 2, 6]);
  }
  const measured = sinks.result();
  const scores = measured.layers.map(({ attention }) => attention!.heads.map(({ score }) => score));
  return { found: meter.result({ scores }), scores };
}

Deno.test("PretrainedMeter counts each pair of text and head by its score, at every position", () => {
  const { found } = measure();
  assertEquals(found.sinkPositions, [0, 1, 2, 3, 4, 5, 6, 7]);
  const shape = { ...config, batch: BATCH, context: CONTEXT };
  trace.layers.forEach((layer, index) => {
    const rates = found.sinkPositions.map((position) => {
      const column = attentionColumn(layer.attention!, { shape, position });
      let count = 0;
      for (let row = 0; row < BATCH * config.queryHeads; row++) {
        let sum = 0, uniform = 0;
        for (let t = position; t < position + settings.window; t++) {
          sum += column[row * CONTEXT + t]!;
          uniform += 1 / (t + 1);
        }
        // A sink's score must also exceed the score of uniform attention, 0.46 at position 0.
        if (sum / settings.window > settings.threshold && sum > uniform) count++;
      }
      return count / (BATCH * config.queryHeads);
    });
    assertEquals(found.layers[index]!.sinkRates, rates);
    assert(rates.some((rate) => rate > 0 && rate < 1), "every pair is alike, which shows little");
  });
  const mean = found.sinkRates.reduce((sum, rate) => sum + rate, 0) / BATCH;
  const byLayer = found.layers.reduce((sum, { sinkRates }) => sum + sinkRates[0]!, 0) / 3;
  assert(Math.abs(mean - byLayer) < 1e-12, `${mean} by texts, ${byLayer} by layers`);
});

Deno.test("PretrainedMeter shows the attention of the strongest, the median and the weakest head", () => {
  const { found, scores } = measure();
  const all = scores.flat().sort((a, b) => b - a);
  assertEquals(
    found.maps.map(({ layer, head }) => scores[layer]![head]),
    [all[0], all[6], all[11]],
  );
  for (const { size, weights } of found.maps) {
    assertEquals([size, weights.length], [CONTEXT, CONTEXT ** 2]);
    for (let t = 0; t < size; t++) {
      const row = weights.slice(t * size, (t + 1) * size);
      assertEquals(row.slice(t + 1), new Array(size - t - 1).fill(0));
      const sum = row.reduce((total, each) => total + each, 0);
      assert(Math.abs(sum - 1) <= 0.0005 * size, `the weights of query ${t} sum up to ${sum}`);
    }
  }
});

Deno.test("PretrainedMeter's intervals contain the means, and R_GS of all texts", () => {
  const { found } = measure(3);
  const { loss, sinkRate, gradientSink } = found.intervals;
  const [low, high] = loss!;
  assert(sinkRate !== null && low >= 1 && low < 3 && high > 3 && high <= 6, `${low} to ${high}`);
  assert(gradientSink !== null && gradientSink[0] < gradientSink[1], `${gradientSink}`);
  // Here the texts' gradients differ only by a factor. So every resample of the texts has the same
  // R_GS, and the interval has no width.
  const same = new PretrainedMeter({ config, context: CONTEXT, settings });
  trace.layers.forEach((layer, index) => {
    const gradient = layer.attention!.gradients.norm;
    const length = gradient.length / BATCH;
    const norm = gradient.map((_, i) => gradient[i % length]! * (1 + Math.floor(i / length)));
    const attention = { ...layer.attention!, gradients: { ...layer.attention!.gradients, norm } };
    for (let time = 0; time < 3; time++) same.addLayer(index, { ...layer, attention }, BATCH);
  });
  for (let time = 0; time < 3; time++) same.addLosses([1, 2, 6]);
  const [least, most] = same.result({ scores: [[1]] }).layers[0]!.gradientSinkInterval!;
  assert(most / least - 1 < 1e-9, `${least} to ${most}`);
});

Deno.test("GradientGram's R_GS of all texts is the meter's, also for a sink beyond T_e", () => {
  for (const position of [0, 3, 7, 8, CONTEXT - 1]) {
    const options = { ...DEFAULT_SINK_SETTINGS, ...settings, position, window: 1 };
    const sinks = new SinkMeter({ config, context: CONTEXT, settings: options });
    sinks.add(trace, { loss });
    sinks.result().layers.forEach(({ attention }, index) => {
      const gram = new GradientGram({ context: CONTEXT, width: config.modelDim }, options);
      gram.add(trace.layers[index]!.attention!.gradients.norm, BATCH);
      const ratio = gram.ratios()([1, 1, 1])!;
      const wanted = attention!.gradientSink.ratio!;
      const what = `s = ${position}, layer ${index}: ${ratio} against ${wanted}`;
      // The gram keeps gradients in float32.
      assert(Math.abs(ratio / wanted - 1) < 1e-5, what);
    });
  }
});

Deno.test("PretrainedMeter gives no intervals for fewer than 8 texts", () => {
  const { layers, intervals } = measure(2).found;
  assertEquals(intervals, { loss: null, sinkRate: null, gradientSink: null });
  assertEquals(layers.map(({ gradientSinkInterval }) => gradientSinkInterval), [null, null, null]);
});
