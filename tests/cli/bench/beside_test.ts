/** `deno task bench --beside` from end to end on the GPU, and its errors. */
import { fileURLToPath } from "node:url";
import { bench, type BenchHooks } from "../../../src/cli/bench.ts";
import { partnersOf } from "../../../src/cli/bench/beside.ts";
import { besidePath } from "../../../src/cli/bench/joint_run.ts";
import { runCompare } from "../../../src/cli/compare.ts";
import { TURNS } from "../../../src/measure/child/protocol.ts";
import type { Job } from "../../../src/measure/jobs.ts";
import type { Measurement } from "../../../src/measure/result_file.ts";
import { readResultFile, writeResultFile } from "../../../src/measure/result_file/store.ts";
import { shapesOf } from "../../../src/measure/workloads/shapes.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { testOnDisk } from "../../support/folder.ts";
import { recordOutput } from "../record_output.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const testCommand = testOnDisk("run", "env");

/** A copy of this checkout, in a folder with a space and an accent. */
async function checkoutIn(folder: string): Promise<string> {
  const path = `${folder}/l'état avant`;
  await Deno.mkdir(path);
  for (const name of ["src", "mod.ts"]) await Deno.symlink(`${root}${name}`, `${path}/${name}`);
  await copyFolder(`${root}kernels`, `${path}/kernels`);
  const config = JSON.parse(await Deno.readTextFile(`${root}deno.json`)) as object;
  const other = { ...config, version: "0.0.1", workspace: [] };
  await Deno.writeTextFile(`${path}/deno.json`, JSON.stringify(other));
  return path;
}

// Copies a folder. Links would not do: a process may import text files from its own folder, but not
// through links.
async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

async function run(args: readonly string[], hooks: BenchHooks = {}) {
  const output = recordOutput();
  const code = await bench(args, { output, deadline: 60_000, ...hooks });
  return { code, ...output.texts };
}

/**
 * A measuring process that claims the given properties and uses no GPU; see
 * `../programs/fake_child.ts`.
 */
function fakeChild(claims: object = {}) {
  const path = fileURLToPath(new URL("../programs/fake_child.ts", import.meta.url));
  const args = ["run", "--quiet", "--no-lock", "-A", path, JSON.stringify(claims)];
  return { command: Deno.execPath(), args };
}

/** Maps each process's round to the sweeps in which the process took samples. */
function sweepsOf({ sweeps, rounds, processes }: Measurement): Record<number, number[]> {
  let visit = 0;
  return Object.fromEntries(processes!.map(({ round, samples }) => {
    const own: number[] = [];
    for (let count = 0; count < samples; visit++) {
      count += rounds![visit]!;
      own.push(sweeps![visit]!);
    }
    return [round, own];
  }));
}

testCommand(
  "bench --beside measures two checkouts in turns, compares them, and loses only a row that fails",
  async (folder) => {
    const checkout = await checkoutIn(folder);
    // The older checkout has a kernel that does not compile.
    await Deno.writeTextFile(`${checkout}/kernels/v_scale/backward.wgsl`, "no kernel");
    const path = `${folder}/new.json`;
    const { code, out, err } = await run([
      ...[`--beside=${checkout}`, `--out=${path}`, "--kernels=rms-norm,v-scale"],
      ...["--passes=backward", "--shapes=quick", "--cache=hot", "--budget=1"],
    ]);
    assertEquals(code, 3, err);
    const other = `${folder}/new-beside.json`;
    assertStringIncludes(err, `bench: written to ${path}\nbench: written to ${other}\n`);
    assertStringIncludes(err, "1 of 4 measurements are not ok");
    const [own, beside] = [await readResultFile(path), await readResultFile(other)];
    assert(/^[0-9a-f]{32}$/.test(own.settings.jointRun!));
    assertEquals(beside.settings.jointRun, own.settings.jointRun);
    assertEquals([own.status, beside.status], ["complete", "complete"]);
    assertEquals(beside.suite, { version: "0.0.1", commit: null }, "of the other checkout");
    assert(own.warnings!.some((warning) => warning.startsWith("no ceilings with --beside")));
    const [[after, alone], [before, lost]] = [own.measurements, beside.measurements];
    assertEquals(after!.processes!.map(({ round }) => round), [0, 1, 2]);
    assertEquals(before!.repeats, after!.repeats);
    for (const [round, sweeps] of Object.entries(sweepsOf(after!))) {
      const others = sweepsOf(before!)[Number(round)]!;
      const both = sweeps.filter((sweep) => others.includes(sweep));
      assert(both.length >= 3, `visits side by side in round ${round}: ${sweeps} and ${others}`);
    }
    assertEquals(lost!.status, "failed");
    assertStringIncludes(lost!.reason!, "backward.wgsl");
    assert(alone!.samples.length > 0, "its partner is measured alone");
    // The bench prints the same as `deno task compare` with the older checkout's file first.
    const output = recordOutput();
    assertEquals(await runCompare([other, path], output), 0);
    assertEquals(out, output.texts.out);
    assertStringIncludes(out, "rms-norm backward");
    // A joint run cannot be resumed.
    await writeResultFile(path, { ...own, status: "incomplete" });
    const resumed = await run([`--resume=${path}`]);
    assertEquals(resumed.code, 2);
    assertStringIncludes(resumed.err, "was measured with --beside");
  },
);

testCommand("bench --beside refuses unusable checkouts in one line", async (folder) => {
  const checkout = await checkoutIn(folder);
  await Deno.writeTextFile(`${folder}/there-beside.json`, "kept");
  const operator = `${root}bench/operators/softcap.ts`;
  const text = (await Deno.readTextFile(operator)).replace('"softcap"', '"softcup"');
  await Deno.writeTextFile(`${folder}/other.ts`, text);
  await Deno.mkdir(`${folder}/elsewhere`);
  await Deno.writeTextFile(`${folder}/elsewhere/deno.json`, '{ "name": "@other/project" }');
  const fake = (claims: object): BenchHooks => ({
    ...{ child: fakeChild(), childBeside: fakeChild(claims) },
  });
  const quick = ["--shapes=quick", "--kernels=rms-norm"];
  const wrong: readonly [args: string[], text: string, hooks?: BenchHooks][] = [
    [[`--beside=${folder}/nowhere`], "there is no "],
    [[`--beside=${folder}/elsewhere`], "is no checkout of this project; git worktree add"],
    [[`--beside=${root}`], "is the checkout that this command runs from"],
    [[`--beside=${root}src/../`], "is the checkout that this command runs from"],
    [[`--beside=${operator}`], "give the new one as --operator"],
    [[`--beside=${folder}/other.ts`, `--operator=${operator}`], "only two files of one operator"],
    [[`--beside=${checkout}`, `--out=${folder}/there.json`], "there-beside.json exists already"],
    [[`--beside=${checkout}`, `--resume=${folder}/a.json`], "--beside with --resume"],
    [[`--beside=${checkout}`, ...quick], "is older than measuring in turns", fake({})],
    [[`--beside=${checkout}`, ...quick], "has another form of measuring", fake({ turns: 1000 })],
    [
      [`--beside=${checkout}`, ...quick],
      'opens another adapter. GPU: "fake adapter", not "other adapter"',
      fake({ turns: TURNS, adapter: "other" }),
    ],
    [
      [`--beside=${checkout}`, ...quick],
      "has no rms-norm forward, rms-norm backward, so nothing is comparable",
      fake({ turns: TURNS, known: [] }),
    ],
    [
      [`--beside=${checkout}`, ...quick, "--variants=portable,tile"],
      "has no variant tile",
      fake({ turns: TURNS, known: ["portable"] }),
    ],
  ];
  for (const [args, message, hooks] of wrong) {
    const { code, out, err } = await run(args, hooks);
    assertStringIncludes(err, message);
    assertEquals([code, out], [2, ""], err);
    assert(/^bench: [^\n]+\n$/.test(err), err);
  }
  const left = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  assertEquals(left, ["elsewhere", "l'état avant", "other.ts", "there-beside.json"]);
});

testCommand("bench --beside measures alone what the other checkout lacks", async (folder) => {
  const checkout = await checkoutIn(folder);
  const claims = { turns: TURNS, known: ["portable"], pace: 0 };
  const path = `${folder}/new.json`;
  const { code, err } = await run(
    [
      ...[`--beside=${checkout}`, `--out=${path}`, "--kernels=rms-norm,v-scale"],
      ...["--passes=forward", "--shapes=quick", "--cache=hot"],
    ],
    { child: fakeChild(claims), childBeside: fakeChild({ ...claims, lacks: ["v-scale"] }) },
  );
  assertEquals(code, 0, err);
  assertStringIncludes(err, `bench: ${checkout} has no v-scale forward: measured alone\n`);
  const kernels = async (path: string) =>
    [...new Set((await readResultFile(path)).measurements.map(({ kernel }) => kernel))].sort();
  assertEquals(await kernels(path), ["rms-norm", "v-scale"]);
  assertEquals(await kernels(`${folder}/new-beside.json`), ["rms-norm"]);
});

Deno.test("partnersOf() pairs equal variants, and otherwise each side's default", () => {
  const [shape] = shapesOf("attention", { software: true });
  const job = (id: number, variant: string, chosen = true): Job => ({
    ...{ id, kernel: "attention", pass: "forward", shape: shape!, dtype: "f32", variant },
    ...{ cache: "hot", chosen },
  });
  const found = (jobs: readonly Job[], others: readonly Job[]) =>
    [...partnersOf(jobs, others)].map(([id, other]) => [id, other.id, other.variant].join(" "));
  assertEquals(found([job(0, "a"), job(1, "b", false)], [job(0, "b", false), job(1, "a")]), [
    "0 0 a",
    "1 1 b",
  ]);
  // If the default variant has changed, the old default is compared with the new one, because
  // callers get the default.
  assertEquals(found([job(0, "new")], [job(5, "old")]), ["0 0 old"]);
  // The other checkout has one variant, so it is the partner of only one job. The job that has no
  // partner is measured alone.
  assertEquals(found([job(0, "new"), job(1, "old", false)], [job(0, "old")]), ["1 1 old"]);
  assertEquals(found([job(0, "a"), job(1, "c", false)], [job(0, "a")]), ["0 0 a"]);
});

Deno.test("besidePath() puts the second file beside the first", () => {
  assertEquals(besidePath("/a.b/new.json"), "/a.b/new-beside.json");
  assertEquals(besidePath("/a.b/new"), "/a.b/new-beside");
});
