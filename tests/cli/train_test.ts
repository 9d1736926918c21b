import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { runSinks } from "../../src/cli/sinks.ts";
import { train, type TrainOutput } from "../../src/cli/train.ts";
import { parseTrain, trainHelp } from "../../src/cli/train/options.ts";
import { TrainProgress } from "../../src/cli/train/progress.ts";
import { PRESETS, presetSettings } from "../../src/experiments/run/presets.ts";
import { RunFolder } from "../../src/experiments/run/folder.ts";
import { checkRunSettings } from "../../src/experiments/run/settings.ts";
import type { RunProgress } from "../../src/experiments/run.ts";
import { openGpu } from "../../src/ops/open_gpu.ts";
import { absolutePath } from "../../src/cli/shared/place.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { inFolder } from "../support/folder.ts";
import { type RecordedOutput, recordOutput } from "./record_output.ts";
import { testWith } from "../support/permitted.ts";

const test = testWith("read", "write");

function recorder(): TrainOutput & RecordedOutput {
  const progress = { write: () => {}, columns: () => undefined, now: () => 0 };
  return { ...recordOutput(), progress };
}

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const output = recorder();
  const code = await train(args, output, new AbortController().signal);
  return { code, ...output.texts };
}

/** Options of a run that takes a second. */
const TINY = [
  "--steps=12",
  "--batch=2",
  "--context=12",
  "--model-dim=8",
  "--heads=2",
  "--key-value-heads=1",
  "--head-dim=4",
  "--feed-forward-dim=12",
  "--measure-every=0",
  "--measure-batches=1",
  "--final-batches=16",
];

Deno.test("train refuses a wrong command line in one line with exit code 2", async () => {
  const mistakes: readonly [string[], string][] = [
    [
      ["smok"],
      'there is no preset "smok", wanted smoke, backcopy, backcopy-deep, text, paper-0.1b (did you mean smoke?)',
    ],
    [["smoke", "text"], "given smoke text, wanted one preset"],
    [["text"], "the preset text needs a text: --corpus=PATH"],
    [["--step=3"], 'unknown option "--step" (did you mean --steps?)'],
    [["--steps=many"], '--steps is "many", wanted a whole number'],
    [["--steps=1e3"], '--steps is "1e3", wanted a whole number'],
    [["--steps=0"], "--steps is 0, wanted an integer of at least 1"],
    [
      ["--v-scale=fix"],
      '--v-scale is "fix", wanted none, fixed, learned, backward-only (did you mean fixed?)',
    ],
    [["--sink-logit=one"], '--sink-logit is "one", wanted none, learned, zero'],
    [
      ["--attention-gate=heads"],
      '--attention-gate is "heads", wanted none, head, element (did you mean head?)',
    ],
    [["--first-token=0"], "--first-token is for presets of text; smoke begins every sequence with"],
    [
      ["text", "--corpus=x", "--first-token=256"],
      "--first-token is 256, wanted an integer from 0 to 255",
    ],
    [["--learning-rate=-1"], '--learning-rate is "-1", wanted a number'],
    [["--learning-rate=0"], "--learning-rate is 0, wanted a number above 0"],
    [["--learning-rate=1e999"], "--learning-rate is null, wanted a number above 0"],
    [["--heads=3", "--key-value-heads=2"], "--heads is 3, wanted a multiple of the 2"],
    [["--model-dim=66"], "--model-dim is 66, wanted a multiple of 4"],
    [["--head-dim=512"], "--head-dim is 512, wanted an integer from 4 to 256"],
    [["--without-attention=2"], "--without-attention is [2], wanted different layers from 0 to 1"],
    [["--without-attention=a"], '--without-attention is "a", wanted layers such as 0,1'],
    [["--warm-up=600", "--steps=600"], "--warm-up is 600, wanted an integer from 0 to 599"],
    [["--keep=0"], "--keep is 0, wanted an integer of at least 1"],
    [["--context=1"], "--context is 1, wanted an integer of at least 2"],
    [["--resume=x", "--steps=3"], "--resume keeps the run's own settings: remove --steps"],
    [["--resume=x", "smoke"], "--resume keeps the run's own settings: remove smoke"],
  ];
  for (const [args, message] of mistakes) {
    const { code, out, err } = await run(...args);
    assertEquals([code, out], [2, ""], args.join(" "));
    assertStringIncludes(err, `train: ${message}`);
    assertEquals(err.trimEnd().split("\n").length, 1);
  }
  assertEquals(mistakes.length, 25);
});

test("train refuses unusable folders and texts in one line with exit code 1, and writes nothing", () =>
  inFolder(async (folder) => {
    const short = join(folder, "short.txt");
    const empty = join(folder, "empty");
    await Deno.writeTextFile(short, "To be, or not to be");
    await Deno.mkdir(empty);
    const out = `--out=${join(folder, "run")}`;
    const problems: readonly [string[], string][] = [
      [["text", `--corpus=${join(folder, "none")}`, out], "no such file or folder"],
      [["text", `--corpus=${empty}`, out], "holds no text"],
      [["text", `--corpus=${short}`, out], "has 19 bytes, wanted at least 257"],
      [[`--out=${short}`], "short.txt: "],
      [[`--out=${folder}`], "is not empty, wanted a new folder"],
      [[`--resume=${empty}`], "holds no run, settings.json is missing"],
      [[`--resume=${join(folder, "none")}`], "holds no run"],
      [["--resume=\u001b[2J"], "\\u001b[2J: holds no run"],
    ];
    for (const [args, message] of problems) {
      const { code, out, err } = await run(...args);
      assertEquals([code, out], [1, ""], args.join(" ") + err);
      assertStringIncludes(err, message);
      assertEquals(err.trimEnd().split("\n").length, 1);
    }
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort(), [
      "empty",
      "short.txt",
    ]);
  }));

test("train trains on a text's own bigrams, and prints a summary", () =>
  inFolder(async (folder) => {
    const text = join(folder, "text.txt");
    await Deno.writeTextFile(
      text,
      "Tomorrow, and tomorrow, and tomorrow, creeps in this petty pace. ",
    );
    const place = join(folder, "run");
    const { code, out, err } = await run(...TINY, `--corpus=${text}`, `--out=${place}`);
    assertEquals([code, err], [0, ""]);
    assertStringIncludes(out, "12 steps of smoke, plain attention, seed 1, on ");
    assert(/Validation loss \d\.\d+ nats per token; the best possible is \d/.test(out), out);
    assert(
      /Layer [01], head [01]: queries that have nothing to copy give token 0 \d+ %/.test(out),
      out,
    );
    assertStringIncludes(out, join(place, "checkpoints", "step-00000012"));
    // `sinks` on the run's folder prints the same figures and intervals.
    const sinks = recorder();
    const measured = await runSinks([place, "--no-theory", "--no-quantization"], {
      ...sinks,
      openGpu,
    });
    assertEquals(measured, 0, sinks.texts.err);
    assertStringIncludes(out, "At token 0 of 32 sequences, with 95 % intervals over sequences");
    assertStringIncludes(sinks.texts.out, "summed over 32 sequences");
    const estimates = out.match(/\d\S* \(\S+ to \S+\)/g) ?? [];
    // Each of the two layers has one R_GS, and two heads' scores over the queries that have nothing
    // to copy.
    assertEquals(estimates.length, 6, out);
    for (const estimate of estimates) assertStringIncludes(sinks.texts.out, estimate);
    // Resuming a finished run only prints the summary again.
    assertEquals((await run(`--resume=${place}`)).out, out);
    assertStringIncludes(
      (await run(...TINY, `--out=${place}`)).err,
      "holds a run already; go on with it by --resume=",
    );
    // The text may move to another path.
    const moved = join(folder, "moved.txt");
    await Deno.rename(text, moved);
    const lost = await run(`--resume=${place}`);
    assertEquals(lost.code, 1);
    assertStringIncludes(lost.err, `${text}: no such file or folder; if the text has moved, `);
    assertStringIncludes(lost.err, "--corpus=PATH");
    assertEquals((await run(`--resume=${place}`, `--corpus=${moved}`)).out, out);
    // A run continues only with its own text.
    await Deno.writeTextFile(
      text,
      "Out, out, brief candle! Life's but a walking shadow, a poor player.",
    );
    const changed = await run(`--resume=${place}`);
    assertEquals(changed.code, 1);
    assertStringIncludes(changed.err, "is not the text any more that the run began with");
    const other = await run(`--resume=${place}`, `--corpus=${text}`);
    assertEquals(other.code, 1);
    assertStringIncludes(other.err, `--corpus: ${text} is not the text any more`);
    // Another process holds the folder.
    {
      using _ = await RunFolder.open(place);
      const { code, err } = await run(`--resume=${place}`);
      assertEquals(code, 1);
      assertStringIncludes(err, `another process (process ${Deno.pid}) trains in this folder`);
    }
  }));

const mayRun = (await Deno.permissions.query({ name: "run" })).state === "granted";
const program = fileURLToPath(new URL("../../src/cli/train.ts", import.meta.url));
const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
const denoArgs = ["run", "--quiet", "--no-lock", "-A", `--config=${config}`, program];

Deno.test({
  name: "train saves its state at Ctrl-C, and --resume continues",
  ignore: !mayRun || Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      const place = join(folder, "run");
      const child = new Deno.Command(Deno.execPath(), {
        args: [...denoArgs, ...TINY, "--steps=100000", "--loss-every=5", `--out=${place}`],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      let err = "";
      for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
        // Interrupts at the first line that reports a step above 0.
        if (/step [1-9]/.test(err + part) && !/step [1-9]/.test(err)) child.kill("SIGINT");
        err += part;
      }
      await child.stdout.cancel();
      const { code } = await child.status;
      const stopped = /train: stopped after (\d+) of 100000 steps; go on with: (.*)\n/.exec(err);
      assert(stopped !== null, err);
      assertEquals([code, stopped[2]], [130, `deno task train --resume=${place}`]);
      const names = (await Array.fromAsync(Deno.readDir(join(place, "checkpoints"))))
        .map(({ name }) => name);
      assert(names.includes(`step-${stopped[1]!.padStart(8, "0")}`), names.join());
    }),
});

Deno.test("parseTrain() takes a preset's values unless an option replaces them", () => {
  for (const name of PRESETS) {
    const corpus = name === "text" || name === "paper-0.1b" ? absolutePath("here") : undefined;
    const request = parseTrain(corpus === undefined ? [name] : [name, "--corpus=here"]);
    assert(request?.command === "begin");
    assertEquals(request.settings, presetSettings(name, corpus));
    checkRunSettings(request.settings);
    assertStringIncludes(trainHelp(), name);
  }
  const request = parseTrain([
    "backcopy-deep",
    "--seed=7",
    "--v-scale=learned",
    "--sink-logit=zero",
    "--attention-gate=head",
    "--steps=20",
    "--heads=2",
    "--without-attention=0,1",
  ]);
  assert(request?.command === "begin");
  const { seed, steps, model, optimizer } = request.settings;
  assertEquals([seed, steps, model.vScale], [7, 20, "learned"]);
  assertEquals([model.sinkLogit, model.attentionGate], ["zero", "head"]);
  assertEquals([model.queryHeads, model.keyValueHeads, model.layersWithoutAttention], [2, 2, [
    0,
    1,
  ]]);
  assertEquals(optimizer.warmUpSteps, 10);
  assertEquals(parseTrain(["--resume=a", "--runtime=dawn"]), {
    command: "resume",
    folder: absolutePath("a"),
    gpu: { runtime: "dawn", software: "auto" },
  });
});

Deno.test("TrainProgress shows a bar on a terminal, and lines elsewhere", () => {
  const state: RunProgress = {
    step: 50,
    steps: 200,
    activity: "measuring",
    loss: 1.23456,
    oracleLoss: 1.2,
    tokensPerSecond: 12_345,
    secondsLeft: 3725,
  };
  let written = "";
  let time = 0;
  const write = (text: string) => written += text;
  const terminal = new TrainProgress({ write, columns: () => 200, now: () => time });
  terminal.show(state);
  assertEquals(
    written,
    "\r\x1b[K█████░░░░░░░░░░░░░░░ 50/200  1 h 2 min left  loss 1.235 (oracle +0.035)  12.3k tokens/s  measuring",
  );
  terminal.clear();
  assert(written.endsWith("\r\x1b[K"));
  written = "";
  new TrainProgress({ write, columns: () => 30, now: () => time }).show(state);
  assertEquals([...written.replace("\r\x1b[K", "")].length, 29);
  written = "";
  const lines = new TrainProgress({ write, columns: () => undefined, now: () => time });
  const training = { ...state, activity: "training", oracleLoss: undefined } as const;
  lines.show({ ...training, secondsLeft: 59.4 });
  lines.show({ ...training, step: 51 }); // too soon to be shown
  time = 6000;
  lines.show({ ...training, step: 52, secondsLeft: 61, loss: undefined });
  lines.show({ ...training, step: 200, secondsLeft: undefined, tokensPerSecond: 87.6 });
  assertEquals(written.split("\n"), [
    "step 50/200  59 s left  loss 1.235  12.3k tokens/s",
    "step 52/200  1 min 1 s left  12.3k tokens/s",
    "step 200/200  loss 1.235  88 tokens/s",
    "",
  ]);
});
