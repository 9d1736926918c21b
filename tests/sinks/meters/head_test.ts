import { attentionColumn } from "../../../src/sinks/attention_column.ts";
import { HeadMeter } from "../../../src/sinks/meters/head.ts";
import { DEFAULT_SINK_SETTINGS } from "../../../src/sinks/measurement/settings.ts";
import { isSink, uniformScore } from "../../../src/sinks/uniform.ts";
import stored from "../../../fixtures/sinks/attention_rates.json" with { type: "json" };
import { assert, assertEquals } from "../../support/assert/assert.ts";

const { batch, heads: queryHeads, queries: context } = stored;

/**
 * Attention states of the stored sequences from `first` to `end`. Queries give `position` the
 * stored weights a, because all logits are 0 and logSumExp is −log a.
 */
function statesOf(position: number, first: number, end: number) {
  const columns = stored.columns as Readonly<Record<string, readonly number[]>>;
  const weights = columns[position]!.slice(
    first * queryHeads * context,
    end * queryHeads * context,
  );
  const length = weights.length;
  return {
    query: new Float64Array(length),
    key: new Float64Array(length),
    logSumExp: Float64Array.from(weights, (a) => a === 0 ? 0 : -Math.log(a)),
  };
}

Deno.test("HeadMeter finds numpy's sink rates on stored attention, in batches of any size", () => {
  assertEquals(stored.cases.length, 6);
  for (const { position, window, threshold, byHead, uniform } of stored.cases) {
    for (const size of [batch, 1, 4]) {
      const meter = new HeadMeter(queryHeads, {
        ...DEFAULT_SINK_SETTINGS,
        position,
        window,
        threshold,
      });
      for (let first = 0; first < batch; first += size) {
        const end = Math.min(first + size, batch);
        const heads = { queryHeads, keyValueHeads: queryHeads, context, headDim: 1 };
        const shape = { batch: end - first, ...heads };
        const column = attentionColumn(statesOf(position, first, end), { shape, position });
        meter.add(column, { shape, idle: undefined });
      }
      const found = meter.result();
      assertEquals(found.map(({ sinkRate }) => sinkRate), byHead);
      assertEquals(found.map(({ idleSinkRate }) => idleSinkRate), [null, null, null, null]);
      assert(Math.abs(meter.uniform().score - uniform) < 1e-12);
      // The last head attends uniformly. That is no sink, whatever the window and the threshold.
      assertEquals(found.at(-1)!.sinkRate, 0);
    }
  }
  // The stored cases must be able to show two mistakes: to count heads by mean scores instead of
  // (sequence, head) pairs, and to count uniform attention over few queries as a sink.
  assert(stored.cases.some(({ published, ofMeans }) => published > 0 && ofMeans === 0));
  assert(stored.cases.some(({ sinkRate, published }) => sinkRate < published));
});

Deno.test("uniformScore() is the mean of 1 / (t + 1), and does not count as a sink", () => {
  assertEquals(uniformScore(0, 64).toFixed(3), "0.074");
  assertEquals(uniformScore(0, 8).toFixed(2), "0.34");
  assertEquals(uniformScore(2, 4), (1 / 3 + 1 / 4) / 2);
  const uniform = uniformScore(0, 8);
  assert(!isSink(uniform * (1 + 1e-6), { threshold: 0.3, uniform }));
  assert(isSink(uniform * 1.01, { threshold: 0.3, uniform }));
  assert(!isSink(0.3, { threshold: 0.3, uniform: 0.074 }));
});
