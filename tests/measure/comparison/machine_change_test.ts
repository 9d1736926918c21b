import { compareResultFiles } from "../../../src/measure/comparison.ts";
import { judgeGate } from "../../../src/measure/comparison/gate.ts";
import { assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { noisySamples, syntheticMeasurement, syntheticResultFile } from "../synthetic.ts";

/** A file of one machine, with its rows' times and its reference kernel's time. */
function run(seed: number, times: readonly number[], reference: number) {
  const measurements = times.map((time, i) =>
    syntheticMeasurement({
      shape: { B: i + 1 },
      samples: noisySamples({
        ...{ seed: 100 * seed + i, count: 40, median: time, sigma: 0.002, outliers: 0 },
      }),
      throttleSamples: Array(40).fill(reference),
    })
  );
  return { name: `run ${seed}`, file: syntheticResultFile({ measurements }) };
}

function verdicts(before: ReturnType<typeof run>, after: ReturnType<typeof run>) {
  const comparison = compareResultFiles([before, after]);
  return {
    rows: comparison.rows.map(({ cells }) => cells[1]!.pair!),
    warnings: comparison.warnings.join("\n"),
    regressions: judgeGate(comparison, 0.05).regressions.map(({ row }) => row.shape.B),
  };
}

const TIMES = [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000];
const before = run(1, TIMES, 100);

Deno.test("rows that a slower machine slows by similar factors are no regressions", () => {
  const slowed = TIMES.map((time, i) => time * (1.3 + 0.02 * i));
  const { rows, warnings, regressions } = verdicts(before, run(2, slowed, 115));
  assertEquals(regressions, []);
  assertEquals(rows.map(({ verdict }) => verdict), Array(8).fill("ambiguous"));
  // Row 3 changed about as much as the median row, so the machine explains its change. For the rows
  // that changed the least or the most, the reason for doubt may also be chance.
  assertEquals(rows[3]!.doubt?.kind, "machine");
  assertEquals(rows.every(({ doubt }) => ["machine", "chance"].includes(doubt!.kind)), true);
  assertStringIncludes(rows[3]!.doubt!.text, "the reference kernel's time by 15.0 %");
  assertStringIncludes(warnings, "the reference kernel's time changed by +15.0 %");
});

Deno.test("a regression shows beside the other rows of a machine that changed", () => {
  const scatter = [1, 0.99, 1.01, 1, 0.995, 1.005, 1];
  const slowed = TIMES.map((time, i) => time * 1.3 * (scatter[i] ?? 1.5));
  const { rows, regressions } = verdicts(before, run(3, slowed, 115));
  assertEquals(regressions, [8]);
  assertEquals(rows.slice(0, 7).map(({ verdict }) => verdict), Array(7).fill("ambiguous"));
});

Deno.test("all rows of a machine that did not change may be slower", () => {
  const slowed = TIMES.map((time) => 1.3 * time);
  const { regressions, rows } = verdicts(before, run(4, slowed, 102));
  assertEquals(regressions, [1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals(rows[0]!.machineChange, undefined);
});

Deno.test("a few rows that slowed as the reference kernel did are blamed on the clock", () => {
  const few = TIMES.slice(0, 3);
  const { rows, regressions } = verdicts(
    run(5, few, 100),
    run(6, few.map((time) => 1.3 * time), 129),
  );
  assertEquals(regressions, []);
  assertEquals(rows.map(({ doubt }) => doubt?.kind), Array(3).fill("clock"));
});

Deno.test("a few rows that slowed more than the reference kernel leave open whether the machine changed", () => {
  const few = TIMES.slice(0, 3);
  const { rows, regressions } = verdicts(
    run(7, few, 100),
    run(8, few.map((time) => 1.5 * time), 110),
  );
  assertEquals(regressions, []);
  assertEquals(rows.map(({ doubt }) => doubt?.kind), Array(3).fill("machine"));
  assertStringIncludes(rows[0]!.doubt!.text, "the rows are too few");
});
