/** `deno task sinks` refuses runs and checkpoints that it cannot measure, in one line. */
import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";
import { inFolder } from "../../support/folder.ts";
import { run } from "./run.ts";
import { makeRun, settings } from "./trained_run.ts";

const test = testWith("read", "write");

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
    // With 7 characters, this run's task has 8 tokens, but its model has 9.
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
