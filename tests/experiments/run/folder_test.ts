import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { RunError } from "../../../src/experiments/run/error.ts";
import {
  listCheckpoints,
  readRunSettings,
  RunFolder,
} from "../../../src/experiments/run/folder.ts";
import { readCheckpoint } from "../../../src/model/checkpoint.ts";
import { initialParameters } from "../../../src/reference/llama/parameters.ts";
import { assert, assertEquals, assertRejects } from "../../support/assert/assert.ts";
import { inFolder, testOnDisk, withoutLocks } from "../../support/folder.ts";
import { TINY_RUN } from "../tiny_run.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read", "write");

const parameters = initialParameters(TINY_RUN.model, { seed: 1 });

function checkpointOf(step: number) {
  const moments = new Map(
    [...parameters].map(([name, values]) => [name, {
      first: values,
      second: values.map((value) => value ** 2),
    }]),
  );
  const { model: config, task: { context } } = TINY_RUN;
  return { config, context, parameters, moments, step, state: step };
}

test("RunFolder keeps the newest checkpoints, and cleans up after killed processes", () =>
  inFolder(async (parent) => {
    const path = join(parent, "a", "run");
    const steps = async () => (await listCheckpoints(path)).map(({ step }) => step);
    {
      using folder = await RunFolder.create(path, TINY_RUN);
      assertEquals(await folder.newest(), undefined);
      assertEquals(await folder.load(), undefined);
      for (const step of [4, 8, 12]) await folder.save(checkpointOf(step));
      assertEquals(await steps(), [8, 12]);
      // Saving the same step again changes nothing.
      const before = await Deno.stat((await folder.newest())!.path);
      await folder.save({ ...checkpointOf(12), state: "other" });
      assertEquals((await Deno.stat((await folder.newest())!.path)).ino, before.ino);
      assertEquals((await folder.load())?.state, 12);
    }
    assertEquals(await readRunSettings(path), TINY_RUN);
    const half = join(path, "checkpoints", ".writing-step-00000016");
    await Deno.mkdir(half);
    await Deno.writeTextFile(join(half, "config.json"), "{");
    await Deno.mkdir(join(path, "checkpoints", "step-x"));
    using folder = await RunFolder.open(path);
    assertEquals(await steps(), [8, 12]);
    assert(!await Deno.stat(half).then(() => true, () => false), "half a checkpoint stays");
    // A checkpoint whose folder names another step.
    await Deno.rename((await folder.newest())!.path, join(path, "checkpoints", "step-00000020"));
    await assertRejects(() => folder.load(), RunError, "is of step 12, wanted 20 as its name says");
    assertEquals((await readCheckpoint(join(path, "checkpoints", "step-00000008"))).step, 8);
  }));

test("RunFolder.create() takes an empty folder, also one that a killed process began", () =>
  inFolder(async (parent) => {
    const path = join(parent, "run");
    await Deno.mkdir(join(path, "checkpoints"), { recursive: true });
    await Deno.writeTextFile(join(path, "run.lock"), "123456789\n"); // no process holds it
    await Deno.writeTextFile(join(path, ".settings.json.0123abcd.tmp"), '{"sch');
    (await RunFolder.create(path, TINY_RUN))[Symbol.dispose]();
    await assertRejects(() => RunFolder.create(path, TINY_RUN), RunError, "holds a run already");
    const file = join(parent, "file");
    await Deno.writeTextFile(file, "");
    await assertRejects(
      () => RunFolder.create(file, TINY_RUN),
      RunError,
      `${file}: cannot be made`,
    );
    await assertRejects(() => RunFolder.open(parent), RunError, "holds no run");
  }));

test("RunFolder goes on where the file system has no locks, as result files do", () =>
  inFolder((parent) =>
    withoutLocks(async () => {
      const path = join(parent, "run");
      (await RunFolder.create(path, TINY_RUN))[Symbol.dispose]();
      (await RunFolder.open(path))[Symbol.dispose]();
    })
  ));

testOnDisk("run")(
  "one process alone holds a RunFolder until it ends, even by kill -9",
  async (parent) => {
    const path = join(parent, "run");
    (await RunFolder.create(path, TINY_RUN))[Symbol.dispose]();
    const program = fileURLToPath(new URL("./folder_child.ts", import.meta.url));
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-lock", "-A", program, path],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read(); // the child holds the folder
    await assertRejects(
      () => RunFolder.open(path),
      RunError,
      `${path}: another process (process ${child.pid}) trains in this folder`,
    );
    await assertRejects(() => RunFolder.create(path, TINY_RUN), RunError, "holds a run already");
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    (await RunFolder.open(path))[Symbol.dispose]();
  },
);
