import { compareResultFiles } from "../../../src/measure/comparison.ts";
import { type Gate, judgeGate } from "../../../src/measure/comparison/gate.ts";
import type { Measurement, ResultFile } from "../../../src/measure/result_file.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { noisySamples, syntheticMeasurement, syntheticResultFile } from "../synthetic.ts";

interface Row extends Partial<Measurement> {
  readonly median?: number;
  readonly count?: number;
}

/** A file with rows of B = 1, 2, …; undefined leaves one out. */
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

Deno.test("judgeGate() finds what got slower or broke, and not what was broken before", () => {
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
  // Medians of 40 samples with a deviation of 1 % lie within 1 % of the truth.
  assert(Math.abs(gate.regressions[0]!.ratio! - 1.2) < 0.024);
  assertEquals([gate.missing, gate.undecided, gate.blind, gate.expected], [[], [], [], 3]);
  assertEquals(rowsOf(judgeGate(comparison, 0.3).regressions), [3]);
});

Deno.test("judgeGate() counts what is missing, whichever rows are compared", () => {
  const four = [{}, {}, {}, {}];
  const [before, whole] = [file(1, four), file(2, four)];
  const part = file(3, [{}, undefined, { samples: [] }, undefined], { status: "incomplete" });
  const two = judgeGate(compareResultFiles([before, part]), 0.05);
  assertEquals([rowsOf(two.missing), two.expected], [[2, 3, 4], 4]);
  assertEquals(two.incomplete.map(({ name }) => name), ["m3"]);
  // With a third file the rows are compared, and missing still.
  const three = judgeGate(compareResultFiles([before, whole, part]), 0.05);
  assertEquals([rowsOf(three.missing), three.expected], [[2, 3, 4], 8]);
  // What only the later file has is new and not missing.
  const grown = judgeGate(compareResultFiles([part, before]), 0.05);
  assertEquals([rowsOf(grown.missing), grown.expected], [[], 1]);
  assertEquals(grown.incomplete.length, 1);
});

Deno.test("judgeGate() says which changes it cannot judge, and where it sees nothing", () => {
  const rows = (count: number, slow: number) =>
    Array.from({ length: 60 }, (_, i) => ({ count, median: i === slow ? 2000 : 1000 }));
  // Six samples on either side have 924 orders: 2 / 924 × 60 = 0.13.
  const few = judgeGate(compareResultFiles([file(1, rows(6, -1)), file(2, rows(6, 7))]), 0.05);
  assertEquals([rowsOf(few.undecided), few.regressions], [[8], []]);
  assertEquals(few.undecided[0]!.reasons, [
    "6 and 6 samples cannot be significant among 60 comparisons",
  ]);
  assertEquals(few.blind.length, 60);
  // Ten have 184,756.
  const enough = judgeGate(compareResultFiles([file(1, rows(10, -1)), file(2, rows(10, 7))]), 0.05);
  assertEquals([rowsOf(enough.regressions), enough.blind, enough.undecided], [[8], [], []]);
  // Too few for an interval.
  const five = judgeGate(
    compareResultFiles([
      file(1, [{ count: 5 }]),
      file(2, [{
        count: 5,
        median: 1500,
      }]),
    ]),
    0.05,
  );
  assertEquals(five.undecided[0]!.reasons, ["5 and 5 samples are too few for an interval"]);
  assertEquals(five.blind.length, 1);
});
