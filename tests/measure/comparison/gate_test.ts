import { compareResultFiles } from "../../../src/measure/comparison.ts";
import { type Gate, judgeGate } from "../../../src/measure/comparison/gate.ts";
import type { Measurement, ResultFile } from "../../../src/measure/result_file.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { noisySamples, syntheticMeasurement, syntheticResultFile } from "../synthetic.ts";

interface Row extends Partial<Measurement> {
  readonly median?: number;
  readonly count?: number;
}

/** A file whose row i has the shape B = i + 1. If `rows[i]` is undefined, the file lacks row i. */
function file(
  seed: number,
  rows: readonly (Row | undefined)[],
  fields: Partial<ResultFile> = {},
): { name: string; file: ResultFile } {
  const measurements = rows.flatMap((row, i) => {
    if (row === undefined) return [];
    const { median = 1000, count = 40, ...rest } = row;
    const samples = noisySamples({ seed: 100 * seed + i, count, median, sigma: 0.01, outliers: 0 });
    return [syntheticMeasurement({ shape: { B: i + 1 }, samples, ...rest })];
  });
  return {
    name: `file ${seed}`,
    file: syntheticResultFile({ label: `m${seed}`, measurements, ...fields }),
  };
}

function rowsOf(list: Gate["missing"]): number[] {
  return list.map(({ row }) => row.shape.B!).sort();
}

Deno.test("judgeGate() finds rows that got slower or broke, not those that were broken before", () => {
  const comparison = compareResultFiles([
    file(1, [{}, {}, {}, { samples: [], status: "failed" }]),
    file(2, [{ median: 1200 }, { median: 900 }, { samples: [], status: "wrong" }, {
      samples: [],
      status: "failed",
    }]),
  ], { threshold: 0.5 });
  const gate = judgeGate(comparison, 0.05);
  assertEquals(rowsOf(gate.regressions), [1, 3]);
  assertEquals(gate.regressions.map(({ status }) => status), ["ok", "wrong"]);
  // The median of 40 samples that vary by 1 % is off by about 0.2 %. The ratio of two such medians
  // is off by about 0.3 %.
  assert(Math.abs(gate.regressions[0]!.ratio! - 1.2) < 0.024);
  assertEquals([gate.missing, gate.undecided, gate.blind, gate.expected], [[], [], [], 3]);
  assertEquals(rowsOf(judgeGate(comparison, 0.3).regressions), [3]);
});

Deno.test("judgeGate() counts missing rows, with two files and with three", () => {
  const four = [{}, {}, {}, {}];
  const [before, whole] = [file(1, four), file(2, four)];
  const part = file(3, [{}, undefined, { samples: [] }, undefined], { status: "incomplete" });
  const two = judgeGate(compareResultFiles([before, part]), 0.05);
  assertEquals([rowsOf(two.missing), two.expected], [[2, 3, 4], 4]);
  assertEquals(two.incomplete.map(({ name }) => name), ["m3"]);
  // Rows that the third file lacks are missing, even if the second has them.
  const three = judgeGate(compareResultFiles([before, whole, part]), 0.05);
  assertEquals([rowsOf(three.missing), three.expected], [[2, 3, 4], 8]);
  // A row that only the later file has is new, not missing.
  const grown = judgeGate(compareResultFiles([part, before]), 0.05);
  assertEquals([rowsOf(grown.missing), grown.expected], [[], 1]);
  assertEquals(grown.incomplete.length, 1);
});

Deno.test("judgeGate() lists the changes that it cannot judge, and the rows where no change could show", () => {
  // Every sample comes from a separate process.
  const spread = (time: number, by: number): Row => ({
    samples: [time, time * by, time / by],
    processes: [0, 1, 2].map((round) => ({ round, samples: 1, throttleSamples: 0 })),
  });
  const few = judgeGate(
    compareResultFiles([file(1, [spread(1000, 1.1)]), file(2, [spread(1200, 1.1)])]),
    0.05,
  );
  assertEquals([rowsOf(few.undecided), few.regressions], [[1], []]);
  assert(few.undecided[0]!.reason.startsWith("the change may be chance: p (Holm) is 0."));
  assertEquals(few.blind, []);
  const blind = judgeGate(
    compareResultFiles([file(1, [spread(1000, 1.9)]), file(2, [spread(1100, 1.9)])]),
    0.05,
  );
  assertEquals([rowsOf(blind.blind), rowsOf(blind.undecided)], [[1], [1]]);
  const enough = judgeGate(
    compareResultFiles([file(1, [spread(1000, 1.01)]), file(2, [spread(1200, 1.01)])]),
    0.05,
  );
  assertEquals([rowsOf(enough.regressions), enough.blind, enough.undecided], [[1], [], []]);
});

Deno.test("judgeGate() judges an older file's single process only by large differences", () => {
  const alone = (seed: number, median: number) => {
    const { name, file: made } = file(seed, [{ median }]);
    const { processes: _, ...measurement } = made.measurements[0]!;
    return { name, file: { ...made, measurements: [measurement] } };
  };
  const gate = judgeGate(compareResultFiles([alone(1, 1000), alone(2, 1200)]), 0.05);
  assertEquals([gate.regressions, rowsOf(gate.undecided)], [[], [1]]);
  assert(gate.undecided[0]!.reason.startsWith("one process does not show"));
  const far = judgeGate(compareResultFiles([alone(1, 1000), alone(2, 2000)]), 0.05);
  assertEquals(rowsOf(far.regressions), [1]);
});
