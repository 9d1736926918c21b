import {
  ASSUMED_DEVIATION,
  differenceOf,
  differencePValue,
  estimateTimes,
  ratioInterval,
  summarizeMeasurements,
} from "../../src/measure/estimate.ts";
import { summarize } from "../../src/statistics/summary.ts";
import { studentQuantile } from "../../src/statistics/student.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { fromOneProcess, inProcesses, syntheticProcesses } from "./synthetic.ts";

function near(actual: number, expected: number, tolerance = 1e-12): void {
  assert(Math.abs(actual - expected) <= tolerance, `${actual}, wanted ${expected}`);
}

/** A measurement by several processes. Each of `values` is the only sample of one process. */
function row(B: number, ...values: number[]) {
  return inProcesses(fromOneProcess({ shape: { B }, samples: values }), values.length);
}

Deno.test("one row's interval is Student's, over its processes' medians", () => {
  const measurement = inProcesses(
    fromOneProcess({ samples: [90, 100, 999, 110, 110, 110, 120, 121, 122] }),
    3,
  );
  const { time } = estimateTimes([measurement]).get(measurement)!;
  const { center, error, df } = differenceOf([{
    baseline: { center: 0, errors: [], processes: 3 },
    candidate: time,
  }])!;
  near(center, Math.log(110));
  // The processes' medians are 100, 110 and 121. Their logarithms deviate from the mean by
  // −log 1.1, 0 and log 1.1.
  near(error, Math.log(1.1) / Math.sqrt(3));
  assertEquals(df, 2);
  const { interval, median } = summarizeMeasurements([measurement]).get(measurement)!;
  near(median!, 110, 1e-9);
  const reach = studentQuantile(0.025, 2) * Math.log(1.1) / Math.sqrt(3);
  near(interval!.high, 110 * Math.exp(reach), 1e-9);
});

Deno.test("a factor common to a round's rows remains each row's error, with the rounds' degrees of freedom", () => {
  // From round to round, all rows change by the same factor, and nothing else changes.
  const rows = [1, 2, 4, 8, 16].map((time, i) => row(i + 1, time, 1.1 * time, 1.21 * time));
  const found = estimateTimes(rows).get(rows[2]!)!.time;
  const [common, own] = found.errors;
  near(common!.variance, Math.log(1.1) ** 2 / 3);
  assertEquals(common!.df, 2);
  assert((own?.variance ?? 0) < 1e-9);
  // Averaging over rows does not reduce an error that all rows of a round share.
  const pairs = rows.map((each) => ({
    baseline: { center: 0, errors: [], processes: 3 },
    candidate: estimateTimes(rows).get(each)!.time,
  }));
  const mean = differenceOf(pairs)!;
  near(mean.error, Math.log(1.1) / Math.sqrt(3), 1e-6);
  assert(Math.abs(mean.df - 2) < 1e-3, `${mean.df}`);
});

Deno.test("rows that vary independently from round to round share their degrees of freedom", () => {
  const rows = syntheticProcesses({
    ...{ seed: 4, processes: 3, times: Array(24).fill(1e5), samples: 9, sigma: 0.001 },
    ...{ rowSigma: 0.05, processSigma: 0 },
  });
  const { errors: [common, own] } = estimateTimes(rows).get(rows[0]!)!.time;
  assert(common!.variance < own!.variance / 4, JSON.stringify([common, own]));
  assert(own!.df > 8, `${own!.df}`);
  near(Math.sqrt(3 * own!.variance), 0.05, 0.015);
});

Deno.test("a single process is assumed to differ from others; its interval is that of its samples", () => {
  const alone = fromOneProcess({ samples: Array(40).fill(100) });
  const { errors, processes } = estimateTimes([alone]).get(alone)!.time;
  assertEquals([processes, errors[0]!.variance], [1, ASSUMED_DEVIATION ** 2]);
  assertEquals(summarizeMeasurements([alone]).get(alone), summarize(alone.samples));
  const difference = differenceOf([{
    baseline: { center: Math.log(100), errors, processes },
    candidate: { center: Math.log(100), errors, processes },
  }])!;
  assert(ratioInterval(difference).high > 1.3);
  assertEquals(differencePValue(difference), 1);
});

Deno.test("CPU time and relative time are known if every process has them", () => {
  const samples = [100, 110, 121];
  const whole = inProcesses(
    fromOneProcess({ samples, cpuSamples: [50, 50, 50], throttleSamples: [10, 11, 12.1] }),
    3,
  );
  const found = estimateTimes([whole]).get(whole)!;
  near(found.cpu!.center, Math.log(50));
  near(found.relative!.center, Math.log(10));
  // The reference kernel's times grow by the same factors, so the relative time does not vary.
  near(found.relative!.errors[0]!.variance, 0);
  const partly = {
    ...whole,
    throttleSamples: [10],
    processes: [
      { round: 0, samples: 2, throttleSamples: 1 },
      { round: 1, samples: 1, throttleSamples: 0 },
    ],
  };
  assertEquals(estimateTimes([partly]).get(partly)!.relative, undefined);
});
