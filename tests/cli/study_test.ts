/** `deno task study`, with made-up training runs. */
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { join } from "node:path";
import { armName } from "../../src/experiments/study/arms.ts";
import { testOnDisk } from "../support/folder.ts";
import { ran, SMALL } from "./study/ran.ts";

const test = testOnDisk("run", "env");

test(
  "study() runs every arm once, skips finished arms, and a report can follow",
  async (folder) => {
    const out = join(folder, "study");
    const args = [...SMALL, "--seeds=2", "--jobs=2", `--out=${out}`];
    const started: string[] = [];
    const first = await ran(args, { started: (arm) => started.push(armName(arm)) });
    assertEquals([first.code, first.err], [0, ""], first.out);
    assertStringIncludes(first.out, "4 finished of 4 in");
    assertEquals(started, [
      "shallow-none-seed1",
      "shallow-learned-seed1",
      "shallow-none-seed2",
      "shallow-learned-seed2",
    ]);
    assertStringIncludes(first.shown, "100 %  4 finished");
    const more = [...SMALL, "--seeds=3", `--out=${out}`];
    const list = await ran([...more, "--list"]);
    assertEquals(list.out.match(/finished/g)?.length, 4, list.out + list.err);
    assertEquals(list.out.match(/to do/g)?.length, 2);
    const again: string[] = [];
    assertEquals((await ran(more, { started: (arm) => again.push(armName(arm)) })).code, 0);
    assertEquals(again, ["shallow-none-seed3", "shallow-learned-seed3"]);
    const report = await ran(["report", out, `--out=${join(folder, "report")}`]);
    assertEquals(report.code, 0, report.err);
    assertStringIncludes(report.out, "Baseline: the attention sink is a gradient sink");
    const page = await Deno.readTextFile(join(folder, "report", "index.html"));
    assertStringIncludes(page, "shallow (2 variants × 3 seeds, 10 steps)");
  },
);

test("study() continues after a failed run, and says why it failed", async (folder) => {
  const args = [...SMALL, "--seeds=2", `--out=${folder}`];
  const { code, out, err } = await ran(args, { failing: [1] });
  assertEquals(code, 1);
  assertStringIncludes(out, "2 finished, 2 failed of 4");
  assertEquals(err.trim().split("\n"), [
    "study: shallow-none-seed1: error: the loss is not finite at step 2",
    "study: shallow-learned-seed1: error: the loss is not finite at step 2",
  ]);
});

test("study() refuses unsuitable text before it starts anything", async (folder) => {
  await Deno.writeTextFile(join(folder, "short.txt"), "too short");
  const out = join(folder, "study");
  for (const [name, message] of [["none.txt", "no such file"], ["short.txt", "wanted at least"]]) {
    const { code, err } = await ran(
      [
        "--settings=text",
        `--corpus=${join(folder, name!)}`,
        "--steps=10",
        "--measurements=5",
        `--out=${out}`,
      ],
      { program: join(folder, "no-such-program") },
    );
    assertEquals(code, 1);
    assertStringIncludes(err, message!);
    assert(/^study: [^\n]+\n$/.test(err), err);
  }
  assert(!await Deno.stat(out).then(() => true, () => false));
});

test("study() ends at once if no run can start", async (folder) => {
  const [args, none] = [
    [...SMALL, "--seeds=2", `--out=${folder}`],
    join(folder, "no-such-program"),
  ];
  const { code, err } = await ran(args, { program: none });
  assertEquals(code, 1);
  assert(/^study: [^\n]*no-such-program[^\n]*\n$/.test(err), err);
});

test("study() stops in order, and the same command resumes", async (folder) => {
  const args = [
    "--settings=shallow",
    "--variants=none",
    "--steps=100",
    "--measurements=5",
    "--seeds=2",
    `--out=${folder}`,
  ];
  const controller = new AbortController();
  const place = join(folder, "shallow-none-seed1");
  const stopping = (async () => {
    while (!await Deno.stat(place).then(() => true, () => false)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    controller.abort();
  })();
  const first = await ran(args, { pace: 20, signal: controller.signal });
  await stopping;
  assertEquals(first.code, 130);
  assertStringIncludes(first.out, "1 waiting, 1 stopped of 2");
  const step = Number(await Deno.readTextFile(join(place, "step.txt")));
  assert(step > 0 && step < 100, `stopped at ${step}`);
  const second = await ran(args);
  assertEquals([second.code, second.err], [0, ""]);
  assertStringIncludes(second.out, "2 finished of 2");
});

test(
  "study() refuses a folder of another study before it starts anything",
  async (folder) => {
    assertEquals((await ran([...SMALL, "--seeds=1", `--out=${folder}`])).code, 0);
    const other = SMALL.map((arg) => arg.replace("--steps=10", "--steps=20"));
    const { code, err } = await ran([...other, "--seeds=1", `--out=${folder}`], {
      started: () => {
        throw new Error("a run was started");
      },
    });
    assertEquals(code, 1);
    assertStringIncludes(err, "holds a study with steps 10, this one has 20");
    assert(/^study: [^\n]+\n$/.test(err));
  },
);

Deno.test("study() refuses a wrong command line in one line", async () => {
  const cases: [string[], string][] = [
    [["--seeds=0"], '--seeds is "0"'],
    [["--variants=none,nine"], '--variants is "none,nine"'],
    [["--settings=text"], "the text setting needs --corpus"],
    [["--settings=text-anchored"], "the text-anchored setting needs --corpus"],
    [["--corpus=/tmp"], "--corpus is for settings of text, and --settings names none"],
    [["--first-token=0"], "--first-token is for settings of text, and --settings names none"],
    [
      ["--settings=text", "--corpus=/tmp", "--first-token=256"],
      '--first-token is "256", wanted an integer from 0 to 255',
    ],
    [["--shard=3/2"], '--shard is "3/2"'],
    [["--jobs=0"], '--jobs is "0"'],
    [["--steps=1e9"], '--steps is "1e9"'],
    [["--steps=5", "--measurements=6"], "--measurements is 6, wanted at most --steps, 5"],
    [["--learning-rate=2"], '--learning-rate is "2"'],
    [["train"], 'unexpected "train"'],
    [["report"], "report: no folder given"],
    [["--step=1"], "did you mean --steps?"],
  ];
  for (const [args, message] of cases) {
    const { code, err, out } = await ran(args);
    assertEquals([code, out], [2, ""], args.join(" "));
    assertStringIncludes(err, message);
    assert(/^study: [^\n]+\n$/.test(err), err);
  }
  const help = await ran(["--help"]);
  assertEquals(help.code, 0);
  assertStringIncludes(help.out, "--shard=I/N");
});
