import { resultStatus, textOfPage } from "./results.ts";
import { reason, type Started, testWithFolder, until } from "./machines.ts";
import { parseWorkflow, runJob, type Step, type StepResult } from "./workflow.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read");

const path = new URL("../../../bench/fleet/github-actions/bench.yml", import.meta.url);

test("bench.yml measures on all kinds of hosted machine with the least rights", async () => {
  const workflow = parseWorkflow(await Deno.readTextFile(path));
  assertEquals(workflow.permissions, { contents: "read" });
  const { bench, compare } = workflow.jobs;
  for (const job of [bench!, compare!]) {
    assertEquals(job.permissions, undefined); // only the workflow's
    for (const { uses, with: inputs } of job.steps) {
      if (uses === undefined) continue;
      assert(/^(actions|denoland)\/[a-z-]+@v\d+$/.test(uses), `${uses} is not pinned by major`);
      // The checkout must not keep its token: it would stay on disk while benchmarks run.
      if (uses.startsWith("actions/checkout")) {
        assertEquals(inputs?.["persist-credentials"], false);
      }
    }
  }
  assertEquals(bench!.strategy!["fail-fast"], false);
  const machines = bench!.strategy!.matrix.include;
  assertEquals(new Set(machines.map(({ name }) => name)).size, machines.length);
  const runners = machines.map((machine) => machine["runs-on"]);
  for (const runner of ["ubuntu-latest", "macos-latest", "windows-latest"]) {
    assert(runners.includes(runner), `no ${runner}`);
  }
  // A job waits a day for a missing runner. So the example names the self-hosted machine only in a
  // comment.
  assert(!runners.some((labels) => Array.isArray(labels)), "a runner that GitHub does not have");
  assertStringIncludes(await Deno.readTextFile(path), "#   runs-on: [self-hosted, gpu]");
  // If one machine fails, the page still shows the others.
  assertEquals([compare!.needs, compare!.if], ["bench", "always()"]);
});

const gpu = navigator.gpu as GPU | undefined;
const unless = Deno.build.os !== "linux" || Deno.build.arch !== "x86_64"
  ? "needs a second adapter; only x64 Linux has the embedded one"
  : reason === undefined && await gpu?.requestAdapter() == null
  ? "needs a second adapter, an installed one beside the embedded one"
  : undefined;

// Asks for one measurement with a hot cache and one with a cold cache. The second is cut short.
const tiny = "--shapes=quick --kernels=v-scale --passes=forward --budget=3";

// Two machines: the installed adapter and the embedded one. After the first measurement each
// machine's shell gets SIGINT, as from a runner whose time limit ends. Each machine must then
// upload a valid, incomplete file.
testWithFolder(
  "bench.yml makes one page of two adapters whose benches were cut short",
  async (folder) => {
    const { jobs } = parseWorkflow(await Deno.readTextFile(path));
    const artifacts = `${folder}/artifacts`;
    const machines = [
      { name: "ubuntu", env: {} },
      { name: "own-gpu", env: { GRADSINK_ADAPTER: "embedded" } },
    ] as const;
    await Promise.all(machines.map(async ({ name, env }) => {
      const machine = `${folder}/${name}/work`;
      const result = `${machine}/results/${name}.json`;
      const interrupted: Promise<void>[] = [];
      const results = await runJob(jobs.bench!, {
        values: { "matrix.name": name, "inputs.options": tiny },
        env,
        folder: machine,
        artifacts,
        started: (step, command) => {
          if (step.name === "Measure") interrupted.push(interruptWhenMeasured(command, result));
        },
      });
      await Promise.all(interrupted);
      const measured = codeOf(results, "Measure");
      assertEquals(measured.code, 130, measured.output);
      assertEquals(codeOf(results, "Keep the result").code, 0);
    }));
    const results = await runJob(jobs.compare!, {
      values: {},
      env: {},
      folder: `${folder}/compare/work`,
      artifacts,
    });
    for (const { step, finished } of results) assertEquals(finished?.code, 0, describe(step));
    const page = textOfPage(await Deno.readTextFile(`${artifacts}/comparison/comparison.html`));
    const summary = await Deno.readTextFile(`${folder}/compare/summary.md`);
    for (const text of [page, summary]) {
      for (const { name } of machines) assertStringIncludes(text, name);
      assertStringIncludes(text, "SwiftShader");
      assertStringIncludes(text, "v-scale");
    }
    assert(summary.startsWith("**"), "the summary is Markdown and nothing else");
    for (const { name } of machines) {
      const result = await resultStatus(`${artifacts}/result-${name}/${name}.json`);
      assertEquals([result?.label, result?.status], [name, "incomplete"]);
      assert(result!.measurements >= 1);
    }
    // The page also works with one machine.
    await Deno.remove(`${artifacts}/result-own-gpu`, { recursive: true });
    const alone = await runJob(jobs.compare!, {
      values: {},
      env: {},
      folder: `${folder}/alone/work`,
      artifacts,
    });
    assertEquals(codeOf(alone, "Compare").code, 0, codeOf(alone, "Compare").output);
    const one = textOfPage(await Deno.readTextFile(`${artifacts}/comparison/comparison.html`));
    assertStringIncludes(one, "One machine alone");
    assertStringIncludes(await Deno.readTextFile(`${folder}/alone/summary.md`), "v-scale");
  },
  unless,
);

async function interruptWhenMeasured({ process, finished }: Started, file: string): Promise<void> {
  let ended = false;
  finished.then(() => ended = true);
  await until(async () => ended || ((await resultStatus(file))?.measurements ?? 0) > 0, file);
  if (!ended) process.kill("SIGINT");
}

function codeOf(results: readonly StepResult[], name: string): { code: number; output: string } {
  const { finished } = results.find(({ step }) => step.name === name)!;
  if (finished === undefined) throw new Error(`the step ${name} was left out`);
  return finished;
}

function describe({ name, uses }: Step): string {
  return name ?? uses ?? "a step";
}
