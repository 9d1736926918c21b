import {
  checkSettings,
  compareEarly,
  medianOf,
  quantile,
  quartilesOf,
  thinnedPositions,
} from "../../src/sinks/numbers.ts";
import { DEFAULT_SINK_SETTINGS } from "../../src/sinks/measurement/settings.ts";
import { gradientSinkRatio } from "../../src/sinks/meters/gradient.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";

Deno.test("quantile() interpolates as numpy does", () => {
  // numpy.quantile([1, 2, 4, 8, 16], [0, .1, .25, .5, .9, 1])
  const values = [1, 2, 4, 8, 16];
  const wanted = [[0, 1], [0.1, 1.4], [0.25, 2], [0.5, 4], [0.9, 12.8], [1, 16]] as const;
  for (const [level, value] of wanted) {
    assert(
      Math.abs(quantile(values, level) - value) < 1e-12,
      `${level}: ${quantile(values, level)}`,
    );
  }
  assertEquals(quantile([7], 0.3), 7);
});

Deno.test("medianOf() and quartilesOf() accept any order and give nothing for no numbers", () => {
  assertEquals(medianOf([3, 1, 2, 10]), 2.5);
  assertEquals(medianOf([]), undefined);
  assertEquals(quartilesOf([4, 1, 3, 2]), { lower: 1.75, median: 2.5, upper: 3.25 });
  assertEquals(quartilesOf([]), null);
});

Deno.test("compareEarly() and gradientSinkRatio() ignore positions beyond the sequence", () => {
  const settings = DEFAULT_SINK_SETTINGS;
  assertEquals(compareEarly([6, 1, 2, 3], settings), { sink: 6, early: 2, ratio: 3 });
  assertEquals(gradientSinkRatio([6, 1, 2, 3], settings), { sink: 6, early: 2, ratio: 3 });
  // `compareEarly` compares token 0 with positions 1 to 15, `gradientSinkRatio` with 1 to 31.
  const steps = Array.from(
    { length: 100 },
    (_, t) => t === 0 ? 30 : t <= 15 ? 1 : t <= 31 ? 3 : 99,
  );
  assertEquals(compareEarly(steps, settings).ratio, 30);
  assertEquals(gradientSinkRatio(steps, settings).early, (15 + 3 * 16) / 31);
  assertEquals(compareEarly([6, 0, 0], settings).ratio, null);
});

Deno.test("thinnedPositions() keeps early positions, powers of two, the last one and s", () => {
  assertEquals(thinnedPositions(4, { position: 0 }), [0, 1, 2, 3]);
  const kept = thinnedPositions(300, { position: 70 });
  assertEquals(kept.slice(0, 32), Array.from({ length: 32 }, (_, t) => t));
  assertEquals(kept.slice(32), [63, 70, 127, 255, 299]);
  assertEquals(thinnedPositions(40, { position: 0, dense: 15 }).slice(16), [31, 39]);
});

Deno.test("checkSettings() names settings that a sequence does not allow", () => {
  const cases = [
    [{ position: 5 }, "position is 5, wanted an integer from 0 to 4"],
    [{ position: -1 }, "position is -1, wanted an integer from 0 to 4"],
    [{ window: 0 }, "window is 0, wanted an integer of at least 1"],
    [{ window: 1.5 }, "window is 1.5, wanted an integer of at least 1"],
    [{ threshold: 1.1 }, "threshold is 1.1, wanted a number from 0 to 1"],
    [{ threshold: NaN }, "threshold is NaN, wanted a number from 0 to 1"],
    [{ early: [7, 9] as const }, "early[0] is 7, wanted an integer from 0 to 4"],
    [{ early: [2, 1] as const }, "early[1] is 1, wanted an integer of at least 2"],
    [{ position: 2, early: [2, 2] as const }, "no early token to compare position 2 with"],
    [{ lastGradientPosition: 0 }, "no early token to compare position 0 with"],
  ] as const;
  for (const [change, message] of cases) {
    const settings = { ...DEFAULT_SINK_SETTINGS, ...change };
    assertThrows(() => checkSettings(settings, 5), RangeError, message);
  }
  checkSettings(DEFAULT_SINK_SETTINGS, 2);
});
