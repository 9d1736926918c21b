import { randomNormal } from "../../../src/random.ts";
import { GradientUnits } from "../../../src/sinks/intervals/gradient_units.ts";
import { SequenceUnits } from "../../../src/sinks/intervals/units.ts";
import { DEFAULT_SINK_SETTINGS } from "../../../src/sinks/measurement/settings.ts";
import { GradientMeter, gradientSinkRatio } from "../../../src/sinks/meters/gradient.ts";
import { bootstrapInterval } from "../../../src/statistics/resampling.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

Deno.test("SequenceUnits keeps 64 to 128 groups of equal size, and loses no sequence", () => {
  for (const sequences of [1, 7, 128, 129, 300, 1000]) {
    const units = new SequenceUnits(1);
    for (let i = 0; i < sequences; i++) units.next()[0]! += i;
    const sums = units.sums.map(([sum]) => sum!);
    assertEquals(sums.reduce((a, b) => a + b), sequences * (sequences - 1) / 2);
    assert(sums.length <= 128 && (sequences < 64 || sums.length >= 64), `${sums.length}`);
    const size = Math.ceil(sequences / sums.length);
    const full = Math.floor(sequences / size);
    for (let i = 0; i < full; i++) {
      // Group i is the sum of `size` consecutive integers, of which i · size is the first.
      assertEquals(sums[i], size * (i * size) + size * (size - 1) / 2, `${sequences} ${i}`);
    }
  }
});

const SHAPE = { heads: 1, context: 5, width: 12 };
const SEQUENCES = 40;

/**
 * Gradients of sequences: at position 0 they agree in direction, elsewhere they are mostly noise.
 */
function gradients(seed: number): Float32Array {
  const { context, width } = SHAPE;
  const noise = randomNormal({ seed, length: SEQUENCES * context * width });
  return Float32Array.from(noise, (each, i) => each + (i % (context * width) < width ? 1 : 0.05));
}

Deno.test("GradientUnits and GradientMeter agree on the original sequences", () => {
  const [units, meter] = [new GradientUnits(SHAPE, 31), new GradientMeter(SHAPE)];
  for (let seed = 1; seed <= 5; seed++) {
    units.add(gradients(seed), SEQUENCES);
    meter.add(gradients(seed), SEQUENCES);
  }
  // 200 sequences make 100 groups of two; float32 sums of two have errors of about 1e-7.
  assertEquals(units.count, 100);
  const summed = meter.summed().map((norm) => norm * 5 * SEQUENCES);
  units.norms()(new Uint32Array(100).fill(1)).forEach((norm, t) => {
    assert(Math.abs(norm / summed[t]! - 1) < 1e-6, `${t}: ${norm} ${summed[t]}`);
  });
});

Deno.test("intervals of R_GS contain other sequences' mean about as often as promised", () => {
  const ratios: number[] = [];
  const intervals: (readonly [number, number])[] = [];
  for (let trial = 0; trial < 120; trial++) {
    const meter = new GradientMeter(SHAPE);
    const units = new GradientUnits(SHAPE, 31);
    meter.add(gradients(1000 + trial), SEQUENCES);
    units.add(gradients(1000 + trial), SEQUENCES);
    ratios.push(gradientSinkRatio(meter.summed(), DEFAULT_SINK_SETTINGS).ratio!);
    const norms = units.norms();
    intervals.push(bootstrapInterval(units.count, {
      seed: 1,
      statistic: (counts) => gradientSinkRatio(norms(counts), DEFAULT_SINK_SETTINGS).ratio!,
    }));
  }
  // The mean of 120 trials stands for the true ratio, because its standard error is only about a
  // fortieth of an interval's width.
  const mean = ratios.reduce((sum, each) => sum + each, 0) / ratios.length;
  const held = intervals.filter(([low, high]) => low <= mean && mean <= high).length;
  // 95 % of 120 are 114; a binomial count out of 120 is at least 105 in 999 of 1,000 cases.
  assert(held >= 105, `${held} of 120`);
  // A normal 95 % interval is 2 · 1.96 standard deviations wide. On average, the bootstrap's
  // intervals must be less than 1.5 times as wide.
  const deviation = Math.sqrt(
    ratios.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (ratios.length - 1),
  );
  const width = intervals.reduce((sum, [low, high]) => sum + high - low, 0) / intervals.length;
  assert(width / (3.92 * deviation) < 1.5, `${width / (3.92 * deviation)} times as wide`);
});
