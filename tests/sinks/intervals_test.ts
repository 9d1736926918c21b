import type { Interval } from "../../src/statistics/resampling.ts";
import { IntervalMeter } from "../../src/sinks/intervals.ts";
import { SinkMeter } from "../../src/sinks/meter.ts";
import type { SinkMeasurement } from "../../src/sinks/measurement.ts";
import type { SinkIntervals } from "../../src/sinks/measurement/intervals.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { tracedModel } from "../support/model/traces.ts";

/** Measures one model's trace for each seed. Equal seeds have equal traces. */
function measured(
  seeds: readonly number[],
  { batch = 3 }: { readonly batch?: number } = {},
): { readonly sinks: SinkMeasurement; readonly intervals: SinkIntervals | null } {
  const { config, trace: { context } } = tracedModel();
  const settings = { lastGradientPosition: 4, early: [1, 3], idleFrom: 1, threshold: 0.1 } as const;
  const [meter, spread] = [SinkMeter, IntervalMeter].map((Meter) =>
    new Meter({ config, context, settings })
  ) as [SinkMeter, IntervalMeter];
  for (const seed of seeds) {
    const { trace } = tracedModel({ seed, batch });
    const idle = Uint8Array.from({ length: trace.batch * context }, (_, i) => i % 3 === 0 ? 0 : 1);
    meter.add(trace, { idle, loss: seed });
    trace.layers.forEach((layer, index) =>
      spread.addLayer(index, layer, { batch: trace.batch, idle })
    );
    spread.addLosses(Array<number>(trace.batch).fill(seed));
  }
  return { sinks: meter.result(), intervals: spread.result() };
}

/** Every figure with its interval. */
function pairs(
  { layers, summary }: SinkMeasurement,
  spread: SinkIntervals,
): [string, number | null | undefined, Interval | null | undefined][] {
  const { paths } = summary;
  return [
    ...layers.flatMap(({ layer, attention }): ReturnType<typeof pairs> => {
      const own = spread.layers[layer];
      return attention === null ? [] : [
        [`R_GS ${layer}`, attention.gradientSink.ratio, own?.gradientSink],
        [`single R_GS ${layer}`, attention.singleGradientSink.ratio, own?.singleGradientSink],
        ...attention.heads.flatMap(({ head, score, idleScore }): ReturnType<typeof pairs> => [
          [`score ${layer} ${head}`, score, own?.scores[head]],
          [`idle score ${layer} ${head}`, idleScore, own?.idleScores[head]],
        ]),
      ];
    }),
    ["R_GS", summary.gradientSink?.median, spread.summary.gradientSink],
    ["single R_GS", summary.singleGradientSink?.median, spread.summary.singleGradientSink],
    ["sink rate", summary.sequenceSinkRate, spread.summary.sequenceSinkRate],
    ["idle sink rate", summary.idleSequenceSinkRate, spread.summary.idleSequenceSinkRate],
    ["largest score", summary.largestScore, spread.summary.largestScore],
    ["largest idle score", summary.largestIdleScore, spread.summary.largestIdleScore],
    ["values", paths?.value.ratio, spread.summary.valuePath],
    ["keys", paths?.key.ratio, spread.summary.keyPath],
    ["queries", paths?.query.ratio, spread.summary.queryPath],
  ];
}

Deno.test("IntervalMeter resamples the figures of SinkMeter: equal sequences have intervals of no width", () => {
  // The sample is the same sequence 12 times. So every resample equals the sample, and the figures
  // differ only by the rounding of float32 sums.
  const { sinks, intervals } = measured(Array(12).fill(5), { batch: 1 });
  const found = pairs(sinks, intervals!);
  assert(found.length > 15);
  for (const [name, value, interval] of found) {
    assert(typeof value === "number" && Array.isArray(interval), name);
    for (const end of interval as number[]) {
      assert(
        Math.abs(end - value) <= 1e-5 * Math.max(1e-9, Math.abs(value)),
        `${name} ${value} ${end}`,
      );
    }
  }
  assertEquals(intervals!.summary.loss, [5, 5]);
});

Deno.test("IntervalMeter gives the same intervals again, and they contain the measured figures", () => {
  const seeds = Array.from({ length: 24 }, (_, i) => i + 1);
  const { sinks, intervals } = measured(seeds);
  assertEquals(intervals, measured(seeds).intervals);
  for (const [name, value, interval] of pairs(sinks, intervals!)) {
    const [low, high] = interval!;
    assert(
      low <= value! && value! <= high && low < high || low === value,
      `${name} ${value} ${interval}`,
    );
  }
  const [low, high] = intervals!.summary.loss!;
  assert(low < 12.5 && high > 12.5);
});

Deno.test("IntervalMeter gives no intervals for fewer than 8 sequences", () => {
  assertEquals(measured(Array(7).fill(1), { batch: 1 }).intervals, null);
  assert(measured(Array(8).fill(1), { batch: 1 }).intervals !== null);
});
