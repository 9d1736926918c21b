import { fileURLToPath } from "node:url";
import { join } from "node:path";
import {
  type Checkpoint,
  readCheckpoint,
  readModel,
  removeCheckpoint,
  removeHalfWritten,
  writeCheckpoint,
} from "../../src/model/checkpoint.ts";
import { CheckpointError } from "../../src/model/checkpoint/error.ts";
import { readSafetensors } from "../../src/model/checkpoint/safetensors.ts";
import { randomUniform } from "../../src/random.ts";
import type { LlamaConfig } from "../../src/reference/llama/config.ts";
import { listParameters } from "../../src/reference/llama/parameters.ts";
import { assert, assertEquals, assertRejects } from "../support/assert/assert.ts";
import { inFolder, namesIn } from "../support/folder.ts";
import { llamaParameters, SMALL_LLAMA } from "../support/model/llama.ts";
import { missingFlags, testWith } from "../support/permitted.ts";

const test = testWith("read", "write");

const config: LlamaConfig = {
  ...SMALL_LLAMA,
  vScale: "learned",
  sinkLogit: "learned",
  attentionGate: "element",
};

/** A checkpoint whose numbers differ from those of every other step. */
function checkpointOf(step: number): Checkpoint {
  const parameters = llamaParameters(config, { seed: step });
  const moments = new Map([...parameters].map(([name, { length }], i) => [name, {
    first: randomUniform({ seed: 100 * step + i, length, minimum: -1 }),
    second: randomUniform({ seed: 200 * step + i, length }),
  }]));
  return { config, context: 9, parameters, moments, step, state: { losses: [0.1, 1 / 3] } };
}

test("writeCheckpoint() and readCheckpoint() keep every bit, in Hugging Face's layout", () =>
  inFolder(async (folder) => {
    const checkpoint = checkpointOf(7);
    const path = join(folder, "step-7");
    await writeCheckpoint(path, checkpoint);
    assertEquals(await namesIn(folder), ["step-7"]);
    assertEquals(await namesIn(path), [
      "config.json",
      "model.safetensors",
      "optimizer.safetensors",
      "training.json",
    ]);
    assertEquals(await readCheckpoint(path), checkpoint);
    const { parameters, context } = checkpoint;
    assertEquals(await readModel(path), { config, context, parameters });
    const tensors = await readSafetensors(join(path, "model.safetensors"));
    assertEquals(
      [...tensors].map(([name, { shape }]) => [name, shape]),
      listParameters(config).map(({ name, shape }) => [name, [...shape]]),
    );
  }));

test("readModel() needs no optimizer and reads a plain Llama", () =>
  inFolder(async (folder) => {
    const path = join(folder, "model");
    const plain: LlamaConfig = { ...SMALL_LLAMA, layersWithoutAttention: [] };
    const parameters = llamaParameters(plain, { seed: 1 });
    const moments = new Map(
      [...parameters].map(([name, each]) => [name, { first: each, second: each }]),
    );
    await writeCheckpoint(path, {
      config: plain,
      context: 9,
      parameters,
      moments,
      step: 0,
      state: null,
    });
    for (const name of ["optimizer.safetensors", "training.json"]) {
      await Deno.remove(join(path, name));
    }
    const file = join(path, "config.json");
    const { gradsink: _, ...fields } = JSON.parse(await Deno.readTextFile(file));
    await Deno.writeTextFile(file, JSON.stringify({ ...fields, transformers_version: "4.40" }));
    assertEquals((await readModel(path)).config, plain);
    await assertRejects(
      () => readCheckpoint(path),
      CheckpointError,
      "optimizer.safetensors: no such",
    );
  }));

test("readCheckpoint() refuses a damaged checkpoint, naming the file", () =>
  inFolder(async (folder) => {
    const path = join(folder, "c");
    const file = (name: string) => join(path, name);
    const edit = async (name: string, change: (bytes: Uint8Array) => Uint8Array | string) => {
      const content = change(await Deno.readFile(file(name)));
      await (typeof content === "string"
        ? Deno.writeTextFile(file(name), content)
        : Deno.writeFile(file(name), content));
    };
    const lastNumber = (value: number) => (bytes: Uint8Array) => {
      const changed = bytes.slice();
      new DataView(changed.buffer).setFloat32(changed.length - 4, value, true);
      return changed;
    };
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const model = "model.safetensors";
    const optimizer = "optimizer.safetensors";
    const cases: readonly [string, (bytes: Uint8Array) => Uint8Array | string, string][] = [
      [model, (bytes) => bytes.subarray(0, bytes.length / 2), "its tensors have"],
      [model, lastNumber(NaN), "lm_head.weight holds NaN at element 131"],
      [optimizer, lastNumber(Infinity), "exp_avg_sq.lm_head.weight holds Infinity"],
      [optimizer, lastNumber(-1), "exp_avg_sq.lm_head.weight holds -1 at element 131, wanted at"],
      [
        "config.json",
        (bytes) => text(bytes).replace('"vocab_size": 11', '"vocab_size": 12'),
        "model.safetensors: model.embed_tokens.weight has shape [11, 12], wanted [12, 12]",
      ],
      [
        "config.json",
        (bytes) => text(bytes).replace('"learned"', '"fixed"'),
        'holds "model.layers.1.self_attn.v_scale_theta"',
      ],
      ["training.json", () => "{}", "schema is missing"],
      ["training.json", (bytes) => text(bytes).replace('"step": 1', '"step": -1'), "step is -1"],
    ];
    for (const [name, change, message] of cases) {
      await writeCheckpoint(path, checkpointOf(1));
      await edit(name, change);
      const error = await assertRejects(() => readCheckpoint(path), CheckpointError, message);
      assert(error.message.startsWith(path), error.message);
      await removeCheckpoint(path);
    }
    assertEquals(await namesIn(folder), []);
  }));

test("writeCheckpoint() leaves nothing behind if it fails, and removeHalfWritten() removes what a killed process left", () =>
  inFolder(async (folder) => {
    const path = join(folder, "c");
    await writeCheckpoint(path, checkpointOf(1));
    // The first checkpoint's folder is in the way: a rename replaces no folder that holds files.
    await assertRejects(
      () => writeCheckpoint(path, checkpointOf(2)),
      CheckpointError,
      `${path}: cannot be written`,
    );
    assertEquals(await namesIn(folder), ["c"]);
    assertEquals((await readCheckpoint(path)).step, 1);
    await assertRejects(
      () => writeCheckpoint(join(folder, "none", "c"), checkpointOf(1)),
      CheckpointError,
      "cannot be written: No such file or directory",
    );
    await Deno.mkdir(join(folder, ".writing-d"));
    await Deno.writeTextFile(join(folder, ".writing-d", "config.json"), "{");
    await removeHalfWritten(folder);
    assertEquals(await namesIn(folder), ["c"]);
  }));

const lacking = Deno.build.os === "windows"
  ? ["flushes of folders"]
  : missingFlags(["read", "write"]);

Deno.test({
  name: "writeCheckpoint() says that a checkpoint is there, even if its folder cannot be flushed" +
    (lacking.length === 0 ? "" : ` [needs ${lacking.join(" ")}]`),
  ignore: lacking.length > 0,
  fn: () =>
    inFolder(async (folder) => {
      // writeCheckpoint() flushes four files, the checkpoint's folder, and last the parent folder.
      const flushes = 6;
      const write = async (step: number, failing: number, error: Error) => {
        const { sync } = Deno.FsFile.prototype;
        let count = 0;
        Deno.FsFile.prototype.sync = function () {
          return ++count === failing ? Promise.reject(error) : sync.call(this);
        };
        try {
          await writeCheckpoint(join(folder, `step-${step}`), checkpointOf(step));
        } finally {
          Deno.FsFile.prototype.sync = sync;
        }
      };
      const broken = new Error("Input/output error (os error 5)");
      await assertRejects(
        () => write(1, flushes, broken),
        CheckpointError,
        `${
          join(folder, "step-1")
        }: is complete, but may not survive a power failure, because its ` +
          "folder cannot be flushed to the disk: Input/output error",
      );
      assertEquals((await readCheckpoint(join(folder, "step-1"))).step, 1);
      await assertRejects(
        () => write(2, flushes - 1, broken),
        CheckpointError,
        "cannot be written",
      );
      assertEquals(await namesIn(folder), ["step-1"]);
      // A file system without flushes of folders.
      const none = Object.assign(new TypeError("Invalid argument (os error 22)"), {
        code: "EINVAL",
      });
      for (const failing of [flushes - 1, flushes]) await write(failing, failing, none);
      assertEquals(await namesIn(folder), ["step-1", "step-5", "step-6"]);
      await assertRejects(() => write(2, 1, none), CheckpointError, "cannot be written: Invalid");
    }),
});

Deno.test({
  name:
    "writeCheckpoint() says that there is no room, and leaves the checkpoint before it as it was",
  ignore: Deno.build.os === "windows" ||
    (await Deno.permissions.query({ name: "run" })).state !== "granted",
  fn: () =>
    inFolder(async (folder) => {
      await writeCheckpoint(join(folder, "step-1"), checkpointOf(1));
      // Simulates a full disk: no file may exceed 4 KiB, and the model needs 10 KiB.
      const child = fileURLToPath(new URL("./checkpoint_child.ts", import.meta.url));
      const program = [Deno.execPath(), "run", "--quiet", "--no-lock", "-A", child];
      const { stdout, stderr } = await new Deno.Command("sh", {
        args: ["-c", `trap '' XFSZ; ulimit -f 8; exec "$@"`, "sh", ...program, folder],
      }).output();
      const said = new TextDecoder().decode(stdout);
      assertEquals(
        said,
        `CheckpointError: ${join(folder, "step-2")}: cannot be written: File too large\n`,
        new TextDecoder().decode(stderr),
      );
      assertEquals(await namesIn(folder), ["step-1"]);
      assertEquals((await readCheckpoint(join(folder, "step-1"))).step, 1);
    }),
});
