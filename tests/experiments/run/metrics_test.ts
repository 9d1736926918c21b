import { join } from "node:path";
import {
  MetricsWriter,
  readMetrics,
  type TrainingRow,
} from "../../../src/experiments/run/metrics.ts";
import { RunError } from "../../../src/experiments/run/error.ts";
import { assertEquals, assertRejects } from "../../support/assert/assert.ts";
import { inFolder } from "../../support/folder.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read", "write");

function withMetrics(run: (path: string) => Promise<void>): Promise<void> {
  return inFolder((folder) => run(join(folder, "metrics.jsonl")));
}

function row(step: number): TrainingRow {
  return {
    kind: "training",
    step,
    loss: 1 / step,
    oracleLoss: null,
    gradientNorm: 0.1,
    learningRate: 1e-3,
    tokensPerSecond: 1000,
  };
}

test("MetricsWriter adds rows that others can read at once, and resumes after a step", () =>
  withMetrics(async (path) => {
    assertEquals(await readMetrics(path), []);
    {
      const { writer, rows } = await MetricsWriter.open(path, 0);
      using metrics = writer;
      assertEquals(rows, []);
      for (const step of [5, 10, 15]) {
        await metrics.add(row(step));
        assertEquals((await readMetrics(path)).at(-1), row(step));
      }
    }
    const { writer, rows } = await MetricsWriter.open(path, 10);
    using metrics = writer;
    assertEquals(rows, [row(5), row(10)]);
    await metrics.add(row(12));
    await metrics.flush();
    assertEquals(await readMetrics(path), [row(5), row(10), row(12)]);
  }));

test("readMetrics() ignores an incomplete last line, whose step will be repeated, and nothing else", () =>
  withMetrics(async (path) => {
    const whole = [row(5), row(10)].map((each) => JSON.stringify(each) + "\n").join("");
    const last = JSON.stringify(row(15));
    for (const torn of ["", "{", last.slice(0, 20), last]) {
      await Deno.writeTextFile(path, whole + torn);
      assertEquals(await readMetrics(path), [row(5), row(10)]);
      const { writer, rows } = await MetricsWriter.open(path, 20);
      writer[Symbol.dispose]();
      assertEquals(rows.length, 2);
      // The incomplete line is gone, so the next row starts a line.
      assertEquals(await Deno.readTextFile(path), whole);
    }
    for (
      const broken of [
        "{\n",
        "5\n",
        "null\n",
        '{"kind":"other","step":1}\n',
        '{"kind":"training"}\n',
        "\n",
      ]
    ) {
      await Deno.writeTextFile(path, whole + broken);
      await assertRejects(
        () => readMetrics(path),
        RunError,
        `${path}: line 3 is no row of metrics`,
      );
    }
  }));
