import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { join } from "node:path";
import { study } from "../../src/cli/study.ts";
import { overview } from "../../src/cli/study/overview.ts";
import { armName, type StudyArm } from "../../src/experiments/study/arms.ts";
import { DEFAULT_SCALE } from "../../src/experiments/study/settings.ts";
import { type ArmState, timeLeft } from "../../src/experiments/study/runner.ts";
import { writeStudyRecord } from "../../src/experiments/study/record_store.ts";
import { syntheticStudy } from "../experiments/study/synthetic.ts";
import { recordOutput } from "./record_output.ts";
import type { FakeOrder } from "./programs/study_fake_run.ts";
import { testOnDisk } from "../support/folder.ts";

const test = testOnDisk("run", "env");

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** The overview's output without a terminal. */
  readonly shown: string;
}

/** Runs the command in this process, with made-up training runs. */
async function ran(
  args: readonly string[],
  options: {
    readonly pace?: number;
    readonly failing?: readonly number[];
    readonly signal?: AbortSignal;
    readonly started?: (arm: StudyArm) => void;
    readonly program?: string;
  } = {},
): Promise<Ran> {
  const { pace = 0, failing = [], started } = options;
  const output = recordOutput();
  let shown = "";
  const folder = args.find((arg) => arg.startsWith("--out="))?.slice("--out=".length) ?? "";
  const steps = Number(args.find((arg) => arg.startsWith("--steps="))?.slice("--steps=".length));
  const code = await study(args, output, {
    command(arm) {
      started?.(arm);
      const order: FakeOrder = {
        arm,
        scale: { ...DEFAULT_SCALE, steps, measurements: 5 },
        folder: join(folder, armName(arm)),
        pace,
        failing,
      };
      return {
        command: options.program ?? Deno.execPath(),
        args: [
          "run",
          "--quiet",
          "--no-check",
          "-A",
          new URL("./programs/study_fake_run.ts", import.meta.url).href,
          JSON.stringify(order),
        ],
      };
    },
    progress: {
      write: (text) => shown += text,
      columns: () => undefined,
      now: () => performance.now(),
    },
    signal: options.signal ?? new AbortController().signal,
  });
  return { code, ...output.texts, shown };
}

const SMALL = ["--settings=shallow", "--variants=none,learned", "--steps=10", "--measurements=5"];

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

test("study report begins with the planned runs that are missing", async (folder) => {
  const out = join(folder, "study");
  // The second shard never runs, so its seed 2 occurs only in the plan.
  const args = [...SMALL, "--seeds=2", "--shard=1/2", `--out=${out}`];
  assertEquals((await ran(args)).code, 0);
  const [report, gathered] = [join(folder, "report"), join(folder, "gathered")];
  const { out: text, err } = await ran(
    ["report", out, `--out=${report}`, `--records=${gathered}`],
  );
  const wanted = "2 of 4 runs are missing: no complete run of " +
    "shallow-learned-seed2, shallow-none-seed2";
  const names = ["index.html", "figures", "claims.md", "claims.json"];
  const paths = [...names.map((name) => join(report, name)), gathered];
  const written = paths.map((path) => `study: written to ${path}\n`).join("");
  assertEquals([err, text.split("\n")[0]], [written, wanted]);
  const page = await Deno.readTextFile(join(report, "index.html"));
  assert(page.indexOf(wanted) > 0 && page.indexOf(wanted) < page.indexOf('class="lead"'));
  const markdown = await Deno.readTextFile(join(report, "claims.md"));
  assertEquals(markdown.split("\n")[2], `**${wanted}**`);
  // A folder of gathered records contains the plan, too.
  const again = await ran(["report", gathered, `--out=${report}`]);
  assertEquals(again.out.split("\n")[0], wanted, again.err);
  const plan = (await Array.fromAsync(Deno.readDir(out))).find(({ name }) => /^plan-/.test(name))!;
  await Deno.writeTextFile(
    join(out, plan.name),
    '{"schema":"gradsink-study-plan/1","arms":["\\u001b"]}',
  );
  assertStringIncludes(
    (await ran(["report", out, `--out=${report}`])).out,
    "is no plan of a study",
  );
});

test("study report merges folders, and names duplicate and missing runs", async (folder) => {
  const found = syntheticStudy([1, 2]);
  for (const [i, { record }] of found.entries()) {
    for (const part of [...i < 5 ? ["a"] : [], ...i === 4 || i === 6 ? ["b"] : []]) {
      await Deno.mkdir(join(folder, part), { recursive: true });
      await writeStudyRecord(join(folder, part, `${armName(record.arm)}.json`), record);
    }
  }
  const out = join(folder, "report");
  const { code, out: text, err } = await ran(
    ["report", join(folder, "a"), join(folder, "b"), `--out=${out}`],
  );
  assertEquals(code, 0, err);
  assertStringIncludes(text, "shallow-none-seed2 is there twice with equal figures");
  assertStringIncludes(text, "no complete run of shallow-fixed-seed2, shallow-backward-only-seed2");
  assertEquals(
    (await Array.fromAsync(Deno.readDir(out))).map(({ name }) => name).sort(),
    ["claims.json", "claims.md", "figures", "index.html"],
  );
  // Gathered records make the same report.
  const [gathered, second] = [join(folder, "gathered"), join(folder, "second")];
  await ran([
    "report",
    join(folder, "a"),
    join(folder, "b"),
    `--out=${out}`,
    `--records=${gathered}`,
  ]);
  assertEquals((await ran(["report", gathered, `--out=${second}`])).code, 0);
  const [claims, again] = await Promise.all(
    [out, second].map(async (each) =>
      JSON.parse(await Deno.readTextFile(join(each, "claims.json"))).claims as unknown
    ),
  );
  assertEquals(again, claims);
  await Deno.mkdir(join(folder, "empty"));
  const empty = await ran(["report", join(folder, "empty"), `--out=${out}`]);
  assertEquals(empty.code, 1);
  assertStringIncludes(empty.err, "no complete run in");
});

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

function stateOf(change: Partial<ArmState>): ArmState {
  return {
    arm: { setting: "shallow", variant: "none", seed: 1 },
    state: "waiting",
    before: false,
    step: 0,
    steps: 100,
    loss: undefined,
    started: undefined,
    seconds: undefined,
    reason: undefined,
    ...change,
  };
}

Deno.test("timeLeft() uses each setting's own pace", () => {
  const now = 60_000;
  const at = { at: 0, step: 0 };
  assertEquals(timeLeft([stateOf({})], { jobs: 1, now }), undefined);
  const states = [
    // 10 s for 100 steps
    stateOf({ state: "finished", step: 100, started: at, seconds: 10 }),
    stateOf({}),
    // 60 s for 50 steps so far
    stateOf({
      state: "running",
      step: 50,
      started: at,
      arm: { setting: "deep", variant: "none", seed: 1 },
    }),
    stateOf({ arm: { setting: "deep", variant: "none", seed: 2 } }),
  ];
  assertEquals(timeLeft(states, { jobs: 1, now }), 10 + 60 + 120);
  // If all run at the same time, the longest one decides.
  assertEquals(timeLeft(states, { jobs: 4, now }), 120);
  const lines = overview(states, { jobs: 1, now });
  assertStringIncludes(lines[0]!, "37 %  1 finished, 1 running, 2 waiting  3 min 10 s left");
  assertEquals(lines[1], "  deep-none-seed1  step 50 of 100  1 min 0 s left");
});
