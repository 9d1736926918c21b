/** States and attention maps agree with plain formulas on the twin's trace. */
import { llamaGradients } from "../../src/reference/llama.ts";
import { attentionColumn } from "../../src/sinks/attention_column.ts";
import { StatesMeter } from "../../src/sinks/states.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { llamaBatch, llamaParameters, SMALL_LLAMA } from "../support/model/llama.ts";

const config = { ...SMALL_LLAMA, layersWithoutAttention: [1] };
const [BATCH, CONTEXT] = [3, 12];
const parameters = new Map(
  [...llamaParameters(config, { seed: 4 })].map(([name, each]) => [name, Float64Array.from(each)]),
);
const batch = llamaBatch(config, { batch: BATCH, context: CONTEXT, seed: 4 });
const { trace } = llamaGradients({ config, parameters, batch });

const heads = Array.from({ length: config.queryHeads }, (_, head) => head);
/** The scores by layer and head, which decide which heads are shown. */
const scores = [heads.map((head) => 0.1 + 0.01 * head), [], heads.map((head) => 0.2 + 0.01 * head)];

function measure(tokens?: string[]) {
  const meter = new StatesMeter({ config, context: CONTEXT, settings: { window: 5 } });
  trace.layers.forEach((layer, index) => meter.addLayer(index, layer, BATCH));
  return meter.result({ scores, head: { layer: 0, head: 1 }, tokens });
}

Deno.test("StatesMeter shows the requested head, and each head once", () => {
  const { maps, layers } = measure();
  const last = config.queryHeads - 1;
  assertEquals(maps.map(({ layer, head, why }) => [layer, head, why]), [
    [0, 1, "the head asked for"],
    [2, last, "most attention to token 0"],
    // Among the scores of all heads of layers 0 and 2, the median is that of layer 0's last head.
    [0, last, "the median score"],
    [0, 0, "least attention to token 0"],
  ]);
  assertEquals(layers[1]!.sinkRates, null);
  const same = new StatesMeter({ config, context: CONTEXT });
  trace.layers.forEach((layer, index) => same.addLayer(index, layer, BATCH));
  const own = same.result({ scores, head: { layer: 2, head: last } }).maps;
  assertEquals(own.map(({ why }) => why), [
    "the head asked for",
    "the median score",
    "least attention to token 0",
  ]);
});

Deno.test("StatesMeter calls a head a sink if its score exceeds the threshold and uniform attention", () => {
  const names = (...scores: number[]) => {
    const settings = { window: 5, threshold: 0.3, position: 2 };
    const meter = new StatesMeter({ config, context: CONTEXT, settings });
    trace.layers.forEach((layer, index) => meter.addLayer(index, layer, BATCH));
    const { maps } = meter.result({ scores: [[...scores, 0.1, 0.1].slice(0, 3), [], []] });
    return maps.map(({ why }) => why);
  };
  const [most, least] = ["most attention to token 2", "least attention to token 2"];
  assertEquals(names(0.5, 0.4, 0.31), [
    "the strongest sink",
    "the median score",
    "the weakest sink",
  ]);
  assertEquals(names(0.5, 0.4, 0.3), ["the strongest sink", "the median score", least]);
  assertEquals(names(0.3, 0.29, 0.28), [most, "the median score", least]);
  // Uniform attention to token 0 over 5 queries scores 0.46, so no head is a sink here.
  const first = new StatesMeter({ config, context: CONTEXT, settings: { window: 5 } });
  trace.layers.forEach((layer, index) => first.addLayer(index, layer, BATCH));
  const uniform = first.result({ scores: [[0.45, 0.44, 0.43], [], []] });
  assertEquals(uniform.maps[0]!.why, "most attention to token 0");
});

Deno.test("StatesMeter shows the first text's attention with its tokens, and the mean over all texts", () => {
  const tokens = Array.from({ length: CONTEXT }, (_, i) => `t${i}`);
  const { maps, firstText } = measure(tokens);
  assertEquals(firstText!.tokens, tokens);
  assertEquals(measure().firstText, undefined);
  const shape = { ...config, batch: BATCH, context: CONTEXT };
  for (const [i, { layer, head, size, weights }] of maps.entries()) {
    const first = firstText!.maps[i]!;
    assertEquals([first.layer, first.head, first.size], [layer, head, size]);
    for (const key of [0, 3]) {
      const column = attentionColumn(trace.layers[layer]!.attention!, { shape, position: key });
      for (let query = key; query < CONTEXT; query++) {
        const of = (text: number) => column[(text * config.queryHeads + head) * CONTEXT + query]!;
        const mean = (of(0) + of(1) + of(2)) / 3;
        // Shown with three digits.
        assert(Math.abs(weights[query * size + key]! - mean) <= 0.00051);
        assert(Math.abs(first.weights[query * size + key]! - of(0)) <= 0.00051);
      }
    }
  }
});

Deno.test("StatesMeter finds the channels with the largest elements", () => {
  const { channels } = measure();
  const { modelDim } = config;
  const largest = trace.layers.map(({ output }) =>
    Array.from({ length: modelDim }, (_, dimension) => {
      let sum = 0;
      for (let text = 0; text < BATCH; text++) {
        let most = 0;
        for (let t = 0; t < CONTEXT; t++) {
          most = Math.max(most, Math.abs(output[(text * CONTEXT + t) * modelDim + dimension]!));
        }
        sum += most;
      }
      return sum / BATCH;
    })
  );
  const { dimensions } = channels!;
  assertEquals(dimensions.length, Math.min(16, modelDim));
  const overall = (dimension: number) => Math.max(...largest.map((layer) => layer[dimension]!));
  const left = Array.from({ length: modelDim }, (_, i) => i).filter((i) => !dimensions.includes(i));
  const least = Math.min(...dimensions.map(overall));
  assert(left.every((dimension) => overall(dimension) <= least));
  assertEquals(channels!.largest, largest.map((layer) => dimensions.map((i) => layer[i]!)));
});
