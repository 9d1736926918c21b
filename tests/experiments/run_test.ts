import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";
import { readMetrics } from "../../src/experiments/run/metrics.ts";
import { NonFiniteError, RunError } from "../../src/experiments/run/error.ts";
import { listCheckpoints, metricsPath, RunFolder } from "../../src/experiments/run/folder.ts";
import type { RunSettings } from "../../src/experiments/run/settings.ts";
import {
  type RunHooks,
  type RunOptions,
  type RunProgress,
  type RunResult,
  trainRun as trainRunAnywhere,
} from "../../src/experiments/run.ts";
import { CheckpointError } from "../../src/model/checkpoint/error.ts";
import { randomUniform } from "../../src/random.ts";
import { assert, assertEquals, assertNotEquals, assertRejects } from "../support/assert/assert.ts";
import { inFolder, testOnDisk } from "../support/folder.ts";
import { testGpu } from "../support/gpu.ts";
import { TINY_RUN } from "./tiny_run.ts";
import { testWith } from "../support/permitted.ts";

const test = testWith("read", "write");

/** Trains on a device that all tests here share, so that kernels compile only once. */
async function trainRun(options: RunOptions, hooks?: RunHooks): Promise<RunResult> {
  return await trainRunAnywhere({ ...options, gpu: await testGpu("deno") }, hooks);
}

function begin(folder: string, settings: RunSettings = TINY_RUN) {
  return trainRun({ folder, settings });
}

let shared: Promise<string> | undefined;

/** The folder of a run that was never interrupted. */
function wholeRun(): Promise<string> {
  shared ??= Deno.makeTempDir({ prefix: "gradsink-run-" }).then(async (parent) => {
    await begin(join(parent, "run"));
    return join(parent, "run");
  });
  return shared;
}

Deno.test.afterAll(async () => {
  if (shared !== undefined) await Deno.remove(dirname(await shared), { recursive: true });
});

/**
 * Everything about a run that must not depend on interruptions: the bytes of its checkpoints, and
 * its metrics without speeds and without the sources of measurements.
 */
async function outcome(folder: string): Promise<unknown> {
  const files: Record<string, string> = {};
  for (const { path, step } of await listCheckpoints(folder)) {
    for await (const { name } of Deno.readDir(path)) {
      files[`${step}/${name}`] = (await Deno.readFile(join(path, name))).toHex();
    }
  }
  const rows = (await readMetrics(metricsPath(folder))).map((row) =>
    row.kind === "training"
      ? { ...row, tokensPerSecond: 0 }
      : { ...row, measurement: { ...row.measurement, source: null } }
  );
  return { files, rows };
}

test("trainRun() trains, measures and saves, at the steps of the settings", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "run");
    const seen: RunProgress[] = [];
    const result = await trainRun({ folder, settings: TINY_RUN }, {
      onProgress: (progress) => seen.push(progress),
    });
    assertEquals([result.status, result.step], ["complete", 36]);
    const rows = await readMetrics(metricsPath(folder));
    assertEquals(result.rows, rows);
    const steps = (kind: string) => rows.filter((row) => row.kind === kind).map(({ step }) => step);
    assertEquals(steps("training"), [5, 10, 15, 20, 25, 30, 35, 36]);
    assertEquals(steps("measurement"), [0, 12, 24, 36]);
    assertEquals((await listCheckpoints(folder)).map(({ step }) => step), [32, 36]);
    const last = rows.at(-1)!;
    assertEquals(result.measurement, last.kind === "measurement" ? last.measurement : undefined);
    assertEquals(result.measurement?.source, {
      run: "run",
      step: 36,
      task: "bigram-backcopy",
      seed: 3,
    });
    const losses = rows.flatMap((row) => row.kind === "training" ? [row.loss] : []);
    assert(losses.at(-1)! < losses[0]! - 0.2, `${losses}: nothing was learned`);
    assertEquals(seen.at(-1)!.step, 36);
    assert(seen.some(({ activity }) => activity === "measuring"));
    assert(seen.some(({ activity }) => activity === "saving"));
    // Resuming a finished run does nothing.
    const again = await trainRun({ folder, resume: "must" });
    assertEquals([again.status, again.measurement], ["complete", result.measurement]);
    assertEquals(await readMetrics(metricsPath(folder)), rows);
  }));

test("trainRun() gives the same bits with and without interruptions at any step", () =>
  inFolder(async (parent) => {
    const whole = await wholeRun();
    const parts = join(parent, "parts");
    for (const stop of [3, 8, 33]) {
      const interrupt = new AbortController();
      const result = await trainRun(
        { folder: parts, settings: TINY_RUN, resume: "if-there" },
        {
          signal: interrupt.signal,
          // Interrupts the run at a progress report. Reports come more often than metrics rows.
          onProgress: ({ step }) => step >= stop && interrupt.abort(),
        },
      );
      assertEquals(result.status, "interrupted");
      assert(result.step >= stop && result.step < 36, `stopped at ${result.step}`);
      assertEquals((await listCheckpoints(parts)).at(-1)?.step, result.step);
    }
    const result = await trainRun({ folder: parts, resume: "must" });
    assertEquals(result.status, "complete");
    const [one, other] = await Promise.all([outcome(whole), outcome(parts)]) as [
      { files: Record<string, string>; rows: unknown },
      { files: Record<string, string>; rows: unknown },
    ];
    assertEquals(other.rows, one.rows);
    const last = (files: Record<string, string>) =>
      Object.fromEntries(Object.entries(files).filter(([name]) => name.startsWith("36/")));
    assertEquals(Object.keys(last(one.files)).length, 4);
    assertEquals(last(other.files), last(one.files));
    const different = join(parent, "different");
    await begin(different, { ...TINY_RUN, seed: 4 });
    assertNotEquals(last((await outcome(different) as typeof one).files), last(one.files));
  }));

testOnDisk("run")(
  "trainRun() gives the same bits when its process is killed at random moments",
  async (parent) => {
    const whole = await wholeRun();
    const killed = join(parent, "killed");
    const program = fileURLToPath(new URL("./tiny_run.ts", import.meta.url));
    // Each of the first two processes is killed a random delay after a random line of its progress.
    // The third one finishes the run.
    const moments = randomUniform({ seed: Date.now(), length: 20 });
    const kills: string[] = [];
    let finished = false;
    for (let i = 0; !finished; i++) {
      assert(i < 10, `killed too often: ${kills}`);
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--no-lock", "-A", program, killed],
        stdout: "piped",
        stderr: "null",
      }).spawn();
      let lines = i < 2 ? Math.floor(moments[2 * i]! * 14) : Infinity;
      const delay = moments[2 * i + 1]! * 30;
      let text = "";
      for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += part;
        lines -= part.split("\n").length - 1;
        if (lines >= 0) continue;
        lines = Infinity;
        setTimeout(() => {
          try {
            child.kill("SIGKILL");
          } catch { /* It was faster. */ }
        }, delay);
      }
      await child.status;
      finished = text.endsWith("finished\n");
      kills.push(text.trim().split("\n").at(-1)!);
    }
    console.log(`    killed after: ${kills.slice(0, -1).join(", ")}`);
    const [one, other] = await Promise.all([outcome(whole), outcome(killed)]);
    assertEquals(other, one);
  },
);

test("trainRun() names the step, the tensor and the last good checkpoint when numbers stop being finite", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "run");
    // The optimizer's step is so large that products of parameters overflow.
    const wild: RunSettings = {
      ...TINY_RUN,
      optimizer: { ...TINY_RUN.optimizer, learningRate: 1e25, warmUpSteps: 0, weightDecay: 0 },
      reporting: { ...TINY_RUN.reporting, measureEvery: 0 },
    };
    const error = await assertRejects(() => begin(folder, wild), NonFiniteError);
    assertEquals(error.details.step, 2);
    assert(
      /^step 2: layer 0's \S.* holds (NaN|-?Infinity); there is no checkpoint before it$/
        .test(error.message),
      error.message,
    );
    // A run does not save parameters that overflowed, even if the step's loss was finite.
    const saving = join(parent, "saving");
    const updated = await assertRejects(
      () =>
        begin(saving, {
          ...wild,
          optimizer: { ...wild.optimizer, learningRate: 1e39 },
          reporting: { ...wild.reporting, checkpointEvery: 1 },
        }),
      NonFiniteError,
      "step 2: model.embed_tokens.weight holds ",
    );
    assertEquals(updated.details.checkpoint, undefined);
    assertEquals(await listCheckpoints(saving), []);
    // This run has earlier checkpoints, and diverges only after it is resumed.
    const later = join(parent, "later");
    const interrupt = new AbortController();
    const tame = { ...TINY_RUN, reporting: { ...TINY_RUN.reporting, measureEvery: 0 } };
    await trainRun({ folder: later, settings: tame }, {
      signal: interrupt.signal,
      onProgress: ({ step }) => step >= 8 && interrupt.abort(),
    });
    const { step, path } = (await listCheckpoints(later)).at(-1)!;
    const settings = JSON.parse(await Deno.readTextFile(join(later, "settings.json")));
    settings.optimizer.learningRate = 1e25;
    await Deno.writeTextFile(join(later, "settings.json"), JSON.stringify(settings));
    const found = await assertRejects(
      () => trainRun({ folder: later, resume: "must" }),
      NonFiniteError,
    );
    assertEquals(found.details.checkpoint, path);
    assertEquals(found.details.step, step + 2);
    // The last checkpoint can still be resumed.
    assertEquals((await listCheckpoints(later)).at(-1)!.step, step);
  }));

test("trainRun() refuses wrong settings before it writes anything", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "run");
    const untouched = async () =>
      assertEquals(await Deno.stat(folder).then(() => true, () => false), false);
    const { model, optimizer } = TINY_RUN;
    const refused: readonly [Partial<RunSettings>, string][] = [
      [{ steps: 0 }, "steps is 0, wanted an integer of at least 1"],
      [{ model: { ...model, keyValueHeads: 3 } }, "queryHeads is 2, wanted a multiple of the 3"],
      [{ model: { ...model, vocabulary: 12 } }, "vocabulary is 12, wanted the task's 13"],
      [{ optimizer: { ...optimizer, warmUpSteps: 36 } }, "warmUpSteps is 36"],
      [
        { optimizer: { ...optimizer, beta2: 1 } },
        "beta2 is 1, wanted a number at least 0 and below 1",
      ],
      [{ optimizer: { ...optimizer, learningRate: NaN } }, "learningRate is NaN"],
    ];
    for (const [change, message] of refused) {
      await assertRejects(() => begin(folder, { ...TINY_RUN, ...change }), RangeError, message);
      await untouched();
    }
    await assertRejects(
      () => begin(folder, { ...TINY_RUN, task: { name: "text", context: 10, corpus: "/none" } }),
      Error,
      "no such file",
    );
    await assertRejects(() => trainRun({ folder, resume: "must" }), RunError, "holds no run");
    await assertRejects(() => trainRun({ folder }), TypeError, "a new run needs settings");
    await untouched();
    await Deno.mkdir(folder);
    await Deno.writeTextFile(join(folder, "thesis.tex"), "");
    await assertRejects(() => begin(folder), RunError, "is not empty, wanted a new folder");
  }));

test("trainRun() resumes only an intact run of the same settings", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "run");
    await begin(folder, {
      ...TINY_RUN,
      steps: 8,
      reporting: { ...TINY_RUN.reporting, measureEvery: 0 },
    });
    await assertRejects(() => begin(folder), RunError, "holds a run already");
    await assertRejects(
      () => trainRun({ folder, settings: TINY_RUN, resume: "if-there" }),
      RunError,
      "holds a run of other settings",
    );
    const settings = join(folder, "settings.json");
    const text = await Deno.readTextFile(settings);
    const broken: readonly [string, string][] = [
      ["{", "is not JSON"],
      ["null", "is not of the form gradsink-run/1"],
      [text.replace("gradsink-run/1", "gradsink-run/2"), "is not of the form"],
      [text.replace('"seed": 3', '"seed": -3'), "seed is -3"],
      [text.replace('"layers": 2', '"layers": 3'), "its model is not the one of"],
      [text.replace('"steps": 8', '"steps": 7'), "is of step 8, wanted 8 as its name says, of 7"],
    ];
    for (const [content, message] of broken) {
      await Deno.writeTextFile(settings, content);
      await assertRejects(() => trainRun({ folder, resume: "must" }), RunError, message);
    }
    await Deno.writeTextFile(settings, text);
    const { path } = (await listCheckpoints(folder)).at(-1)!;
    const model = join(path, "model.safetensors");
    await Deno.truncate(model, 500);
    await assertRejects(() => trainRun({ folder, resume: "must" }), CheckpointError, model);
    // Another process holds the folder.
    using _ = await RunFolder.open(folder);
    await assertRejects(
      () => trainRun({ folder, resume: "must" }),
      RunError,
      `another process (process ${Deno.pid}) trains in this folder`,
    );
  }));
