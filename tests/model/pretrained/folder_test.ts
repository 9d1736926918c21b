import { join } from "node:path";
import { CheckpointError } from "../../../src/model/checkpoint/error.ts";
import { checkHoldsModel } from "../../../src/model/pretrained/folder.ts";
import { assert, assertEquals, assertRejects } from "../../support/assert/assert.ts";
import { inFolder } from "../../support/folder.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read", "write");

async function refused(folder: string): Promise<string> {
  const { message } = await assertRejects(() => checkHoldsModel(folder), CheckpointError);
  assert(message.startsWith(`${folder}: `), message);
  return message.slice(folder.length + 2);
}

test("checkHoldsModel() accepts folders of a model, and of a run", () =>
  inFolder(async (folder) => {
    for (const name of ["config.json", "model.safetensors", "settings.json"]) {
      await Deno.writeTextFile(join(folder, name), "");
      await checkHoldsModel(folder);
      await Deno.remove(join(folder, name));
    }
  }));

test("checkHoldsModel() says what another folder holds, and what to do", () =>
  inFolder(async (folder) => {
    const nothing = "holds neither a run, with settings.json, nor a model, with config.json, " +
      "model.safetensors and tokenizer.json";
    assertEquals(await refused(folder), nothing);
    await Deno.writeTextFile(join(folder, "tokenizer.json"), "");
    await Deno.writeTextFile(join(folder, "generation_config.json"), "");
    assertEquals(
      await refused(folder),
      `${nothing}, but only generation_config.json, tokenizer.json`,
    );
    await Deno.writeTextFile(join(folder, "adapter_model.safetensors"), "");
    assertEquals(
      await refused(folder),
      "has no config.json, but adapter_model.safetensors, an adapter, which is only the " +
        "difference to another model: merge it into that model with peft, merge_and_unload()",
    );
    await Deno.rename(join(folder, "adapter_model.safetensors"), join(folder, "a-q8_0.gguf"));
    assert((await refused(folder)).startsWith("has no config.json, but a-q8_0.gguf, weights in"));
  }));

test("checkHoldsModel() leads from Hugging Face's cache to a commit's folder", () =>
  inFolder(async (folder) => {
    const model = join(folder, "models--HuggingFaceTB--SmolLM2-135M");
    await Deno.mkdir(join(model, "snapshots"), { recursive: true });
    const snapshot = (commit: string) => join(model, "snapshots", commit);
    const given = (commit: string) =>
      `is a model's folder in the cache of Hugging Face: give a commit's folder in it, ${
        snapshot(commit)
      }`;
    assertEquals(await refused(model), given("COMMIT"));
    for (const commit of ["0a", "1b"]) await Deno.mkdir(snapshot(commit));
    assertEquals(await refused(model), given("0a"));
    await Deno.mkdir(join(model, "refs"));
    await Deno.writeTextFile(join(model, "refs", "main"), "1b");
    assertEquals(await refused(model), given("1b"));
    assertEquals(
      await refused(folder),
      `is the cache of Hugging Face: give the folder of a model's commit, such as ${
        snapshot("1b")
      }`,
    );
  }));
