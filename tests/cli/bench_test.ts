/** What `deno task bench` writes and prints. */
import { runCompare } from "../../src/cli/compare.ts";
import { parseResultFile } from "../../src/measure/result_file/parse.ts";
import { readResultFile } from "../../src/measure/result_file/store.ts";
import { operatorNames, passesOf } from "../../src/measure/workloads/operators.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { recordOutput } from "./record_output.ts";
import { run, testBench } from "./bench/processes.ts";

testBench("bench() writes every measurement of the grid, and a table", async (folder) => {
  const path = `${folder}/a.json`;
  const { code, stdout, stderr } = await run([
    `--out=${path}`,
    "--label=my machine",
    "--budget=30",
  ]);
  assertEquals(code, 0, stderr);
  const file = await readResultFile(path);
  assertEquals(file.status, "complete");
  assertEquals(file.label, "my machine");
  assertEquals(file.adapter.description, "fake adapter");
  const names = new Set(file.measurements.map(({ kernel, pass }) => `${kernel} ${pass}`));
  assertEquals(names.size, operatorNames.flatMap(passesOf).length);
  for (const name of names) assertStringIncludes(stdout, name.split(" ")[0]!);
  // The fake process reports 1 MFLOP in a little more than 1 µs, which is almost 1000 GFLOP/s.
  assertStringIncludes(stdout, "GFLOP/s");
  assert(!stdout.includes("NaN") && !stdout.includes("undefined"), stdout);
});

testBench(
  "bench() measures each row in several processes, and two runs agree or show the slower one",
  async (folder) => {
    const args = ["--shapes=quick", "--kernels=rms-norm,v-scale", "--cache=hot", "--budget=5"];
    const path = (name: string): string => `${folder}/${name}.json`;
    const runs = await Promise.all([
      run([...args, `--out=${path("a")}`]),
      run([...args, `--out=${path("b")}`, "--seed=2"]),
      run([...args, `--out=${path("c")}`], { fake: { slow: 1.1 } }),
    ]);
    for (const { code, stderr } of runs) assertEquals(code, 0, stderr);
    const { measurements, settings } = await readResultFile(path("a"));
    assertEquals(settings.processes, 3);
    for (const { processes, samples, correctness } of measurements) {
      assertEquals(processes?.map(({ round, samples }) => [round, samples]), [[0, 2], [1, 2], [
        2,
        2,
      ]]);
      assertEquals([samples.length, correctness?.tolerance], [6, 1], "checked once, and kept");
    }
    const gate = async (name: string): Promise<[number, string]> => {
      const output = recordOutput();
      const code = await runCompare([path("a"), path(name), "--fail-on-regression=5%"], output);
      return [code, output.texts.err + output.texts.out];
    };
    const [same, equal] = await gate("b");
    assertEquals([same, equal.match(/= same/g)?.length], [0, measurements.length], equal);
    const [slower, found] = await gate("c");
    assertEquals([slower, found.match(/▼ slower/g)?.length], [3, measurements.length], found);
  },
);

testBench(
  "bench() reports no speed for a kernel that fails in a later process, and measures the others",
  async (folder) => {
    const path = `${folder}/a.json`;
    const args = [`--out=${path}`, "--shapes=quick", "--kernels=rms-norm", "--budget=5"];
    const { code, stderr } = await run(args, { fake: { crash: 1 } });
    assertEquals(code, 3, stderr);
    const { measurements, status } = await readResultFile(path);
    assertEquals(status, "complete");
    // The rows with a hot and a cold cache run the same kernel, so both rows fail.
    const failed = measurements.filter((each) => each.status === "failed");
    assertEquals(failed.map(({ pass, samples }) => [pass, samples.length]), [
      ["forward", 0],
      ["forward", 0],
    ]);
    assertStringIncludes(failed[0]!.reason ?? "", "code 9");
    for (const { pass, processes } of measurements) {
      if (pass === "backward") assertEquals(processes?.length, 3);
    }
  },
);

testBench("bench() prints only the result file with --json", async (folder) => {
  const { code, stdout } = await run([
    `--out=${folder}/a.json`,
    "--json",
    "--shapes=quick",
    "--kernels=rms-norm",
    "--budget=5",
  ]);
  assertEquals(code, 0);
  assertEquals(parseResultFile(stdout, "stdout"), await readResultFile(`${folder}/a.json`));
});

testBench("bench() says which kernels tuning chose, and goes without it", async (folder) => {
  const args = ["--shapes=quick", "--kernels=rms-norm", "--cache=hot", "--budget=5"];
  const tuned = await run([...args, `--out=${folder}/a.json`]);
  assertEquals(tuned.code, 0, tuned.stderr);
  assertStringIncludes(tuned.stdout, "portable*");
  const { measurements } = await readResultFile(`${folder}/a.json`);
  assert(measurements.every(({ tuning }) => tuning.tuned === true));
  const plain = await run([...args, "--tuning=off", `--out=${folder}/b.json`]);
  assert(!plain.stdout.includes("(tuned)"), plain.stdout);
  const { measurements: others, settings } = await readResultFile(`${folder}/b.json`);
  assert(others.every(({ tuning }) => Object.keys(tuning).length === 0));
  assertEquals((settings.selection as Record<string, unknown>).tuning, "off");
});

testBench(
  "bench() measures variants in f16 only if named, as a separate number format",
  async (folder) => {
    const selection = ["--shapes=quick", "--kernels=attention,matmul", "--cache=hot", "--budget=5"];
    const args = [...selection, "--variants=tiled-32,tiled-32-f16,tiled-32x32-f16"];
    const { code, stderr, stdout } = await run([...args, `--out=${folder}/a.json`]);
    assertEquals(code, 0, stderr);
    const { measurements, settings } = await readResultFile(`${folder}/a.json`);
    const rows = measurements.map(({ kernel, pass, dtype, variant }) =>
      [kernel, pass, dtype, variant].join(" ")
    );
    assertEquals([...new Set(rows)], [
      "attention forward f16+f32 tiled-32x32-f16",
      "attention backward f16+f32 tiled-32x32-f16",
      "matmul forward f32 tiled-32",
      "matmul forward f16+f32 tiled-32-f16",
    ]);
    assertEquals((settings.selection as Record<string, unknown>).dtypes, ["f32", "f16+f32"]);
    assertStringIncludes(stdout, "tiled-32-f16");
    const usual = await run([...selection, "--variants=all", `--out=${folder}/b.json`]);
    assertEquals(usual.code, 0, usual.stderr);
    const { measurements: others } = await readResultFile(`${folder}/b.json`);
    assert(others.every(({ dtype, variant }) => dtype === "f32" && !variant.endsWith("f16")));
  },
);

testBench(
  "bench() names the requested variants that cannot run before it measures",
  async (folder) => {
    const fake = { unfit: ["tiled-f16", "tiled-32-f16"] };
    const selection = ["--shapes=quick", "--kernels=matmul", "--cache=hot", "--budget=5"];
    const args = [...selection, `--out=${folder}/a.json`];
    const none = await run([...args, "--variants=tiled-f16,tiled-32-f16"], { fake });
    assertEquals(none.code, 1, none.stdout);
    assertStringIncludes(none.stderr, "matmul forward tiled-f16: the adapter has no f16; matmul");
    assertEquals([...Deno.readDirSync(folder)].length, 0, "nothing was measured");
    const some = await run([...args, "--variants=tiled-f16,tiled-32"], { fake });
    assertEquals(some.code, 0, some.stderr);
    assertStringIncludes(some.stderr, "left out matmul forward tiled-f16: the adapter has no f16");
    const { measurements } = await readResultFile(`${folder}/a.json`);
    assertEquals([...new Set(measurements.map(({ variant }) => variant))], ["tiled-32"]);
  },
);

testBench(
  "bench() names its file by date and adapter, and never overwrites one",
  async (folder) => {
    const args = ["--shapes=quick", "--kernels=rms-norm", "--label=x/../y", "--budget=5"];
    for (let i = 0; i < 2; i++) assertEquals((await run(args, { cwd: folder })).code, 0);
    const names = [...Deno.readDirSync(`${folder}/results`)].map(({ name }) => name);
    assertEquals(names.length, 2);
    for (const name of names) {
      assert(/^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-fake-adapter-deno-x-y(-2)?\.json$/.test(name), name);
    }
  },
);

// This test uses the GPU. It takes 12 s, because only a deadline ends the endless kernel.
testBench(
  "bench() reports hanging, crashing, wrong and uncompilable kernels, and measures the others",
  async (folder) => {
    const path = `${folder}/a.json`;
    const { code, stdout, stderr } = await run([
      `--out=${path}`,
      "--shapes=quick",
      "--kernels=rms-norm,v-scale,attention-sink-statistics",
      "--cache=hot",
      "--budget=10",
    ], { child: "faulty_child.ts" });
    assertEquals(code, 3, stderr);
    const file = await readResultFile(path);
    assertEquals(file.status, "complete");
    const found = (kernel: string, pass: string) => {
      const each = file.measurements.find((each) => each.kernel === kernel && each.pass === pass);
      assert(each !== undefined, `${kernel} ${pass} is missing`);
      return each;
    };
    const right = found("rms-norm", "backward");
    assertEquals(right.status ?? "ok", "ok", right.reason ?? "");
    assert(right.samples.length > 0);
    assert(right.correctness!.error <= right.correctness!.tolerance);
    const wanted: readonly [kernel: string, pass: string, status: string, reason: string][] = [
      ["rms-norm", "forward", "wrong", "allowed is"],
      ["v-scale", "forward", "timed-out", "no answer for 12 s"],
      ["v-scale", "backward", "failed", "code 9"],
      ["attention-sink-statistics", "forward", "failed", "missing"],
    ];
    for (const [kernel, pass, status, reason] of wanted) {
      const each = found(kernel, pass);
      assertEquals(each.status, status, `${kernel} ${pass}: ${each.reason}`);
      assertStringIncludes(each.reason ?? "", reason);
      assertEquals(each.samples.length, 0, "no speed of a kernel that is not right");
      assertStringIncludes(stdout, status);
    }
    assertEquals(file.measurements.length, 5);
  },
);
