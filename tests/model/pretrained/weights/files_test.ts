import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { CheckpointError } from "../../../../src/model/checkpoint/error.ts";
import { openWeights } from "../../../../src/model/pretrained/weights.ts";
import { assert, assertEquals, assertRejects } from "../../../support/assert/assert.ts";
import { inFolder } from "../../../support/folder.ts";
import { CONFIGS } from "../../../support/model/configs.ts";
import { shardName, writeIndex, writeModel } from "../../../support/model/pretrained.ts";
import { safetensorsFile } from "../../../support/model/safetensors.ts";
import { testWith } from "../../../support/permitted.ts";
import { testWithPipe } from "../../../support/pipe.ts";

const test = testWith("read", "write");

const MODEL = "model.safetensors";
const INDEX = "model.safetensors.index.json";

async function refused(path: string, message: string): Promise<void> {
  const error = await assertRejects(() => openWeights(path), CheckpointError, message);
  assert(error.message.startsWith(path), error.message);
  assert(!error.message.includes("\n"), error.message);
}

/** Changes a folder's index. */
async function changeIndex(
  folder: string,
  change: (map: Record<string, unknown>) => unknown,
): Promise<void> {
  const { weight_map: map } = JSON.parse(await Deno.readTextFile(join(folder, INDEX)));
  await writeIndex(folder, change(map));
}

test("openWeights() describes a path that is not a model's folder", () =>
  inFolder(async (folder) => {
    await refused(join(folder, "none"), "none: no such folder");
    await refused(folder, "config.json: no such file");
    const cases = [
      ["model.gguf", "is weights in the GGUF format: convert it"],
      ["pytorch_model.bin", "is weights in Python's pickle format, which may run any program"],
      ["model.safetensors", "is a file: give the folder that it is in, with config.json"],
      ["notes.txt", "is a file: give the folder"],
    ] as const;
    for (const [name, message] of cases) {
      await Deno.writeTextFile(join(folder, name), "");
      await refused(join(folder, name), message);
    }
  }));

test("openWeights() names weights in other programs' formats, and says what to do", () =>
  inFolder(async (folder) => {
    await writeModel(folder, CONFIGS.llamaOf4);
    await Deno.remove(join(folder, MODEL));
    await refused(
      folder,
      `${MODEL}: no such file, nor is ${INDEX} there: fetch the model's weights`,
    );
    const cases = [
      ["pytorch_model.bin", "has no model.safetensors, but pytorch_model.bin, weights in Python's"],
      ["pytorch_model.bin.index.json", "but pytorch_model.bin.index.json, weights in Python's"],
      ["pytorch_model-00001-of-00002.bin", "but pytorch_model-00001-of-00002.bin, weights in"],
      ["consolidated.00.pth", "but consolidated.00.pth, weights in Python's"],
      ["ggml-model-q4_0.gguf", "but ggml-model-q4_0.gguf, weights in the GGUF format: convert it"],
      ["tf_model.h5", "but tf_model.h5, weights of TensorFlow or Flax"],
      ["adapter_model.safetensors", "an adapter, which is only the difference to another model"],
      ["model-00001-of-00002.safetensors", `one of several files that ${INDEX} lists: fetch that`],
      ["pytorch.safetensors", "weights under another name: rename it to model.safetensors"],
      ["model.safetensors.incomplete", "a download that did not finish: fetch the file again"],
    ] as const;
    for (const [name, message] of cases) {
      await Deno.writeTextFile(join(folder, name), "");
      await refused(folder, message);
      await Deno.remove(join(folder, name));
    }
  }));

test("openWeights() refuses an index that leads out of the folder", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "model");
    await writeModel(folder, CONFIGS.llamaOf4, { shards: 2 });
    const shard = shardName(1, 2);
    // The shard exists and is intact; only its place is wrong.
    await Deno.copyFile(join(folder, shard), join(parent, shard));
    await Deno.mkdir(join(folder, "inner"));
    await Deno.copyFile(join(folder, shard), join(folder, "inner", shard));
    const names = [
      `../${shard}`,
      join(parent, shard),
      `inner/${shard}`,
      `..\\${shard}`,
      `C:\\${shard}`,
      `inner/../../${shard}`,
      pathToFileURL(join(parent, shard)).href,
      `${shard}\0.safetensors`,
      "",
      "..",
      5,
      null,
      ["a"],
    ];
    for (const name of names) {
      await changeIndex(folder, (map) => ({ ...map, "lm_head.weight": name }));
      await refused(
        folder,
        `${INDEX}: "lm_head.weight" is in ${
          JSON.stringify(name)
        }, wanted the name of a .safetensors file beside the index`,
      );
    }
    for (const map of [null, [], "a", undefined]) {
      await writeIndex(folder, map);
      await refused(folder, "weight_map: is ");
    }
    await writeIndex(folder, {});
    await refused(folder, "weight_map names no tensor");
    await Deno.writeTextFile(join(folder, INDEX), "{");
    await refused(folder, `${INDEX}: is not JSON`);
  }));

test("openWeights() refuses shards that are missing, or lack tensors that the index names", () =>
  inFolder(async (folder) => {
    await writeModel(folder, CONFIGS.llamaOf4, { shards: 4 });
    const norm = "model.norm.weight";
    const { weight_map: map } = JSON.parse(await Deno.readTextFile(join(folder, INDEX)));
    const other = shardName(1 + Number(map[norm].slice(6, 11)) % 4, 4);
    await changeIndex(folder, (map) => ({ ...map, [norm]: other }));
    await refused(
      folder,
      `${INDEX}: says that "${norm}" is in ${other}, but it is in ${map[norm]}`,
    );
    await changeIndex(folder, () => ({ ...map, extra: other }));
    await refused(folder, `says that "extra" is in ${other}, but it is in none of the files`);
    await writeIndex(folder, map);
    await Deno.writeFile(
      join(folder, "spare.safetensors"),
      safetensorsFile(new Map([[norm, { shape: [32], data: new Float32Array(32) }]])),
    );
    await changeIndex(folder, (map) => ({ ...map, spare: "spare.safetensors" }));
    await refused(folder, `spare.safetensors: holds "${norm}", which ${map[norm]} holds as well`);
    await writeIndex(folder, map);
    await Deno.truncate(join(folder, shardName(2, 4)), 100);
    await assertRejects(
      () => openWeights(folder),
      CheckpointError,
      `${shardName(2, 4)}: says that`,
    );
    for (const shard of [2, 3]) await Deno.remove(join(folder, shardName(shard, 4)));
    await refused(
      folder,
      `lacks 2 of the 4 files that ${INDEX} names: fetch ${shardName(2, 4)}, ${shardName(3, 4)}`,
    );
  }));

test("openWeights() prefers a single file to an index, and says so", () =>
  inFolder(async (folder) => {
    await writeModel(folder, CONFIGS.llamaOf4);
    await writeIndex(folder, { a: "none.safetensors" });
    using weights = await openWeights(folder);
    assertEquals(weights.notes, [
      `${join(folder, INDEX)} was not read, as model.safetensors is beside it`,
    ]);
  }));

// On Windows only some users may create links.
const testLinks = Deno.build.os === "windows" ? Deno.test.ignore : test;

testLinks(
  "openWeights() follows links to files, as in the hub's own cache",
  () =>
    inFolder(async (parent) => {
      const [blobs, folder] = [join(parent, "blobs"), join(parent, "snapshot")];
      await writeModel(blobs, CONFIGS.llamaOf4, { shards: 2 });
      await Deno.mkdir(folder);
      for await (const { name } of Deno.readDir(blobs)) {
        await Deno.symlink(join(blobs, name), join(folder, name));
      }
      using weights = await openWeights(folder);
      assertEquals(weights.architecture.family, "llama");
    }),
);

testLinks(
  "openWeights() names a link whose file is gone, and where it leads",
  () =>
    inFolder(async (folder) => {
      await writeModel(folder, CONFIGS.llamaOf4);
      for (const name of [MODEL, "config.json"]) {
        await Deno.remove(join(folder, name));
        await Deno.symlink("../../blobs/0a1b", join(folder, name));
        await refused(
          join(folder),
          `${name}: is a link to ../../blobs/0a1b, where no file is: fetch the model again`,
        );
      }
    }),
);

testWithPipe("openWeights() does not wait for a pipe", async (folder, pipe) => {
  await writeModel(folder, CONFIGS.llamaOf4, { shards: 2 });
  await Deno.remove(join(folder, shardName(1, 2)));
  await Deno.rename(pipe, join(folder, shardName(1, 2)));
  await refused(folder, `${shardName(1, 2)}: is not a regular file`);
}, { file: "pipe" });
