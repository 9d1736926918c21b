/** Runs commands of the repository's own workflow, whose check must find a forged result file. */
import { startBash, testWithFolder } from "./machines.ts";
import { cloneInto } from "./machines.ts";
import { parseWorkflow } from "./workflow.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";

const root = new URL("../../../", import.meta.url);
const path = new URL(".github/workflows/ci.yml", root);

testWithFolder("ci.yml runs .ci/run, and refuses a forged result file", async (folder) => {
  const workflow = parseWorkflow(await Deno.readTextFile(path));
  assertEquals(workflow.permissions, { contents: "read" });
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);
  for (const { uses, with: inputs } of steps) {
    if (uses === undefined) continue;
    assert(/^(actions|denoland)\/[a-z-]+@v\d+$/.test(uses), `${uses} is not pinned by major`);
    if (uses.startsWith("actions/checkout")) assertEquals(inputs?.["persist-credentials"], false);
  }
  assert(workflow.jobs.test!.steps.some(({ run }) => run === ".ci/run"));
  assert((await Deno.stat(new URL(".ci/run", root))).isFile);

  // In a clone, make a pull request that adds an honest file, and later a forged one.
  const clone = `${folder}/clone`;
  await cloneInto(clone);
  const bash = async (script: string, env: Record<string, string> = {}) =>
    await startBash(["-e", "-o", "pipefail", "-c", script], {
      cwd: clone,
      env: {
        GIT_AUTHOR_NAME: "a",
        GIT_AUTHOR_EMAIL: "a@example.org",
        GIT_COMMITTER_NAME: "a",
        GIT_COMMITTER_EMAIL: "a@example.org",
        ...env,
      },
    }).finished;
  const base = await bash("git init -q && git add -A && git commit -qm base && git rev-parse HEAD");
  assertEquals(base.code, 0, base.output);
  const commit = base.output.trim().split("\n").at(-1)!;
  const check = workflow.jobs.results!.steps.find(({ name }) => name === "Check the result files")!;
  const none = await bash(check.run!, { BASE: commit });
  assertEquals([none.code, none.output.trim()], [0, "no result file changed"]);
  const file = JSON.parse(
    await Deno.readTextFile(new URL("fixtures/lavapipe-deno.json", root)),
  ) as { suite: { commit: string }; measurements: { samples: number[] }[] };
  const write = async (name: string) =>
    await Deno.writeTextFile(`${clone}/fixtures/${name}`, JSON.stringify(file));
  await Deno.mkdir(`${clone}/fixtures`);
  file.suite.commit = commit;
  await write("honest one.json");
  await bash("git add -A && git commit -qm honest");
  const honest = await bash(check.run!, { BASE: commit });
  assertEquals(honest.code, 0, honest.output);
  assertStringIncludes(honest.output, "fixtures/honest one.json: can be accepted");
  file.measurements[0]!.samples = file.measurements[0]!.samples.map((each) => each / 100);
  await write("forged.json");
  file.suite.commit = "0".repeat(40);
  await write("of-nowhere.json");
  await bash("git add -A && git commit -qm forged");
  const forged = await bash(check.run!, { BASE: commit });
  assertEquals(forged.code, 1, forged.output);
  assertStringIncludes(forged.output, "fixtures/forged.json: cannot be accepted");
  assertStringIncludes(forged.output, "is not in this repository's history");
  assertStringIncludes(forged.output, "fixtures/honest one.json: can be accepted");
});
