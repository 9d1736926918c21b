import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Gpu } from "../../mod.ts";
import { runSinks } from "../../src/cli/sinks.ts";
import { parseSinks, sinksHelp } from "../../src/cli/sinks/options.ts";
import { UsageError } from "../../src/cli/shared/arguments.ts";
import { RunFolder } from "../../src/experiments/run/folder.ts";
import { RUN_SCHEMA, type RunSettings } from "../../src/experiments/run/settings.ts";
import { llamaGradients } from "../../src/reference/llama.ts";
import { initialValues, listParameters } from "../../src/reference/llama/parameters.ts";
import { openTask } from "../../src/experiments/run/task.ts";
import type { SinkMeasurement } from "../../src/sinks/measurement.ts";
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "../support/assert/assert.ts";
import { siblingGpu, testGpu } from "../support/gpu.ts";
import { recordOutput } from "./record_output.ts";
import { PLAIN_LLAMA } from "../../src/reference/llama/config.ts";
import { parseNpy } from "../support/pretrained/npy.ts";
import { testWith } from "../support/permitted.ts";
import { inFolder } from "../support/folder.ts";

const test = testWith("read", "write");

const settings: RunSettings = {
  schema: RUN_SCHEMA,
  preset: "test",
  seed: 1,
  steps: 20,
  batch: 2,
  accumulation: 1,
  model: {
    vocabulary: 9,
    layers: 1,
    modelDim: 8,
    queryHeads: 2,
    keyValueHeads: 1,
    headDim: 4,
    feedForwardDim: 12,
    ...PLAIN_LLAMA,
  },
  task: {
    name: "bigram-backcopy",
    context: 12,
    characters: 8,
    triggers: 2,
    concentration: 3,
    tableSeed: 1,
  },
  optimizer: {
    learningRate: 1e-3,
    finalShare: 0.1,
    warmUpSteps: 1,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0.1,
    clip: 1,
  },
  reporting: {
    lossEvery: 1,
    measureEvery: 0,
    measureBatches: 1,
    checkpointEvery: 1,
    keepCheckpoints: 9,
  },
};

function randomParameters(run: RunSettings, seed: number): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(
    listParameters(run.model).map((parameter) => [
      parameter.name,
      initialValues(parameter, { seed }).map((value) =>
        parameter.initial === "normal" ? 20 * value : value
      ),
    ]),
  );
}

/** Writes a run with checkpoints of these steps and random weights, as a trainer would. */
async function makeRun(folder: string, steps: readonly number[], run = settings): Promise<void> {
  using opened = await RunFolder.create(folder, run);
  for (const step of steps) {
    const parameters = randomParameters(run, step);
    const zeros = [...parameters].map(([name, values]) => {
      const zero = new Float32Array(values.length);
      return [name, { first: zero, second: zero }] as const;
    });
    await opened.save({
      config: run.model,
      context: run.task.context,
      parameters,
      moments: new Map(zeros),
      step,
      state: null,
    });
  }
}

/**
 * A sibling of the test's GPU that ignores disposal: the command disposes of its GPU at the end.
 */
let lent: Gpu | undefined;

function lend(gpu: Gpu): Gpu {
  const sibling = siblingGpu(gpu, {});
  Object.defineProperty(sibling, Symbol.dispose, { value: () => {} });
  return sibling;
}

/** Runs the command in this process. */
async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const output = recordOutput();
  lent ??= lend(await testGpu("deno"));
  const code = await runSinks(args, { ...output, openGpu: () => Promise.resolve(lent!) });
  return { code, ...output.texts };
}

test("sinks measures the newest checkpoint of a run, as tables and as JSON", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "my run");
    await makeRun(path, [3, 20]);
    const file = join(folder, "out.json");
    const { code, out, err } = await run(
      path,
      "--batches=2",
      "--output",
      file,
      `--html=${file}.html`,
      `--export=${file}.states`,
      "--arrays=attention_norm_gradient,query",
    );
    assertEquals(code, 0, err);
    for (const path of [file, `${file}.html`, `${file}.states`]) {
      assertStringIncludes(err, `sinks: written to ${path}\n`);
    }
    const exported = JSON.parse(await Deno.readTextFile(join(`${file}.states`, "index.json")));
    assertEquals(exported.data, { split: "validation", sequences: 4, context: 12 });
    const query = parseNpy(await Deno.readFile(join(`${file}.states`, "query_00.npy")));
    assertEquals(query.shape, [4, 2, 12, 4]);
    assertStringIncludes(out, "my run, step 20: bigram-backcopy, plain attention");
    for (const part of ["Attention to position 0", "R_GS", "Bloat", "INT8", "mass bound"]) {
      assertStringIncludes(out, part);
    }
    const written = JSON.parse(await Deno.readTextFile(file)) as SinkMeasurement;
    assertStringIncludes(await Deno.readTextFile(`${file}.html`), "<h1>my run, step 20");
    assertEquals(written.schema, "gradsink-sinks/1");
    assertEquals(written.source, { run: "my run", step: 20, task: "bigram-backcopy", seed: 1 });
    assertEquals(written.data, { split: "validation", sequences: 4, context: 12 });
    assertEquals(written.quantization?.cases.length, 4);
    assertEquals(written.theory?.errors, []);
    assertEquals(written.layers[0]!.attention!.heads.length, 2);
    // The measured norm is that of the gradient summed over all texts.
    const gradient = parseNpy(
      await Deno.readFile(join(`${file}.states`, "attention_norm_gradient_00.npy")),
    );
    const first = Array.from(
      { length: 8 },
      (_, i) => [0, 1, 2, 3].reduce((sum, text) => sum + gradient.data[text * 12 * 8 + i]!, 0),
    );
    const { norm } = written.layers[0]!.attention!.gradients;
    assert(Math.abs(Math.hypot(...first) / norm[0]! - 1) < 1e-5, `${first}, wanted ${norm[0]}`);
    assert(written.oracleLoss! > 0 && written.loss! > written.oracleLoss!);
    // The same checkpoint, named by its own folder, with JSON on standard output.
    const again = await run(join(path, "checkpoints", "step-00000020"), "--batches=2", "--json");
    assertEquals(again.code, 0, again.err);
    assertEquals(JSON.parse(again.out), written);
    const older = await run(
      path,
      "--step=3",
      "--json",
      "--no-theory",
      "--no-quantization",
      "--position=2",
      "--window=3",
      "--threshold=0.5",
    );
    const other = JSON.parse(older.out) as SinkMeasurement;
    assertEquals(other.source?.step, 3);
    assertEquals([other.theory, other.quantization], [null, null]);
    const { position, window, threshold } = other.settings;
    assertEquals([position, window, threshold], [2, 3, 0.5]);
    assert(other.loss !== written.loss);
  });
});

// The float64 twin's loss on `count` training batches of a run, from `first` on.
async function trainingLoss(
  run: RunSettings,
  { step, batch, first, count }: {
    readonly step: number;
    readonly batch: number;
    readonly first: number;
    readonly count: number;
  },
): Promise<number> {
  const { task } = await openTask(run);
  const parameters = new Map(
    [...randomParameters(run, step)].map(([name, values]) => [name, Float64Array.from(values)]),
  );
  const losses = Array.from({ length: count }, (_, i) => {
    const given = task.batch(first + i, { batch, split: "training" });
    return llamaGradients({ config: run.model, parameters, batch: given }).loss;
  });
  return losses.reduce((sum, loss) => sum + loss / count, 0);
}

test("sinks --split=training measures on the batches of the run's next step", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "run");
    const accumulated = { ...settings, accumulation: 3 };
    await makeRun(path, [4], accumulated);
    const measured = async (...args: string[]): Promise<SinkMeasurement> => {
      const { code, out, err } = await run(path, "--json", "--split=training", ...args);
      assertEquals(code, 0, err);
      return JSON.parse(out);
    };
    const usual = await measured("--batches=3");
    assertEquals(usual.data, { split: "training", sequences: 6, context: 12 });
    // Each of the four steps used three batches of two sequences, so the fifth step uses batches
    // 12, 13 and 14.
    const loss = await trainingLoss(accumulated, { step: 4, batch: 2, first: 12, count: 3 });
    assert(Math.abs(usual.loss! / loss - 1) < 1e-5, `${usual.loss}, wanted ${loss}`);
    assertEquals(usual.quantization!.loss.toFixed(4), loss.toFixed(4));
    // In batches of 5, the first five batches hold the 24 sequences that the run has used. The
    // sixth is measured.
    const other = await measured("--batches=1", "--batch=5", "--no-quantization", "--no-theory");
    const otherLoss = await trainingLoss(accumulated, { step: 4, batch: 5, first: 5, count: 1 });
    assert(Math.abs(other.loss! / otherLoss - 1) < 1e-5, `${other.loss}, wanted ${otherLoss}`);
    const table = await run(path, "--split=training", "--batches=1", "--no-quantization");
    assertStringIncludes(table.out, "2 training sequences of 12 tokens");
    assertStringIncludes(table.out, "The theory on a training batch");
  });
});

test("sinks reports a wrong run in one line, and writes nothing", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "run");
    const fails = async (args: readonly string[], message: string, code = 1) => {
      const result = await run(...args);
      assertStringIncludes(result.err, message);
      assertEquals(result.err.trimEnd().split("\n").length, 1);
      assertEquals([result.code, result.out], [code, ""]);
    };
    await fails([path], `${path}: no such folder`);
    await makeRun(path, []);
    await fails([path], "has no checkpoint yet");
    await makeRun(join(folder, "two"), [1, 2]);
    await fails([join(folder, "two"), "--step=3"], "has no checkpoint of step 3, but of 1, 2");
    await fails([join(folder, "two"), "--position=12"], "--position is 12, wanted at most 11", 2);
    await fails([join(folder, "two"), "--html", folder], "is a folder, wanted a file");
    await fails([join(folder, "two"), "--export", path], "is there and holds");
    await fails([join(folder, "two"), "--arrays=query"], "give --export=FOLDER too", 2);
    await fails(
      [join(folder, "two"), "--export", join(folder, "x"), "--arrays=query,heads"],
      '--arrays names "heads", wanted all, or some of input, attention_norm, query',
      2,
    );
    await fails(
      [join(folder, "two"), "-o", join(path, "settings.json", "x.json")],
      "cannot be written",
    );
    await Deno.mkdir(join(folder, "alone"));
    const checkpoint = join(folder, "two", "checkpoints", "step-00000002");
    for (const name of ["config.json", "model.safetensors"]) {
      await Deno.copyFile(join(checkpoint, name), join(folder, "alone", name));
    }
    await fails([join(folder, "alone")], "is a checkpoint alone, outside of a run");
    await fails([join(folder, "alone"), "--step=2"], "is one checkpoint");
    const corpus = join(folder, "text");
    await Deno.writeTextFile(corpus, "any text ".repeat(100));
    await fails(
      [join(folder, "alone"), "--corpus", corpus],
      "the model has 9 tokens: put its tokenizer.json into the folder, or if it is of a run, give",
    );
  });
});

test("sinks refuses checkpoints that are truncated, of another shape, or hold NaN", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "run");
    await makeRun(path, [1]);
    const model = join(path, "checkpoints", "step-00000001", "model.safetensors");
    const bytes = await Deno.readFile(model);
    const fails = async (content: Uint8Array | undefined, message: RegExp) => {
      if (content === undefined) await Deno.remove(model);
      else await Deno.writeFile(model, content);
      const { code, out, err } = await run(path);
      assert(message.test(err), err);
      assertEquals([code, out], [1, ""]);
      assertEquals(err.trimEnd().split("\n").length, 1);
    };
    await fails(bytes.subarray(0, bytes.length - 4), /model\.safetensors: /);
    await fails(bytes.subarray(0, 5), /too few for a safetensors file/);
    const nan = bytes.slice();
    new DataView(nan.buffer).setUint32(nan.length - 4, 0x7fc00000, true);
    await fails(nan, /lm_head|holds NaN/);
    await fails(undefined, /has no model\.safetensors, but optimizer\.safetensors, an optimizer/);
    await Deno.writeFile(model, bytes);
    assertEquals((await run(path, "--batches=1", "--no-quantization")).code, 0);
    // A run whose task has other tokens than the model.
    const file = join(path, "settings.json");
    const other = { ...settings, task: { ...settings.task, characters: 7 } };
    await Deno.writeTextFile(file, JSON.stringify(other));
    const { code, err } = await run(path);
    assertStringIncludes(err, "is a model of 9 tokens in contexts of 12, but the run's task has 8");
    assertEquals(code, 1);
  });
});

test("sinks names the state in which a model's numbers stop being finite", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "run");
    await makeRun(path, [1]);
    const file = join(path, "checkpoints", "step-00000001", "model.safetensors");
    const bytes = await Deno.readFile(file);
    const header = new DataView(bytes.buffer).getBigUint64(0, true);
    const { data_offsets: [start, end] } = JSON.parse(
      new TextDecoder().decode(bytes.subarray(8, 8 + Number(header))),
    )["model.layers.0.mlp.up_proj.weight"] as { data_offsets: [number, number] };
    const view = new DataView(bytes.buffer, 8 + Number(header));
    for (let at = start; at < end; at += 4) view.setFloat32(at, 3e38, true);
    await Deno.writeFile(file, bytes);
    const { code, err, out } = await run(path, "--batches=1");
    assert(
      /layer 0's mlpResidual holds (-?Infinity|NaN) in sequence 0 at position 0/.test(err),
      err,
    );
    assertEquals([code, out], [1, ""]);
  });
});

Deno.test("parseSinks() refuses options that make no sense", () => {
  const cases = [
    [[], "no model is given"],
    [["a", "b"], 'unexpected "b": sinks takes one model'],
    [["a", "--step=-1"], '--step is "-1", wanted an integer of at least 0'],
    [["a", "--batches=0"], '--batches is "0", wanted an integer of at least 1'],
    [["a", "--batch=x"], '--batch is "x", wanted an integer of at least 1'],
    [["a", "--window=1e3"], '--window is "1e3", wanted an integer of at least 1'],
    [["a", "--threshold=1.5"], '--threshold is "1.5", wanted a number from 0 to 1'],
    [["a", "--threshold=much"], '--threshold is "much", wanted a number from 0 to 1'],
    [["a", "--quantization"], "unknown option"],
    [["a", "--head=2"], '--head is "2", wanted LAYER.HEAD such as 2.0'],
    [["a", "--split=test"], '--split is "test", wanted validation, training'],
  ] as const;
  for (const [args, message] of cases) assertThrows(() => parseSinks(args), UsageError, message);
  assertEquals(parseSinks(["--help"]), undefined);
  assertStringIncludes(sinksHelp(), "deno task sinks [OPTIONS] MODEL");
});

test("sinks limits the context to the checkpoint's, and counts each context of a text once", () =>
  inFolder(async (folder) => {
    const bytes = { ...settings, model: { ...settings.model, vocabulary: 256 } };
    const path = join(folder, "run");
    await makeRun(path, [1], bytes);
    const alone = join(folder, "alone");
    await Deno.rename(join(path, "checkpoints", "step-00000001"), alone);
    const config = JSON.parse(await Deno.readTextFile(join(alone, "config.json")));
    await Deno.writeTextFile(
      join(alone, "config.json"),
      JSON.stringify({ ...config, max_position_embeddings: 131_072 }),
    );
    const corpus = join(folder, "text");
    await Deno.writeTextFile(corpus, "To be, or not to be, that is the question. ".repeat(60));
    const options = [alone, `--corpus=${corpus}`, "--json", "--no-quantization", "--no-theory"];
    // 2,580 bytes are two contexts of 1,024; one of them is for validation.
    const plain = await run(...options, "--batches=2");
    assertEquals(plain.code, 0, plain.err);
    const usual = JSON.parse(plain.out).data;
    assertEquals([usual.context, usual.sequences], [1024, 1]);
    assertStringIncludes(
      plain.err,
      "measured on 1 sequences and not on 16: the text has 1 of 1024 tokens for validation",
    );
    // The text has 257 contexts of 10 tokens, 12 of them for validation.
    const short = await run(...options, "--context=10", "--batch=8", "--batches=1");
    assertEquals([short.code, JSON.parse(short.out).data.sequences], [0, 8]);
    // The measurement records the first sequence's tokens, and how the strongest head attends to
    // them.
    const { firstText, channels, maps } = JSON.parse(short.out).states;
    assertEquals(firstText.tokens.length, 10);
    assert(firstText.tokens.every((token: string) => "To␣be,rnthaisqu.".includes(token)));
    assertEquals(maps[0].size, 10);
    assertEquals(channels.dimensions.length, Math.min(16, settings.model.modelDim));
    const asked = await run(...options, "--context=10", "--batch=8", "--batches=1", "--head=0.0");
    assertEquals(JSON.parse(asked.out).states.maps[0].why, "the head asked for");
    const none = await run(...options, "--context=10", "--head=9.0");
    assertEquals([none.code, none.out], [2, ""]);
    assertStringIncludes(none.err, "--head is 9.0, but the model has layers 0 to");
    assert(!short.err.includes("measured on"), short.err);
    const many = await run(...options, "--context=10", "--batch=5", "--batches=4");
    assertEquals([many.code, JSON.parse(many.out).data.sequences], [0, 10]);
    const long = await run(...options, "--context=131073");
    assertEquals([long.code, long.out], [1, ""]);
    assertStringIncludes(long.err, "wanted at most the 131072 tokens that the model was made for");
    const lacking = await run(...options, "--context=4096");
    assertStringIncludes(lacking.err, "a smaller --context needs less");
    // The logits of 80 tokens over 256 bytes take 80 KiB, more than this GPU's largest buffer.
    const output = recordOutput();
    const small = siblingGpu(await testGpu("deno"), { limits: { maxBufferSize: 2 ** 16 } });
    Object.defineProperty(small, Symbol.dispose, { value: () => {} });
    const code = await runSinks([...options, "--context=10", "--batch=8", "--batches=1"], {
      ...output,
      openGpu: () => Promise.resolve(small),
    });
    assertEquals([code, output.texts.out], [2, ""]);
    assertStringIncludes(output.texts.err, "8 sequences of 10 tokens take 1 MiB in one tensor");
    assertStringIncludes(output.texts.err, "give a smaller --batch or --context");
  }));

const runTest = Deno.build.os === "windows"
  ? (name: string, run: () => Promise<void>) =>
    Deno.test({ name: `${name} [needs signals]`, ignore: true, fn: run })
  : testWith("read", "write", "run", "env");

runTest(
  "sinks says at Ctrl-C what is left, and leaves nothing half written",
  () =>
    inFolder(async (folder) => {
      const run = join(folder, "run");
      await makeRun(run, [1]);
      const source = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--quiet", "--no-lock", "-A", `--config=${source("deno.json")}`],
          ...[source("src/cli/sinks.ts"), run, "--batches=2000"],
          ...[`--output=${join(folder, "a.json")}`, `--export=${join(folder, "states")}`],
        ],
        stdout: "null",
        stderr: "piped",
      }).spawn();
      let err = "";
      for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
        // The first line shows that the measurement has begun.
        if (err === "") child.kill("SIGINT");
        err += part;
      }
      assertEquals((await child.status).code, 130, err);
      assertStringIncludes(
        err,
        "sinks: interrupted; files are written only after the measurement, so none are new\n",
      );
      assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["run"]);
    }),
);
