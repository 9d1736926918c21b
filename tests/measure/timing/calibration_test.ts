import { randomUniform } from "../../../src/random.ts";
import {
  calibrateTicks,
  type ClockAnchor,
  observeClockStep,
  observeQuantum,
} from "../../../src/measure/timing/calibration.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";

// Readings, at 512 irregular moments, of a clock that advances in steps of `step` ns. Each reading
// is rounded to whole ns.
function timesOf(step: number, seed = 1): number[] {
  let time = 1e12;
  return [...randomUniform({ seed, length: 512, minimum: 3_000, maximum: 33_000 })].map((wait) => {
    time += wait;
    return Math.round(Math.round(time / step) * step);
  });
}

// Readings of a GPU clock with ticks of `length` ns, each between two readings of the host's clock
// that are 0.2 to 8 ms apart.
function anchorsOf(length: number, seed = 1): ClockAnchor[] {
  const delays = randomUniform({ seed, length: 40, minimum: 0.1e6, maximum: 4e6 });
  return Array.from({ length: 20 }, (_, i) => {
    const time = 5e9 + 15e6 * i;
    return {
      ticks: Math.round((time - 4e9) / length),
      before: time - delays[2 * i]!,
      after: time + delays[2 * i + 1]!,
    };
  });
}

Deno.test("observeQuantum() finds whole steps exactly", () => {
  for (const step of [1, 2, 32, 1000, 65_536, 100_000]) {
    assertEquals(observeQuantum(timesOf(step)), step);
  }
});

Deno.test("observeQuantum() finds steps of fractional ticks", () => {
  // Apple's clock ticks at 24 MHz, Intel's at 19.2 or 12 MHz. 76.8 MHz stands for faster clocks.
  for (const hertz of [24e6, 19.2e6, 12e6, 76.8e6]) {
    const step = 1e9 / hertz;
    for (const seed of [1, 2, 3]) {
      const found = observeQuantum(timesOf(step, seed)) ?? 0;
      // observeQuantum() fits the step to 512 readings over 9 ms. So the step is more precise than
      // the difference of two readings, each of which is rounded to whole ticks.
      assert(Math.abs(found - step) < 1e-3 * step, `${found} for ${step}`);
    }
  }
});

Deno.test("observeQuantum() sees no pattern where there is none", () => {
  for (const seed of [1, 2, 3, 4, 5]) assertEquals(observeQuantum(timesOf(1, seed)), 1);
});

Deno.test("observeQuantum() has no data from a clock that stands still", () => {
  assertEquals(observeQuantum([7, 7, 7]), undefined);
  assertEquals(observeQuantum([]), undefined);
});

Deno.test("calibrateTicks() recognizes ticks of 1 ns", () => {
  const found = calibrateTicks(anchorsOf(1));
  assertEquals(found?.nanosecondsPerTick, 1);
  // The first and last readings are 285 ms apart. Each falls in a window of at most 8 ms, so their
  // distance is known to ±8 ms.
  assert(found!.calibrationError < 8 / 285, `${found!.calibrationError}`);
});

Deno.test("calibrateTicks() finds other tick lengths within the error that it states", () => {
  for (const length of [10, 52.083, 83.333, 0.5, 1.2]) {
    for (const seed of [1, 2, 3]) {
      const found = calibrateTicks(anchorsOf(length, seed))!;
      const error = Math.abs(found.nanosecondsPerTick / length - 1);
      assert(error <= found.calibrationError * 1.05, `${found.nanosecondsPerTick} for ${length}`);
      assert(found.nanosecondsPerTick !== 1);
    }
  }
});

Deno.test("calibrateTicks() refuses clocks that do not run evenly", () => {
  const good = anchorsOf(1);
  assertEquals(calibrateTicks(good.map((each) => ({ ...each, ticks: 0 }))), undefined);
  assertEquals(calibrateTicks(good.map((each) => ({ ...each, ticks: -each.ticks }))), undefined);
  // A clock that restarts with every submission.
  assertEquals(calibrateTicks(good.map((each, i) => ({ ...each, ticks: i % 3 }))), undefined);
  // A clock that changes its pace halfway.
  const changed = good.map((each, i) => i < 10 ? each : { ...each, ticks: 1.5 * each.ticks });
  assertEquals(calibrateTicks(changed), undefined);
  // A clock that stops for a moment is refused even if only one pair of readings shows it.
  const still = [[0, 0], [100, 100], [104, 100]].map(([time, ticks]) => ({
    ticks: 1e6 * ticks!,
    before: 1e6 * (time! - 1.5),
    after: 1e6 * (time! + 1.5),
  }));
  assertEquals(calibrateTicks(still), undefined);
  assert(calibrateTicks(still.slice(0, 2)) !== undefined);
  // All readings have the same wide span of host time, which does not tell when each was taken.
  assertEquals(
    calibrateTicks(good.map((each) => ({ ...each, before: 0, after: 1e10 }))),
    undefined,
  );
  assertThrows(() => calibrateTicks(good.slice(0, 1)), RangeError, "1 anchors");
});

Deno.test("observeClockStep() finds the step of a coarse clock", () => {
  let reading = 0;
  assertEquals(observeClockStep(() => 100 * Math.floor(reading++ / 7)), 100);
  assertEquals(observeClockStep(() => 5), 0);
});
