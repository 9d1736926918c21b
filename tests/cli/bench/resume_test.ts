/**
 * Two runs never share a file, and a run that ends early leaves a file that `--resume` continues.
 */
import { readResultFile, writeResultFile } from "../../../src/measure/result_file/store.ts";
import type { Measurement } from "../../../src/measure/result_file.ts";
import { randomUniform } from "../../../src/random.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { readIfThere } from "../../measure/result_file/if_there.ts";
import { killIfThere, pause, run, start, testBench, until } from "./processes.ts";

testBench("of two runs with the same --out, one ends before it measures", async (folder) => {
  const args = ["--kernels=v-scale", "--passes=forward", "--cache=hot", "--budget=30"];
  const path = `${folder}/a.json`;
  const runs = await Promise.all([1, 2].map(() => run([`--out=${path}`, ...args])));
  // The run that loses exits with 1. If it starts so late that the file exists when it reads its
  // command line, it exits with 2.
  const [won, lost] = runs.toSorted((a, b) => a.code - b.code);
  assertEquals(won!.code, 0, won!.stderr);
  assert(lost!.code === 1 || lost!.code === 2, lost!.stderr);
  assertStringIncludes(lost!.stderr, `${path} exists already`);
  assertEquals((await readResultFile(path)).status, "complete");
});

testBench(
  "a file that a run adds to cannot be resumed, and one run at a time resumes it",
  async (folder) => {
    const path = `${folder}/a.json`;
    const options = { fake: { pace: 50 } };
    const grown = async (than: number) =>
      await until(async () => ((await readIfThere(path))?.measurements.length ?? 0) > than);
    const first = start([`--out=${path}`, "--budget=30"], options);
    await grown(0);
    const early = await run([`--resume=${path}`]);
    assertEquals(early.code, 2, early.stderr);
    assertStringIncludes(early.stderr, `another run adds to ${path}`);
    first.kill("SIGKILL"); // Its lock ends with it.
    await first.output();
    const { measurements } = await readResultFile(path);
    const second = start([`--resume=${path}`], options);
    await grown(measurements.length);
    const late = await run([`--resume=${path}`]);
    assertEquals(late.code, 2, late.stderr);
    assertStringIncludes(late.stderr, `another run adds to ${path}`);
    second.kill("SIGINT");
    assertEquals((await second.output()).code, 130);
    assertEquals((await run([`--resume=${path}`])).code, 0);
    assertEquals((await readResultFile(path)).status, "complete");
    // SIGKILL may leave a temporary file that was being written. The lock files must be gone.
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assertEquals(left.filter((name) => !/^\.a\.json\..*\.tmp$/.test(name)), ["a.json"]);
  },
);

testBench("bench() leaves a valid file at whatever moment it is killed", async (folder) => {
  // Each run is killed this many ms after its start: at the earliest before its first write, and at
  // the latest just before its end at 1.5 s.
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
    // The resumed run keeps all samples taken before the kill, and adds only the processes that a
    // row lacks.
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

    // A file never mixes measurements of two commits, two hosts or two versions of the runtime.
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

    // The settings in a resumed file are checked as the options of a command line are.
    const settings = { ...file.settings, selection: { kernels: ["constructor"] } };
    await writeResultFile(path, { ...file, settings, status: "incomplete", measurements });
    const strange = await run([`--resume=${path}`]);
    assertEquals(strange.code, 2);
    assertStringIncludes(strange.stderr, '"constructor"');
  },
);
