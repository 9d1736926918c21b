import { makeCluster } from "./cluster.ts";
import { startBash, testWithFolder, until } from "./machines.ts";
import { resultStatus, textOfPage } from "./results.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";

testWithFolder("submit.sh measures every type of GPU and makes one page", async (folder) => {
  const { clone, env } = await makeCluster(folder);
  const { code, output } = await startBash(
    ["bench/fleet/slurm/submit.sh", "a100:2,h100", "--shapes=quick", "--kernels=v-scale,rms-norm"],
    { cwd: clone, env },
  ).finished;
  assertEquals(code, 0, output);
  assertEquals((await Deno.readTextFile(`${folder}/submitted`)).trim().split("\n"), [
    "--parsable --job-name=a100 --gres=gpu:a100:1 --array=0-1 bench/fleet/slurm/bench.sbatch " +
    "--shapes=quick --kernels=v-scale,rms-norm",
    "--parsable --job-name=h100 --gres=gpu:h100:1 --array=0-0 bench/fleet/slurm/bench.sbatch " +
    "--shapes=quick --kernels=v-scale,rms-norm",
    "--dependency=afterany:101:102 bench/fleet/slurm/compare.sbatch 101 102",
  ]);
  const labels = [["101", "a100-0"], ["101", "a100-1"], ["102", "h100-0"]] as const;
  const page = textOfPage(await Deno.readTextFile(`${clone}/results/comparison-103.html`));
  const table = await Deno.readTextFile(`${clone}/results/comparison-103.md`);
  for (const [job, label] of labels) {
    const result = await resultStatus(`${clone}/results/${job}/${label}.json`);
    assertEquals([result?.label, result?.status], [label, "complete"]);
    assertEquals(result?.kernels.toSorted(), ["rms-norm", "v-scale"]); // passed on
    assertStringIncludes(page, label);
    assertStringIncludes(table, label);
  }
  assertStringIncludes(page, "h100 adapter");
});

testWithFolder("bench.sbatch resumes its file when it is requeued", async (folder) => {
  const { clone, env } = await makeCluster(folder);
  const start = (pace: number) =>
    startBash(["bench/fleet/slurm/bench.sbatch", "--shapes=quick"], {
      cwd: clone,
      env: {
        ...env,
        PACE: String(pace),
        SLURM_JOB_NAME: "a100",
        SLURM_ARRAY_JOB_ID: "7",
        SLURM_ARRAY_TASK_ID: "3",
      },
    });
  const file = `${clone}/results/7/a100-3.json`;
  // At the time limit Slurm signals the step, not the script.
  const first = start(50);
  await until(async () => ((await resultStatus(file))?.measurements ?? 0) >= 2, file);
  Deno.kill(Number(await Deno.readTextFile(`${folder}/step`)), "SIGTERM");
  const stopped = await first.finished;
  assertEquals(stopped.code, 130, stopped.output);
  const before = (await resultStatus(file))!;
  assertEquals([before.label, before.status], ["a100-3", "incomplete"]);

  const second = await start(0).finished;
  assertEquals(second.code, 0, second.output);
  const after = (await resultStatus(file))!;
  assertEquals([after.label, after.status], ["a100-3", "complete"]);
  assert(after.measurements > before.measurements, `${before.measurements} are all there are`);
  assertEquals(after.date, before.date); // the same file, not a new one

  const bytes = await Deno.readTextFile(file);
  const third = await start(0).finished;
  assertEquals(third.code, 0, third.output);
  assertStringIncludes(third.output, "is complete");
  assertEquals(await Deno.readTextFile(file), bytes);
});

testWithFolder("compare.sbatch fails with one line if there is one machine", async (folder) => {
  const { clone, env } = await makeCluster(folder);
  await Deno.mkdir(`${clone}/results`);
  const { code, output } = await startBash(["bench/fleet/slurm/compare.sbatch", "1", "2"], {
    cwd: clone,
    env: { ...env, SLURM_JOB_ID: "3" },
  }).finished;
  assertEquals(code, 2, output);
  assertStringIncludes(output, "no result file given");
});

testWithFolder(
  "every script keeps its log under results/, and asks for memory and cores",
  async () => {
    const folder = new URL("../../../bench/fleet/slurm/", import.meta.url);
    const scripts = (await Array.fromAsync(Deno.readDir(folder)))
      .filter(({ name }) => name.endsWith(".sbatch"));
    assertEquals(scripts.length, 4);
    for (const { name } of scripts) {
      const asked = (await Deno.readTextFile(new URL(name, folder))).match(/(?<=^#SBATCH ).*/gm)!;
      const has = (option: string) => asked.some((each) => each.startsWith(option));
      assert(has("--output=results/slurm-"), name);
      assert(has("--mem="), name);
      assert(has("--cpus-per-task=") || has("--exclusive"), name);
    }
    // Slurm fails a job whose log it cannot open, so a fresh clone must contain the folder.
    assert((await Deno.stat(new URL("../../../results/.gitkeep", import.meta.url))).isFile);
  },
);
