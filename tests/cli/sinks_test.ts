/** `deno task sinks` on runs of `deno task train`. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunSettings } from "../../src/experiments/run/settings.ts";
import { llamaGradients } from "../../src/reference/llama.ts";
import { openTask } from "../../src/experiments/run/task.ts";
import type { SinkMeasurement } from "../../src/sinks/measurement.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { parseNpy } from "../support/pretrained/npy.ts";
import { testWith } from "../support/permitted.ts";
import { inFolder } from "../support/folder.ts";
import { run } from "./sinks/run.ts";
import { makeRun, randomParameters, settings } from "./sinks/trained_run.ts";

const test = testWith("read", "write");

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
    // The measured norm at token 0 is that of a sum: token 0's gradients, added over all texts.
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
    // If the same checkpoint is named by its own folder, the JSON on standard output is the same.
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

// The float64 twin's mean loss over `count` training batches from batch `first` on, with the
// parameters of step `step`.
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
    // The run has used 24 sequences. With 5 sequences per batch, they lie in the first five
    // batches, so the sixth batch is measured.
    const other = await measured("--batches=1", "--batch=5", "--no-quantization", "--no-theory");
    const otherLoss = await trainingLoss(accumulated, { step: 4, batch: 5, first: 5, count: 1 });
    assert(Math.abs(other.loss! / otherLoss - 1) < 1e-5, `${other.loss}, wanted ${otherLoss}`);
    const table = await run(path, "--split=training", "--batches=1", "--no-quantization");
    assertStringIncludes(table.out, "2 training sequences of 12 tokens");
    assertStringIncludes(table.out, "The theory on a training batch");
  });
});

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
