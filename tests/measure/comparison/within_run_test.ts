/**
 * Ratios within one run: their intervals keep the confidence level, even if processes differ much.
 */
import { compareWithinRun } from "../../../src/measure/comparison/within_run.ts";
import { estimateTimes } from "../../../src/measure/estimate.ts";
import { comparePair } from "../../../src/measure/comparison/pair.ts";
import { fromOneProcess, syntheticProcesses } from "../synthetic.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

Deno.test("compareWithinRun()'s intervals contain the ratio, and differing processes do not widen them", () => {
  const runs = 200;
  let held = 0, width = 0, separate = 0;
  for (let seed = 0; seed < runs; seed++) {
    const measurements = syntheticProcesses({
      seed,
      processes: 5,
      times: [1e5, 1.02e5, 3e5, 7e4, 2e6, 4e4],
      samples: 12,
      sigma: 0.02,
      rowSigma: 0.01,
      processSigma: 0.1,
    });
    const estimates = estimateTimes(measurements);
    const [plain, other] = measurements.map((each) => estimates.get(each)!);
    const { interval } = compareWithinRun(plain!.time, other!.time);
    if (interval!.low <= 1.02 && 1.02 <= interval!.high) held++;
    width += (interval!.high - interval!.low) / runs;
    const apart = comparePair(plain, other).interval!;
    separate += (apart.high - apart.low) / runs;
  }
  console.log(`    ${held} of ${runs} hold it; ${width} wide, ${separate} if rounds counted`);
  // The expected number is 190, 95 % of 200. A deviation of 12 is about four standard deviations.
  assert(held >= 190 - 12, `${held} of ${runs} intervals hold the ratio`);
  assert(width < 0.06 && separate > 0.15, `${width}, ${separate}`);
});

Deno.test("compareWithinRun() assumes that a single process differs from others", () => {
  const measurements = [1e5, 1.02e5].map((time) =>
    fromOneProcess({ samples: Array(20).fill(time) })
  );
  const estimates = estimateTimes(measurements);
  const [plain, other] = measurements.map((each) => estimates.get(each)!.time);
  const { ratio, interval } = compareWithinRun(plain!, other!);
  assert(Math.abs(ratio - 1.02) < 1e-9 && interval!.low < 0.9 && interval!.high > 1.1);
  assertEquals(compareWithinRun(plain!, plain!).ratio, 1);
});
