import { DEFAULT_SINK_SETTINGS } from "../../../src/sinks/measurement/settings.ts";
import { GradientMeter, gradientSinkRatio } from "../../../src/sinks/meters/gradient.ts";
import { assertEquals } from "../../support/assert/assert.ts";

Deno.test("gradientSinkRatio() divides by the mean over the other positions up to T_e", () => {
  const ratio = (position: number, lastGradientPosition: number) =>
    gradientSinkRatio([12, 1, 2, 6, 100], {
      ...DEFAULT_SINK_SETTINGS,
      position,
      lastGradientPosition,
    });
  assertEquals(ratio(0, 3), { sink: 12, early: 3, ratio: 4 });
  assertEquals(ratio(3, 2), { sink: 6, early: 5, ratio: 6 / 5 });
  assertEquals(ratio(4, 3), { sink: 100, early: 21 / 4, ratio: 400 / 21 });
  assertEquals(ratio(0, 64).early, 109 / 4); // T_e lies past the end
});

Deno.test("GradientMeter takes the norms of the mean loss's gradient, and the mean of single norms", () => {
  const meter = new GradientMeter({ heads: 2, context: 2, width: 1 });
  // Each batch brings the gradient of its own mean loss: [B, heads, T, 1].
  meter.add(Float64Array.of(3, 1, 4, 0), 1);
  meter.add(Float64Array.of(-1, 2, 0, 0, 0, 0, 2, 0), 2);
  // Multiplied by the batch size, these numbers are each sequence's own gradients in both heads. At
  // position 0 the three sequences have (3, 4), (-2, 0) and (0, 4), at position 1 (1, 0), (4, 0)
  // and (0, 0).
  assertEquals(meter.summed(), [Math.hypot(1, 8) / 3, 5 / 3]);
  assertEquals(meter.single(), [(5 + 2 + 4) / 3, 5 / 3]);
});
