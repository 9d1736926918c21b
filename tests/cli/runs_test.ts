import { join } from "node:path";
import { showRuns } from "../../src/cli/runs.ts";
import { trainRun } from "../../src/experiments/run.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { TINY_RUN } from "../experiments/tiny_run.ts";
import { inFolder } from "../support/folder.ts";
import { testWith } from "../support/permitted.ts";
import { recordOutput } from "./record_output.ts";

const test = testWith("read", "write");

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const output = recordOutput();
  const code = await showRuns(args, output);
  return { code, ...output.texts };
}

test("runs compares runs in a table, in a page, and in CSV with every number", () =>
  inFolder(async (folder) => {
    const [one, two] = [join(folder, "one"), join(folder, "two")];
    const settings = {
      ...TINY_RUN,
      steps: 24,
      reporting: { ...TINY_RUN.reporting, finalBatches: 4 },
    };
    const result = await trainRun({ folder: one, settings, resume: "never" });
    await trainRun({ folder: two, settings: { ...settings, seed: 4 }, resume: "never" });
    const [csv, page] = [join(folder, "runs.csv"), join(folder, "runs.html")];
    const { code, out, err } = await run(one, two, `--csv=${csv}`, `--html=${page}`);
    assertEquals([code, err], [0, `runs: written to ${csv}\nruns: written to ${page}\n`], out);
    assert(/^seed +3 +4$/m.test(out), out);
    const lines = (await Deno.readTextFile(csv)).trim().split(/\r?\n/);
    assertEquals(lines[0], "run,seed,v_scale,step,quantity,layer,head,value,low,high");
    assert(lines.every((line) => line.split(",").length >= 10));
    // The CSV's line with the last gradient-sink ratio R_GS of layer 1, and its interval.
    const { layers, intervals } = result.measurement!;
    const [low, high] = intervals!.layers[1]!.gradientSink!;
    const wanted = `one,3,learned,24,R_GS,1,,${
      layers[1]!.attention!.gradientSink.ratio
    },${low},${high}`;
    assert(lines.includes(wanted), wanted);
    // Losses at every recorded step.
    const losses = lines.filter((line) => /^two,4,learned,\d+,training loss,/.test(line));
    assertEquals(losses.length, 5);
    const html = await Deno.readTextFile(page);
    for (const text of ["one", "two", "training loss", "R_GS, median over layers", "seed"]) {
      assertStringIncludes(html, text);
    }
    assert(!/NaN|undefined|Infinity|<script/.test(html));
  }));

test("runs refuses a folder without a run, or one given twice, in one line", () =>
  inFolder(async (folder) => {
    const none = await run(folder);
    assertEquals(none.code, 1);
    assertStringIncludes(none.err, "holds no run");
    assertEquals((await run()).code, 2);
    const twice = await run(folder, join(folder, "."));
    assertEquals(twice.code, 2);
    assertStringIncludes(twice.err, "is given twice");
  }));
