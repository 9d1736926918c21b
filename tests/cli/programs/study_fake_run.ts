/** Replaces a training run in tests: counts steps and writes a made-up record. */
import { join } from "node:path";
import type { StudyArm } from "../../../src/experiments/study/arms.ts";
import { RECORD_FILE } from "../../../src/experiments/study/record.ts";
import { writeStudyRecord } from "../../../src/experiments/study/record_store.ts";
import {
  matchedSettings,
  studyRunSettings,
  type StudyScale,
} from "../../../src/experiments/study/settings.ts";
import { syntheticRecord } from "../../experiments/study/synthetic.ts";

/** The test's instructions. */
export interface FakeOrder {
  readonly arm: StudyArm;
  readonly scale: StudyScale;
  readonly folder: string;
  /** Milliseconds per step. */
  readonly pace: number;
  /** The seeds whose runs fail. */
  readonly failing: readonly number[];
}

if (import.meta.main) {
  const { arm, scale, folder, pace, failing } = JSON.parse(Deno.args[0]!) as FakeOrder;
  await Deno.mkdir(folder, { recursive: true });
  const place = join(folder, "step.txt");
  let step = Number(await Deno.readTextFile(place).catch(() => "0"));
  let stopped = false;
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", () => stopped = true);
  for (; step < scale.steps && !stopped; step++) {
    console.log(
      JSON.stringify({ type: "progress", step, steps: scale.steps, loss: 3 - step / 100 }),
    );
    if (failing.includes(arm.seed) && step > 1) {
      console.error("warning: something\nerror: the loss is not finite at step 2");
      Deno.exit(1);
    }
    await new Promise((resolve) => setTimeout(resolve, pace));
  }
  await Deno.writeTextFile(place, String(step));
  if (stopped) Deno.exit(130);
  await writeStudyRecord(
    join(folder, RECORD_FILE),
    syntheticRecord({
      ...arm,
      steps: scale.steps,
      settings: matchedSettings(studyRunSettings(arm, scale), undefined),
      onlySettings: true,
    }),
  );
  Deno.exit(0);
}
