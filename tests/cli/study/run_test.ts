import { assert, assertEquals } from "../../support/assert/assert.ts";
import { join } from "node:path";
import { runArm, type RunOrder } from "../../../src/cli/study/run.ts";
import { readMetrics } from "../../../src/experiments/run/metrics.ts";
import { metricsPath } from "../../../src/experiments/run/folder.ts";
import { RECORD_FILE } from "../../../src/experiments/study/record.ts";
import { parseStudyRecord } from "../../../src/experiments/study/record_store.ts";
import type { RunReport } from "../../../src/experiments/study/runner.ts";
import { DEFAULT_SCALE } from "../../../src/experiments/study/settings.ts";

const granted = (await Promise.all(
  (["read", "write", "env"] as const).map((name) => Deno.permissions.query({ name })),
)).every(({ state }) => state === "granted");

Deno.test({
  name: "runArm() trains an arm and leaves a record that agrees with its metrics" +
    (granted ? "" : " (needs --allow-read --allow-write --allow-env)"),
  ignore: !granted,
  async fn() {
    const parent = await Deno.makeTempDir();
    try {
      const order: RunOrder = {
        arm: { setting: "deep", variant: "learned", seed: 3 },
        scale: { ...DEFAULT_SCALE, steps: 4, batch: 4, measurements: 2, sequences: 8 },
        folder: join(parent, "run"),
        suite: { version: "1.2.3", commit: "a".repeat(40) },
      };
      const reports: RunReport[] = [];
      const hooks = {
        signal: new AbortController().signal,
        report: (report: RunReport) => void reports.push(report),
      };
      assertEquals(await runArm(order, hooks), 0);
      assert(reports.some((report) => report.type === "progress" && report.step === 4));
      const path = join(order.folder, RECORD_FILE);
      const record = parseStudyRecord(await Deno.readTextFile(path), path);
      assertEquals([record.status, record.steps, record.suite], ["complete", 4, order.suite]);
      assertEquals(record.arm, order.arm);
      assertEquals(record.trajectory.map(({ step }) => step), [0, 2, 4]);
      assertEquals(record.trajectory[0]!.layers[0]!.attention, null);
      const rows = await readMetrics(metricsPath(order.folder));
      const digits = (value: number) => Number(value.toPrecision(4));
      for (const row of rows) {
        if (row.kind !== "measurement") continue;
        const point = record.trajectory.find(({ step }) => step === row.step)!;
        const [layer, raw] = [point.layers[2]!, row.measurement.layers[2]!];
        assertEquals(point.loss, Number(row.measurement.loss!.toPrecision(6)));
        assertEquals(layer.attention!.idleScore, digits(raw.attention!.heads[0]!.idleScore!));
        const { sink, early } = raw.attention!.gradientSink;
        assertEquals(layer.attention!.gradient, [digits(sink), digits(early)]);
        assertEquals(layer.output, [digits(raw.output.sink), digits(raw.output.early)]);
      }
      const { final } = record;
      assertEquals(final!.quantization!.cases.length, 4);
      assert(final!.theory!.checks.length > 5);
      // R_GS of the trained model lies in its interval over sequences.
      const [low, high] = final!.intervals!.summary.gradientSink!;
      const { median } = final!.summary.gradientSink!;
      assert(low <= median && median <= high && low < high, `${median} in ${low} to ${high}`);
      assertEquals(final!.theory!.checks.map(({ violations }) => violations).filter(Boolean), []);
      // If another commit measures the run again, the record keeps the commit that trained it.
      const later = { ...order, suite: { version: "1.2.3", commit: "b".repeat(40) } };
      assertEquals(await runArm(later, hooks), 0);
      const again = parseStudyRecord(await Deno.readTextFile(path), path);
      assertEquals([again.suite, again.measuredBy], [order.suite, later.suite]);
      assertEquals(again.trajectory, record.trajectory);
      assertEquals(again.final, record.final);
    } finally {
      await Deno.remove(parent, { recursive: true });
    }
  },
});
