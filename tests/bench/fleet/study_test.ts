import { makeCluster, makeCommands } from "./cluster.ts";
import { startBash, testWithFolder, until } from "./machines.ts";
import { textOfPage } from "./results.ts";
import { parseWorkflow, runJob } from "./workflow.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";

const workflow = new URL("../../../bench/fleet/github-actions/study.yml", import.meta.url);

const SMALL = ["--settings=shallow", "--variants=none,learned", "--steps=20", "--measurements=5"];

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

testWithFolder("submit_study.sh trains every part once and makes one page", async (folder) => {
  const { clone, env } = await makeCluster(folder);
  const { code, output } = await startBash(
    ["bench/fleet/slurm/submit_study.sh", "3", ...SMALL, "--seeds=2"],
    { cwd: clone, env },
  ).finished;
  assertEquals(code, 0, output);
  assertEquals((await Deno.readTextFile(`${folder}/submitted`)).trim().split("\n"), [
    `--parsable --gres=gpu:1 --array=0-2 bench/fleet/slurm/study.sbatch ${
      SMALL.join(" ")
    } --seeds=2`,
    "--dependency=afterany:101 bench/fleet/slurm/study_report.sbatch results/study-101",
  ]);
  const logs = await Promise.all(
    [0, 1, 2].map((task) => Deno.readTextFile(`${folder}/log-101-${task}`)),
  );
  assertStringIncludes(logs[0]!, "2 finished of 2");
  assertStringIncludes(logs[1]!, "2 finished of 2");
  // All variants of a seed stay in one shard, so two seeds fill two shards, and the third is empty.
  assertStringIncludes(logs[2]!, "shard 3/3 has no arms");
  const page = textOfPage(await Deno.readTextFile(`${clone}/results/study-101-report/index.html`));
  assertStringIncludes(page, "shallow (2 variants × 2 seeds, 20 steps)");
});

testWithFolder("study.sbatch resumes when it is requeued", async (folder) => {
  const { clone, env } = await makeCluster(folder);
  const start = (pace: number) =>
    startBash(["bench/fleet/slurm/study.sbatch", ...SMALL, "--seeds=1"], {
      cwd: clone,
      env: {
        ...env,
        PACE: String(pace),
        SLURM_ARRAY_JOB_ID: "7",
        SLURM_ARRAY_TASK_ID: "0",
        SLURM_ARRAY_TASK_MIN: "0",
        SLURM_ARRAY_TASK_COUNT: "1",
      },
    });
  const run = `${clone}/results/study-7/shallow-none-seed1`;
  const first = start(500);
  await until(() => exists(run), run);
  Deno.kill(Number(await Deno.readTextFile(`${folder}/step`)), "SIGTERM");
  const stopped = await first.finished;
  assertEquals(stopped.code, 130, stopped.output);
  assertStringIncludes(stopped.output, "1 waiting, 1 stopped of 2");
  assert(!await exists(`${run}/study-record.json`));
  const second = await start(0).finished;
  assertEquals(second.code, 0, second.output);
  assert(await exists(`${run}/study-record.json`));
});

testWithFolder(
  "study.yml trains in parts with the least rights and reports them",
  async (folder) => {
    const { permissions, jobs } = parseWorkflow(await Deno.readTextFile(workflow));
    assertEquals(permissions, { contents: "read" });
    const { train, report } = jobs;
    for (const job of [train!, report!]) {
      assertEquals(job.permissions, undefined);
      for (const { uses, with: inputs } of job.steps) {
        if (uses === undefined) continue;
        assert(/^(actions|denoland)\/[a-z-]+@v\d+$/.test(uses), `${uses} is not pinned by major`);
        if (uses.startsWith("actions/checkout")) {
          assertEquals(
            inputs?.["persist-credentials"],
            false,
          );
        }
      }
    }
    assertEquals(train!.strategy!["fail-fast"], false);
    assertEquals([report!.needs, report!.if], ["train", "always()"]);
    const artifacts = `${folder}/artifacts`;
    const env = {
      DENO: Deno.execPath(),
      PATH: await makeCommands(`${folder}/bin`, ["deno"]),
    };
    for (const part of ["1", "2"]) {
      const results = await runJob(train!, {
        values: {
          "matrix.part": part,
          "strategy.job-total": "2",
          "inputs.options": `${SMALL.join(" ")} --seeds=2`,
        },
        env,
        folder: `${folder}/part-${part}/work`,
        artifacts,
      });
      for (const { step, finished } of results) {
        assertEquals(finished?.code, 0, `${step.name ?? step.uses}: ${finished?.output}`);
      }
    }
    const results = await runJob(report!, {
      values: {},
      env,
      folder: `${folder}/report/work`,
      artifacts,
    });
    for (const { step, finished } of results) {
      assertEquals(finished?.code, 0, `${step.name ?? step.uses}: ${finished?.output}`);
    }
    const page = textOfPage(await Deno.readTextFile(`${artifacts}/report/index.html`));
    assertStringIncludes(page, "shallow (2 variants × 2 seeds, 20 steps)");
    const summary = await Deno.readTextFile(`${folder}/report/summary.md`);
    assert(
      summary.startsWith("# The controlled study"),
      "the summary is Markdown and nothing else",
    );
  },
);
