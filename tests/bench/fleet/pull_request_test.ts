/** Tests the example that measures a pull request beside its base, from end to end. */
import { pathToFileURL } from "node:url";
import { cloneInto, startBash, testWithFolder } from "./machines.ts";
import { textOfPage } from "./results.ts";
import { parseWorkflow, runJob, type Step } from "./workflow.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

const path = new URL("../../../bench/fleet/github-actions/pull_request.yml", import.meta.url);

const readJob = async () => parseWorkflow(await Deno.readTextFile(path)).jobs.beside!;

testWith("read")("pull_request.yml runs with the least rights, on folders that exist", async () => {
  const workflow = parseWorkflow(await Deno.readTextFile(path));
  assertEquals(workflow.permissions, { contents: "read" });
  const { steps, permissions } = workflow.jobs.beside!;
  assertEquals(permissions, undefined);
  for (const { uses, with: inputs } of steps) {
    if (uses === undefined) continue;
    assert(/^(actions|denoland)\/[a-z-]+@v\d+$/.test(uses), `${uses} is not pinned by major`);
    // The checkout contains HEAD^1 only with a depth of 2.
    if (!uses.startsWith("actions/checkout")) continue;
    assertEquals(inputs, { "persist-credentials": false, "fetch-depth": 2 });
  }
  const { paths } = workflow.on.pull_request!;
  assert(paths.length > 0);
  for (const each of paths) {
    const folder = each.replace(/\/\*\*$/, "/");
    assert((await Deno.stat(new URL(`../../../${folder}`, import.meta.url))).isDirectory, each);
  }
});

// Fills the folder with a repository whose pull request makes V-scale's forward kernel sum the
// squares of a row 32 times. The merge is checked out, as on a runner.
async function pullRequestIn(folder: string): Promise<void> {
  await cloneInto(folder);
  const commit = async (message: string, before = "") => {
    const script =
      `${before}\ngit add -A && git -c user.name=a -c user.email=a@b.c commit -qm ${message}`;
    const { code, output } = await startBash(["-ec", script], { cwd: folder, env: {} }).finished;
    assertEquals(code, 0, output);
  };
  await commit("base", "git init -q -b main");
  const kernel = `${folder}/kernels/v_scale/forward.wgsl`;
  const text = await Deno.readTextFile(kernel);
  const loop = "    for (var i = start; i < length; i += LANES_PER_ROW) {\n      let v =";
  const slow = text.replace(
    loop,
    `    for (var sums = 0u; sums < 32u; sums++) {\n    squares *= 0.0;\n${loop}`,
  ).replace("      squares += v * v;\n    }\n", "      squares += v * v;\n    }\n    }\n");
  assert(slow.includes("squares *= 0.0") && slow.includes("    }\n    }\n"));
  await Deno.writeTextFile(kernel, slow);
  await commit("slower", "git switch -qc change");
  const merge = "git switch -q main && git -c user.name=a -c user.email=a@b.c merge -q --no-ff " +
    "-m merge change";
  const { code, output } = await startBash(["-ec", merge], { cwd: folder, env: {} }).finished;
  assertEquals(code, 0, output);
}

testWithFolder("pull_request.yml fails on a slower kernel, and names it alone", async (folder) => {
  const origin = `${folder}/origin`;
  await pullRequestIn(origin);
  const job = await readJob();
  // With --beside, this budget allows six processes. With three, one process that met a burst of
  // other work can hide even a fourfold slowdown: beside such bursts, 3 of 11 runs with three
  // processes failed, and none of 10 with six.
  const tiny =
    "--shapes=smollm2-135m-t128 --kernels=rms-norm,v-scale --passes=forward --cache=hot --budget=64";
  const steps = job.steps
    .filter(({ name }) => name !== "Install a Vulkan driver") // this machine has one
    .map((step): Step =>
      step.env?.OPTIONS === undefined ? step : { ...step, env: { ...step.env, OPTIONS: tiny } }
    );
  assertEquals(steps.length, job.steps.length - 1);
  const results = await runJob({ ...job, steps }, {
    values: {},
    env: {},
    folder: `${folder}/machine/work`,
    artifacts: `${folder}/artifacts`,
    async checkout(into) {
      const script = `git clone -q --depth 2 "$0" "$1"`;
      const args = ["-ec", script, pathToFileURL(origin).href, into];
      const { code, output } = await startBash(args, { cwd: folder, env: {} }).finished;
      assertEquals(code, 0, output);
    },
  });
  const codes = Object.fromEntries(
    results.map(({ step, finished }) => [step.name ?? step.uses, finished?.code]),
  );
  const compared = results.find(({ step }) => step.name === "Compare")!.finished!;
  const all = results.map(({ finished }) => finished?.output).join("\n");
  assertEquals([codes["Check out the base"], codes.Measure, codes.Compare], [0, 0, 3], all);
  assertEquals(codes["Keep the results"], 0);
  const regressions = compared.output.split("\n").filter((line) => line.startsWith("regression: "));
  assertEquals(regressions.length, 1, compared.output);
  assertStringIncludes(regressions[0]!, "regression: v-scale forward");
  const summary = await Deno.readTextFile(`${folder}/machine/summary.md`);
  for (const text of ["v-scale", "rms-norm", "slower"]) assertStringIncludes(summary, text);
  const page = await Deno.readTextFile(`${folder}/artifacts/beside/comparison.html`);
  assertStringIncludes(textOfPage(page), "slower");
  // With the two files exchanged, V-scale's kernel became faster, which is no regression. On a busy
  // machine the row of rms-norm may have too few samples for a judgment. Then the exit code is 4.
  const compare = steps.find(({ name }) => name === "Compare")!;
  const swapped = compare.run!.replace(/(\S+beside\.json) (\S+\.json)/, "$2 $1");
  assert(swapped !== compare.run);
  const passed = await startBash(["-e", "-o", "pipefail", "-c", swapped], {
    cwd: `${folder}/machine/work`,
    env: { GITHUB_STEP_SUMMARY: `${folder}/swapped.md` },
  }).finished;
  assert(passed.code === 0 || passed.code === 4, passed.output);
  assert(!passed.output.includes("regression: "), passed.output);
});
