import { fileURLToPath } from "node:url";
import { bench } from "../../src/cli/bench.ts";
import { runCompare } from "../../src/cli/compare.ts";
import { parseResultFile } from "../../src/measure/result_file/parse.ts";
import { readResultFile, writeResultFile } from "../../src/measure/result_file/store.ts";
import type { Measurement, ResultFile } from "../../src/measure/result_file.ts";
import { operatorNames, passesOf } from "../../src/measure/workloads/operators.ts";
import { randomUniform } from "../../src/random.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { recordOutput } from "./record_output.ts";

const needed = ["run", "read", "write", "env", "sys"] as const;
const missing: string[] = [];
for (const name of needed) {
  const { state } = await Deno.permissions.query({ name });
  // Without --allow-sys the tests work, too; the file then says less about the machine.
  if (state !== "granted" && name !== "sys") missing.push(`--allow-${name}`);
}

function testBench(name: string, fn: (folder: string) => Promise<void>): void {
  const ignore = missing.length > 0;
  Deno.test({
    name: ignore ? `${name} [needs ${missing.join(" ")}]` : name,
    ignore,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "gradsink-bench-" });
      try {
        await fn(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

const main = fileURLToPath(new URL("./programs/bench_main.ts", import.meta.url));

interface Bench {
  readonly child?: "fake_child.ts" | "faulty_child.ts";
  readonly fake?: {
    readonly pace?: number;
    readonly adapter?: string;
    readonly unfit?: readonly string[];
    readonly slow?: number;
    readonly crash?: number;
  };
  readonly cwd?: string;
}

function start(args: readonly string[], { child = "fake_child.ts", fake = {}, cwd }: Bench = {}) {
  const module = fileURLToPath(new URL(`./programs/${child}`, import.meta.url));
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-lock", "-A", main, module, ...args],
    env: { FAKE_CHILD: JSON.stringify(fake), NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...cwd === undefined ? {} : { cwd },
  }).spawn();
}

async function run(
  args: readonly string[],
  options: Bench = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await start(args, options).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function killIfThere(process: Deno.ChildProcess): void {
  try {
    process.kill("SIGKILL");
  } catch {
    // The process ended before it was killed.
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!await condition()) await pause(20);
}

// Undefined if there is no file; a file that is there must be valid.
async function readIfThere(path: string): Promise<ResultFile | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return parseResultFile(text, path);
}

testBench("of two runs with the same --out, one ends before it measures", async (folder) => {
  const args = ["--kernels=v-scale", "--passes=forward", "--cache=hot", "--budget=30"];
  const path = `${folder}/a.json`;
  const runs = await Promise.all([1, 2].map(() => run([`--out=${path}`, ...args])));
  // A run that starts much later already finds the file as it reads its command line.
  const [won, lost] = runs.toSorted((a, b) => a.code - b.code);
  assertEquals(won!.code, 0, won!.stderr);
  assert(lost!.code === 1 || lost!.code === 2, lost!.stderr);
  assertStringIncludes(lost!.stderr, `${path} exists already`);
  assertEquals((await readResultFile(path)).status, "complete");
});

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
  // About 1 Mflop in about 1 µs.
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
    // Hot and cold run the same kernel, so both fail.
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

testBench("bench() leaves a valid file at whatever moment it is killed", async (folder) => {
  // The moments in ms: from before the first write to just before the end of a run of 1.5 s.
  const moments = randomUniform({ seed: 11, length: 8, minimum: 150, maximum: 1400 });
  const counts: number[] = [];
  for (const [i, moment] of moments.entries()) {
    const path = `${folder}/${i}.json`;
    const process = start([`--out=${path}`, "--budget=30"], { fake: { pace: 20 } });
    await pause(moment);
    killIfThere(process);
    await process.output();
    const file = await readIfThere(path);
    counts.push(file?.measurements.length ?? -1);
    if (file !== undefined && file.status === "complete") assert(file.measurements.length > 20);
  }
  console.log(`    measurements in the file when killed: ${counts.join(", ")}`);
});

testBench(
  "bench() leaves a valid file when killed halfway, and resumes it",
  async (folder) => {
    const path = `${folder}/a.json`;
    const options = { fake: { pace: 30 } };
    const process = start([`--out=${path}`, "--budget=30"], options);
    await until(async () => ((await readIfThere(path))?.measurements.length ?? 0) >= 5);
    process.kill("SIGKILL");
    await process.output();
    const before = await readResultFile(path);
    assertEquals(before.status, "incomplete");
    const { code, stderr } = await run([`--resume=${path}`], options);
    assertEquals(code, 0, stderr);
    const after = await readResultFile(path);
    assertEquals(after.status, "complete");
    assertEquals(after.date, before.date);
    assertEquals(after.ceilings.f32Fma?.value, before.ceilings.f32Fma?.value);
    // The file keeps all samples taken before. A row continues with the processes that it lacks.
    for (const old of before.measurements) {
      const key = (each: Measurement): string =>
        JSON.stringify([each.kernel, each.pass, each.shape, each.cache]);
      const grown = after.measurements.find((each) => key(each) === key(old))!;
      assertEquals(grown.samples.slice(0, old.samples.length), old.samples);
    }
    for (const { processes } of after.measurements) {
      assertEquals(processes?.map(({ round }) => round), [0, 1, 2]);
    }
    const keys = after.measurements.map(({ samples: _, ...rest }) => JSON.stringify(rest));
    assertEquals(new Set(keys).size, keys.length, "nothing was measured twice");
  },
);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  testBench(`bench() saves its results at ${signal}, and resumes them`, async (folder) => {
    const path = `${folder}/a.json`;
    const process = start([`--out=${path}`, "--budget=30"], { fake: { pace: 50 } });
    await until(async () => ((await readIfThere(path))?.measurements.length ?? 0) >= 3);
    process.kill(signal);
    const { code, stdout, stderr } = await process.output();
    const said = new TextDecoder().decode(stderr);
    assertEquals(code, 130, said);
    assertStringIncludes(said, `--resume=${path}`);
    assertStringIncludes(new TextDecoder().decode(stdout), "Measurements");
    const file = await readResultFile(path);
    assertEquals(file.status, "incomplete");
    assert(file.measurements.length >= 3);
    assertEquals((await run([`--resume=${path}`])).code, 0);
    const after = await readResultFile(path);
    assertEquals(after.status, "complete");
    // The rows that the interrupt cut short were measured again.
    assert(after.measurements.every(({ stopReason }) => stopReason === "precise"));
  });
}

testBench(
  "bench() resumes only an incomplete file of the same machine, commit and versions",
  async (folder) => {
    const path = `${folder}/a.json`;
    const args = ["--shapes=quick", "--kernels=rms-norm", "--budget=5"];
    assertEquals((await run([`--out=${path}`, ...args])).code, 0);
    const complete = await run([`--resume=${path}`]);
    assertEquals(complete.code, 2);
    assertStringIncludes(complete.stderr, "is complete");

    const file = await readResultFile(path);
    const measurements = file.measurements.slice(0, 1);
    await writeResultFile(path, { ...file, status: "incomplete", measurements });
    const other = await run([`--resume=${path}`], { fake: { adapter: "other" } });
    assertEquals(other.code, 2);
    assertStringIncludes(other.stderr, 'GPU: "fake adapter", not "other adapter"');
    const mixed = await run([`--resume=${path}`, "--kernels=v-scale"]);
    assertEquals(mixed.code, 2);
    assertStringIncludes(mixed.stderr, "--kernels with --resume");
    assertEquals((await readResultFile(path)).measurements.length, 1, "nothing was changed");

    const suite = { ...file.suite, version: "0.0.0" };
    await writeResultFile(path, { ...file, suite, status: "incomplete", measurements });
    const older = await run([`--resume=${path}`]);
    assertEquals(older.code, 2);
    assertStringIncludes(older.stderr, "0.0.0");

    // Kernels of two commits, or times of two hosts, never share a file.
    const commit = "0".repeat(40);
    await writeResultFile(path, {
      ...{ ...file, suite: { ...file.suite, commit }, status: "incomplete", measurements },
    });
    const pulled = await run([`--resume=${path}`]);
    assertEquals(pulled.code, 2);
    assertStringIncludes(pulled.stderr, `the file was made at commit ${commit}, this is`);
    const host = { ...file.host, id: "0123456789abcdef" };
    await writeResultFile(path, { ...file, host, status: "incomplete", measurements });
    const twin = await run([`--resume=${path}`]);
    assertEquals(twin.code, 2);
    assertStringIncludes(twin.stderr, 'host: "0123456789abcdef", not ');
    const runtime = { ...file.runtime, version: "1.0.0" };
    await writeResultFile(path, { ...file, runtime, status: "incomplete", measurements });
    const updated = await run([`--resume=${path}`]);
    assertEquals(updated.code, 2);
    assertStringIncludes(updated.stderr, 'version of the runtime: "1.0.0", not ');

    // A resumed file's settings are checked like a command line.
    const settings = { ...file.settings, selection: { kernels: ["constructor"] } };
    await writeResultFile(path, { ...file, settings, status: "incomplete", measurements });
    const strange = await run([`--resume=${path}`]);
    assertEquals(strange.code, 2);
    assertStringIncludes(strange.stderr, '"constructor"');
  },
);

testBench("bench() refuses a wrong command line in one line, before any work", async (folder) => {
  const existing = `${folder}/there.json`;
  await Deno.writeTextFile(existing, "kept");
  const wrong: readonly [args: string[], code: number, text: string][] = [
    [["--kernel=rms-norm"], 2, "--kernels"],
    [["--kernels=rmsnorm"], 2, "rms-norm"],
    [["--kernels="], 2, "--kernels"],
    [["--kernels=rms-norm,,v-scale"], 2, "empty"],
    [["--passes=sideways"], 2, "forward, backward"],
    [["--kernels=attention-sink-statistics", "--passes=backward"], 2, "nothing"],
    [["--shapes=huge"], 2, "huge"],
    [["--shapes=quick,paper-1b"], 2, "mixes"],
    [["--dtypes=f64"], 2, "f32"],
    [["--dtypes=f16+f32"], 2, "--variants names others"],
    [["--dtypes=f32", "--variants=tiled-f16"], 2, "compute in f16+f32"],
    [["--kernels=rms-norm", "--variants=tiled-f16"], 2, "tiled-f16"],
    [["--cache=warm"], 2, "hot, cold"],
    [["--variants=fast"], 2, "portable"],
    [["--kernels=v-scale", "--variants=portable,all"], 2, "all"],
    [["--runtime=node"], 2, "deno, dawn"],
    [["--software=maybe"], 2, "auto, always, never"],
    [["--budget=0"], 2, "--budget"],
    [["--budget=soon"], 2, "--budget"],
    [["--seed=1.5"], 2, "--seed"],
    [["--label=\u001b[2J"], 2, "--label"],
    [["surplus"], 2, "surplus"],
    [[`--out=${existing}`], 2, "exists already"],
    [[`--out=${folder}`], 1, "is a folder"],
    [[`--out=${existing}/b.json`], 1, "there.json"],
    [["--shapes=quik"], 2, "did you mean quick?"],
    [["--shape=B1,H8,T0,D64"], 2, "attention B Hq Hkv T D"],
    [["--shape=rows8,d8", "--shapes=quick"], 2, "--shape and --shapes are both given"],
    [[`--resume=${folder}/missing.json`], 1, "no such file or folder"],
    [[`--resume=${existing}`], 1, "there.json"],
    [[`--resume=${folder}`], 1, "is a folder"],
  ];
  // This measuring process cannot start, so the command must stop earlier.
  const child = { command: `${folder}/nothing`, args: [] };
  for (const [args, code, text] of wrong) {
    const output = recordOutput();
    assertEquals(await bench(args, { child, output }), code, args.join(" "));
    const { out, err } = output.texts;
    assertEquals(out, "");
    // deno-lint-ignore no-control-regex
    assert(/^[^\n\u001b]+\n$/.test(err), `${args.join(" ")}: ${err}`);
    assertStringIncludes(err, text);
  }
  assertEquals(await Deno.readTextFile(existing), "kept");
  assertEquals([...Deno.readDirSync(folder)].length, 1, "nothing else was left behind");
});

testBench("bench() says in one line why it cannot start", async (folder) => {
  const output = recordOutput();
  const child = { command: Deno.execPath(), args: ["eval", "Deno.exit(7)"] };
  assertEquals(await bench([`--out=${folder}/a.json`], { child, output }), 1);
  const { err } = output.texts;
  assert(/^bench: .*code 7.*\n$/.test(err), err);
  assertEquals([...Deno.readDirSync(folder)].length, 0);
});

// The next tests use the GPU. The endless kernel in the first one takes its deadline of 12 s.
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
