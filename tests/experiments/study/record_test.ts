import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../support/assert/assert.ts";
import { join } from "node:path";
import { FileError } from "../../../src/files/file_error.ts";
import { RECORD_FILE, type StudyRecord } from "../../../src/experiments/study/record.ts";
import {
  formatStudyRecord,
  parseStudyRecord,
  readStudyFolder,
  writeStudyRecord,
} from "../../../src/experiments/study/record_store.ts";
import { syntheticRecord } from "./synthetic.ts";
import { testOnDisk } from "../../support/folder.ts";

const test = testOnDisk();

Deno.test("formatStudyRecord() and parseStudyRecord() keep four digits of figures, six of losses", () => {
  const record = syntheticRecord();
  const again = parseStudyRecord(formatStudyRecord(record, "a"), "a");
  const near = (a: unknown, b: unknown, digits: number, path: string): void => {
    if (typeof a === "number" && typeof b === "number") {
      assert(Math.abs(a - b) <= 0.5001 * 10 ** (1 - digits) * Math.abs(a), `${path}: ${a} ${b}`);
      return;
    }
    if (typeof a !== "object" || a === null) return assertEquals(a, b, path);
    assertEquals(Object.keys(a), Object.keys(b as object), path);
    for (const key of Object.keys(a)) {
      const inner = (value: unknown) => (value as Record<string, unknown>)[key];
      near(
        inner(a),
        inner(b),
        /^(loss|oracleLoss|difference)$/.test(key) ? 6 : digits,
        `${path}.${key}`,
      );
    }
  };
  near(record.trajectory, again.trajectory, 4, "trajectory");
  near(record.training, again.training, 6, "training");
  near(record.final, again.final, 4, "final");
  assertEquals(again.arm, record.arm);
  // Rounding a second time changes nothing.
  assertEquals(formatStudyRecord(again, "a"), formatStudyRecord(record, "a"));
});

Deno.test("a record holds intervals over sequences, or none, as older records do", () => {
  const record = syntheticRecord();
  assertEquals(record.final!.intervals, undefined);
  const layer = {
    gradientSink: [1, 2] as const,
    singleGradientSink: null,
    scores: [[0.1, 0.2] as const],
    idleScores: [null],
  };
  const interval = [1, 2] as const;
  const intervals = {
    layers: [null, layer],
    summary: {
      loss: interval,
      gradientSink: interval,
      singleGradientSink: null,
      sequenceSinkRate: interval,
      idleSequenceSinkRate: null,
      largestScore: interval,
      largestIdleScore: null,
      queryPath: null,
      keyPath: interval,
      valuePath: interval,
    },
  };
  for (const each of [intervals, null]) {
    const kept = { ...record, final: { ...record.final!, intervals: each } };
    assertEquals(parseStudyRecord(formatStudyRecord(kept, "a"), "a").final!.intervals, each);
  }
});

/** The JSON of a made-up record to which `change` was applied. */
function broken(change: (record: Record<string, never>) => void): string {
  const value = JSON.parse(JSON.stringify(syntheticRecord()));
  change(value);
  return JSON.stringify(value);
}

Deno.test("parseStudyRecord() names the fault in one line", () => {
  // deno-lint-ignore no-explicit-any
  const cases: [(record: any) => void, string][] = [
    [(r) => r.schema = "gradsink-results/1", "is no run of a study"],
    [(r) => r.schema = "gradsink-study-run/2", "was written by a newer gradsink"],
    [(r) => r.arm.variant = "nine", 'arm.variant is "nine"'],
    [(r) => r.arm.seed = 1.5, "arm.seed is 1.5"],
    [(r) => r.trajectory[2].layers[0].output = [1], "trajectory[2].layers[0].output is too short"],
    [(r) => r.trajectory[2].layers[0].output[1] = "1", 'trajectory[2].layers[0].output[1] is "1"'],
    [(r) => r.trajectory[3].step = 0, "trajectory[3].step is 0, wanted more than the one before"],
    [(r) => r.trajectory[1].layers.pop(), "trajectory[1].layers has another length"],
    [(r) => r.trajectory[1].paths.key.pop(), "trajectory[1].paths.key has 32 items"],
    [(r) => r.trajectory.pop(), "does not end at step 1000"],
    [(r) => r.training.steps.pop(), "training has 9 steps and 10 losses"],
    [(r) => r.final.layers[1].attention.gradients.norm.pop(), "final.layers[1] has a list"],
    [(r) => r.final.layers[1].mlp.branch.points.bloat.pop(), "final.layers[1] has points"],
    [(r) => r.final.layers[1].mlp = null, "final"],
    [(r) => r.final.intervals = { layers: [] }, "final"],
    [(r) => r.final.intervals = { layers: [], summary: { loss: [1] } }, "final"],
    [(r) => r.final.intervals = { layers: [{ scores: [["0", 1]] }], summary: {} }, "final"],
    [(r) => r.settings.x = { y: 1 }, "settings.x"],
    [(r) => r.settings = { ["__proto__x"]: 1, constructor: 1 }, "not allowed"],
  ];
  for (const [change, message] of cases) {
    const error = assertThrows(() => parseStudyRecord(broken(change), "r.json"), FileError);
    assertStringIncludes((error as Error).message, message);
    assert(!/\n/.test((error as Error).message));
  }
  const columns = JSON.parse(formatStudyRecord(syntheticRecord(), "a"));
  columns.trajectory.columns.loss.pop();
  assertThrows(() => parseStudyRecord(JSON.stringify(columns), "r.json"), FileError);
  columns.trajectory = { count: 1e9, columns: [] };
  assertThrows(() => parseStudyRecord(JSON.stringify(columns), "r.json"), FileError);
  for (const text of ["", "{", "[]", "null", "1", "[".repeat(100_000)]) {
    assertThrows(() => parseStudyRecord(text, "r.json"), FileError);
  }
});

test("readStudyFolder() finds records in runs' folders and in one folder", async (folder) => {
  const write = async (name: string, record: StudyRecord) => {
    const path = join(folder, name);
    await Deno.mkdir(join(path, ".."), { recursive: true });
    await writeStudyRecord(path, record);
  };
  await write(`runs/b/${RECORD_FILE}`, syntheticRecord({ seed: 2 }));
  await write(`a/${RECORD_FILE}`, syntheticRecord({ seed: 1 }));
  await write("c.json", syntheticRecord({ seed: 3 }));
  await Deno.writeTextFile(join(folder, "study.json"), "{}");
  await Deno.writeTextFile(join(folder, "a", "metrics.json"), "not ours");
  await Deno.writeTextFile(join(folder, "broken.json"), "{");
  const { records, problems } = await readStudyFolder(folder);
  assertEquals(records.map(({ record }) => record.arm.seed), [1, 3, 2]);
  assertEquals(problems.length, 1);
  assertStringIncludes(problems[0]!, "broken.json: is not JSON");
  await assertRejects(
    () => readStudyFolder(join(folder, "none")),
    FileError,
    "no such folder",
  );
  await assertRejects(
    () => readStudyFolder(join(folder, "c.json")),
    FileError,
    "is a file",
  );
});
