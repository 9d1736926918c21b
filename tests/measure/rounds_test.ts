import {
  addProcess,
  budgetFor,
  hasRound,
  processesOf,
  processesWithin,
  withoutInterrupted,
} from "../../src/measure/rounds.ts";
import type { Measurement } from "../../src/measure/result_file.ts";
import { parseResultFile } from "../../src/measure/result_file/parse.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { fromOneProcess, syntheticResultFile } from "./synthetic.ts";

/** A measurement by one process. Adding a second process must lengthen each of its lists. */
function taken(fields: Partial<Measurement> = {}): Measurement {
  return fromOneProcess({
    samples: [10, 11, 12],
    rounds: [2, 1],
    sweeps: [0, 1],
    cpuSamples: [20, 21, 22],
    throttleSamples: [5, 6],
    driftingSamples: [1],
    repeats: 4,
    stopReason: "precise",
    correctness: { error: 0, tolerance: 1 },
    ...fields,
  });
}

const second = taken({
  ...{ samples: [13, 14], rounds: [2], sweeps: [0], cpuSamples: [23, 24], throttleSamples: [7] },
  ...{ driftingSamples: [0], repeats: 8, stopReason: "budget" },
});

Deno.test("addProcess() joins what processes measured, and the file stays valid", () => {
  const first = addProcess(undefined, { round: 0, measurement: taken() });
  const { correctness: _, ...unchecked } = second;
  const both = addProcess(first, { round: 2, measurement: unchecked });
  assertEquals(both.samples, [10, 11, 12, 13, 14]);
  assertEquals(both.processes, [
    { round: 0, samples: 3, throttleSamples: 2, repeats: 4 },
    { round: 2, samples: 2, throttleSamples: 1, repeats: 8 },
  ]);
  assertEquals([both.rounds, both.cpuSamples], [[2, 1, 2], [20, 21, 22, 23, 24]]);
  assertEquals(both.sweeps, [0, 1, 0]);
  assertEquals([both.throttleSamples, both.driftingSamples], [[5, 6, 7], [1, 3]]);
  assertEquals([both.repeats, both.stopReason], [4, "budget"]);
  assertEquals(both.correctness, { error: 0, tolerance: 1 }, "of the only check");
  assertEquals([0, 1, 2].map((round) => hasRound(both, round)), [true, false, true]);
  parseResultFile(JSON.stringify(syntheticResultFile({ measurements: [both] })), "joined");
  // If one process lacks a list, the joined list would not cover all samples, so it is dropped.
  const { cpuSamples: _cpu, ...without } = second;
  assert(!("cpuSamples" in addProcess(first, { round: 1, measurement: without })));
});

Deno.test("addProcess() reports no speed for a kernel that failed once, and ignores a process without data", () => {
  const first = addProcess(undefined, { round: 0, measurement: taken() });
  const failed = taken({ samples: [], status: "failed", reason: "it broke" });
  const found = addProcess(first, { round: 1, measurement: failed });
  assertEquals([found.status, found.samples.length, found.processes], ["failed", 0, undefined]);
  assert(hasRound(found, 5), "it is not tried again");
  const silent = taken({ samples: [], warnings: ["no data"] });
  assertEquals(addProcess(first, { round: 1, measurement: silent }), first);
});

Deno.test("withoutInterrupted() removes the last process", () => {
  const first = addProcess(undefined, { round: 0, measurement: taken() });
  const measurement = { ...second, stopReason: "interrupted" } as const;
  const [left, ...none] = withoutInterrupted(addProcess(first, { round: 1, measurement }));
  const { stopReason: _, ...wanted } = first;
  assertEquals([left, none], [wanted, []]);
  assertEquals(withoutInterrupted(measurement), []);
  assertEquals(withoutInterrupted(first), [first]);
});

Deno.test("processesOf() counts an older file's samples as one process", () => {
  assertEquals(processesOf(taken()), [{ round: 0, samples: 3, throttleSamples: 2, repeats: 4 }]);
  assertEquals(processesOf(taken({ samples: [] })), []);
});

Deno.test("processesWithin() follows the budget, from 3 to 16, and budgetFor() is its inverse", () => {
  assertEquals([1, 60, 180, 1e6].map((seconds) => processesWithin(seconds, 24)), [3, 5, 15, 16]);
  assertEquals([processesWithin(30, 1), processesWithin(180, 60)], [6, 8]);
  for (const count of [3, 7, 16]) {
    assertEquals(processesWithin(budgetFor(count, 31) + 1e-9, 31), count);
  }
});
