import { join } from "node:path";
import { CheckpointError } from "../../../src/model/checkpoint/error.ts";
import { openWeights, readArchitecture } from "../../../src/model/pretrained/weights.ts";
import { listParameters } from "../../../src/reference/llama/parameters.ts";
import { assert, assertEquals, assertRejects } from "../../support/assert/assert.ts";
import { inFolder } from "../../support/folder.ts";
import { CONFIGS, type Fields } from "../../support/model/configs.ts";
import { modelTensors, type StoredAs, writeModel } from "../../support/model/pretrained.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read", "write");

async function refused(
  folder: string,
  { fields = CONFIGS.llamaOf4, ...how }: StoredAs & { readonly fields?: Fields },
  message: string,
): Promise<void> {
  await writeModel(folder, fields, how);
  const error = await assertRejects(() => openWeights(folder), CheckpointError, message);
  assert(error.message.startsWith(folder), error.message);
  assert(!error.message.includes("\n"), error.message);
}

test("openWeights() reads the same bits for each family, type and number of files", () =>
  inFolder(async (folder) => {
    let models = 0;
    for (const [name, fields] of Object.entries(CONFIGS)) {
      const tensors = modelTensors(fields);
      for (const type of ["F32", "F16", "BF16"] as const) {
        for (const shards of [1, 3]) {
          const path = join(folder, `${name}-${type}-${shards}`);
          await writeModel(path, fields, { type, shards });
          using weights = await openWeights(path);
          assertEquals(weights.architecture.family, fields.model_type);
          assertEquals(weights.notes, []);
          assertEquals([...weights.shapes.keys()], [...tensors.keys()]);
          assertEquals(new Set(weights.types.values()), new Set([type]));
          let bytes = 0;
          for (const [name, wanted] of tensors) {
            assertEquals(await weights.read(name), wanted, `${path} ${name}`);
            bytes += wanted.length * (type === "F32" ? 4 : 2);
          }
          assertEquals(weights.storedBytes, bytes);
          models++;
        }
      }
    }
    assertEquals(models, 7 * 3 * 2);
  }));

test("WeightSource.read() reads rows, many at a time, and refuses missing ones", () =>
  inFolder(async (folder) => {
    await writeModel(folder, CONFIGS.qwen2Of4, { type: "BF16", shards: 2 });
    const tensors = modelTensors(CONFIGS.qwen2Of4);
    using weights = await openWeights(folder);
    const embedding = "model.embed_tokens.weight";
    const bias = "model.layers.1.self_attn.k_proj.bias";
    const ranges = [[0, 64], [5, 1], [63, 1], [7, 0], [64, 0], [16, 32]] as const;
    // The reads run at the same time, but a file has one position, so they must take turns.
    const read = await Promise.all(
      ranges.map(([start, count]) => weights.read(embedding, { start, count })),
    );
    for (const [i, [start, count]] of ranges.entries()) {
      assertEquals(read[i], tensors.get(embedding)!.slice(32 * start, 32 * (start + count)));
    }
    assertEquals(await weights.read(bias, { start: 3, count: 2 }), tensors.get(bias)!.slice(3, 5));
    const into = new Float32Array(2);
    assertEquals(await weights.read(bias, { start: 4, count: 2 }, into), into);
    assertEquals(into, tensors.get(bias)!.slice(4, 6));
    await assertRejects(
      () => weights.read(bias, { start: 4, count: 3 }, into),
      RangeError,
      `3 rows of ${bias} have 3 elements, wanted an array of as many, not of 2`,
    );
    for (
      const [start, count] of [[-1, 1], [0, 65], [64, 1], [0.5, 1], [0, -1], [0, NaN]] as const
    ) {
      await assertRejects(
        () => weights.read(embedding, { start, count }),
        RangeError,
        `wanted rows of the 64 of ${embedding}`,
      );
    }
    await assertRejects(() => weights.read("lm_head.weight"), RangeError, "has no lm_head.weight");
  }));

test("openWeights() accepts mixed types, and names without the prefix model.", () =>
  inFolder(async (folder) => {
    const fields = CONFIGS.llamaOf5;
    await writeModel(folder, fields, {
      change: (tensors) => {
        const stored = [...tensors];
        tensors.clear();
        for (const [i, [name, tensor]] of stored.entries()) {
          tensors.set(name.replace("model.", ""), { ...tensor, type: i % 2 ? "F16" : "BF16" });
        }
      },
    });
    using weights = await openWeights(folder);
    for (const [name, wanted] of modelTensors(fields)) {
      assertEquals(await weights.read(name), wanted, name);
    }
    assertEquals(new Set(weights.types.values()), new Set(["BF16", "F16"]));
  }));

test("openWeights() notes unknown fields", () =>
  inFolder(async (folder) => {
    await writeModel(folder, { ...CONFIGS.mistralOf4, auto_map: {}, gate_softness: 3 });
    using weights = await openWeights(folder);
    assertEquals(weights.notes, [
      `${
        join(folder, "config.json")
      }: fields that are not known and were not read: auto_map, gate_softness`,
    ]);
  }));

test("readArchitecture() reads JSON with a byte order mark, and shows where it is malformed", () =>
  inFolder(async (folder) => {
    const path = join(folder, "config.json");
    const text = JSON.stringify(CONFIGS.llamaOf4, null, 2).replaceAll("\n", "\r\n");
    await Deno.writeTextFile(path, `\ufeff${text}`);
    assertEquals((await readArchitecture(folder)).family, "llama");
    const refused = async (content: Uint8Array | string, message: string) => {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(path, bytes);
      const error = await assertRejects(() => readArchitecture(folder), CheckpointError, message);
      assert(!error.message.includes("\n"), error.message);
    };
    await refused(text.replace(",", ",,"), "config.json: is not JSON: Expected");
    await refused(text.replace(",", ",,"), "(line 2 column");
    await refused("", "config.json: is not JSON: Unexpected end");
    const units = Uint16Array.from([...`\ufeff${text}`].map((each) => each.charCodeAt(0)));
    await refused(new Uint8Array(units.buffer), "cannot be read: it is not UTF-8");
    await refused("[]", "config.json: is [], wanted an object");
  }));

test("openWeights() accepts a sliding window up to the requested context", () =>
  inFolder(async (folder) => {
    const fields = { ...CONFIGS.mistralOf4, sliding_window: 32 };
    await writeModel(folder, CONFIGS.mistralOf4);
    await Deno.writeTextFile(join(folder, "config.json"), JSON.stringify(fields));
    (await openWeights(folder, { context: 32 }))[Symbol.dispose]();
    await assertRejects(
      () => openWeights(folder, { context: 33 }),
      CheckpointError,
      "sliding_window is 32, wanted at least the context of 33 tokens",
    );
  }));

test("openWeights() requires every tensor of the model and no other, with its shape and finite numbers", () =>
  inFolder(async (folder) => {
    const query = "model.layers.1.self_attn.q_proj.weight";
    await refused(
      folder,
      { change: (tensors) => void tensors.delete(query) },
      `${folder}: ${query} is missing: config.json describes a llama of 2 layers`,
    );
    await refused(
      folder,
      {
        fields: { ...CONFIGS.llamaOf4, num_hidden_layers: 3 },
        change: (tensors) => {
          for (const name of [...tensors.keys()]) {
            if (name.startsWith("model.layers.2.")) tensors.delete(name);
          }
        },
      },
      "model.layers.2.input_layernorm.weight is missing, one of 9 that are missing",
    );
    const bias = { shape: [32], data: new Float32Array(32) };
    await refused(
      folder,
      { change: (tensors) => void tensors.set("model.layers.0.self_attn.q_proj.bias", bias) },
      'holds "model.layers.0.self_attn.q_proj.bias", which the model does not have: a llama',
    );
    await refused(
      folder,
      {
        change: (tensors) => {
          const { data } = tensors.get(query)!;
          tensors.set(query, { shape: [16, 64], data });
        },
      },
      `model.safetensors: ${query} has shape [16, 64], wanted [32, 32]`,
    );
    await refused(
      folder,
      {
        change: (tensors) =>
          void tensors.set(query, { type: "I8", shape: [32, 32], data: new Uint8Array(1024) }),
      },
      `"${query}" is of type "I8", wanted one of F32, F16, BF16`,
    );
    for (const type of ["F32", "F16", "BF16"] as const) {
      for (const value of [NaN, Infinity, -Infinity]) {
        await refused(
          folder,
          {
            type,
            change: (tensors) => {
              const tensor = tensors.get(query)!;
              const data = (tensor.data as Float32Array).with(1000, value);
              tensors.set(query, { ...tensor, data });
            },
          },
          `${query} holds ${value} at element 1000, wanted finite numbers`,
        );
      }
    }
  }));

test("openWeights() finds a number that is not finite in a tensor of many slices", () =>
  inFolder(async (folder) => {
    const fields = { ...CONFIGS.qwen2Of5, vocab_size: 140_000 }; // 17.9 MB in float32
    await refused(
      folder,
      {
        fields,
        change: (tensors) => {
          const tensor = tensors.get("model.embed_tokens.weight")!;
          (tensor.data as Float32Array)[4_200_000] = NaN;
        },
      },
      "model.embed_tokens.weight holds NaN at element 4200000",
    );
    const shares: number[] = [];
    await writeModel(folder, fields, { type: "F16" });
    using _ = await openWeights(folder, { onProgress: (share) => shares.push(share) });
    assert(shares.every((share, i) => i === 0 || share > shares[i - 1]!));
    assertEquals(shares.at(-1), 1);
  }));

test("openWeights() compares a stored tied head with the embedding", () =>
  inFolder(async (folder) => {
    const embedding = "model.embed_tokens.weight";
    const withHead = (change: (data: Float32Array<ArrayBuffer>) => Float32Array, type = "F32") => ({
      change: (
        tensors: Map<string, { shape: readonly number[]; data: Float32Array | Uint8Array }>,
      ) => {
        const { data } = tensors.get(embedding)!;
        tensors.set("lm_head.weight", {
          shape: [64, 32],
          data: change(Float32Array.from(data)),
          ...{ type },
        });
      },
    });
    for (const type of ["F32", "BF16", "F16"]) {
      await writeModel(folder, CONFIGS.qwen3Of4, withHead((data) => data, type));
      using weights = await openWeights(folder);
      assert(!weights.shapes.has("lm_head.weight"));
    }
    const { [embedding]: data } = Object.fromEntries(modelTensors(CONFIGS.qwen3Of4));
    await refused(
      folder,
      { fields: CONFIGS.qwen3Of4, ...withHead((data) => data.with(2047, 9)) },
      `lm_head.weight holds 9 at element 2047, but ${embedding} holds ${data![2047]}, though ` +
        "config.json's tie_word_embeddings says that they are the same: remove the head, or set",
    );
    const cut = {
      change: (
        tensors: Map<string, { shape: readonly number[]; data: Float32Array | Uint8Array }>,
      ) => void tensors.set("lm_head.weight", { shape: [63, 32], data: new Float32Array(63 * 32) }),
    };
    await refused(folder, cut, "lm_head.weight has shape [63, 32], wanted [64, 32]");
    await refused(
      folder,
      {
        fields: CONFIGS.mistralOf4,
        change: (tensors) => void tensors.delete("lm_head.weight"),
      },
      "lm_head.weight is missing, though config.json's tie_word_embeddings does not say that the head",
    );
  }));

test("openWeights() compares stored frequencies with RoPE's", () =>
  inFolder(async (folder) => {
    const name = "model.layers.0.self_attn.rotary_emb.inv_freq";
    const plain = Float32Array.from({ length: 4 }, (_, i) => 1 / Math.fround(1e6 ** (i / 4)));
    const withFrequencies = (data: Float32Array, type = "F32", shape = [data.length]) => ({
      change: (
        tensors: Map<string, { shape: readonly number[]; data: Float32Array | Uint8Array }>,
      ) => void tensors.set(name, { shape, data, ...{ type } }),
    });
    const { mistralOf4: fields } = CONFIGS;
    const accepted = async (fields: Fields, data: Float32Array, type?: string) => {
      await writeModel(folder, fields, withFrequencies(data, type));
      using weights = await openWeights(folder);
      assertEquals(
        [...weights.shapes.keys()].length,
        listParameters(weights.architecture.config).length,
      );
    };
    await accepted(fields, plain);
    await accepted(fields, plain, "F16");
    await accepted(fields, plain, "BF16");
    const linear = { ...fields, rope_scaling: { type: "linear", factor: 4 } };
    await accepted(linear, plain);
    await accepted(linear, plain.map((each) => each / 4));
    await refused(
      folder,
      { fields, ...withFrequencies(plain.with(2, 1.01e-3)) },
      `model.safetensors: ${name} holds 0.0010100000072270632 at element 2, but RoPE as config.json describes it has 0.001 there`,
    );
    await refused(
      folder,
      { fields, ...withFrequencies(plain.map((each) => each / 4)) },
      "but RoPE",
    );
    await refused(
      folder,
      { fields, ...withFrequencies(plain.with(3, NaN)) },
      "holds NaN at element 3",
    );
    await refused(
      folder,
      { fields, ...withFrequencies(plain, "F32", [2, 2]) },
      "inv_freq has shape [2, 2], wanted [4]",
    );
  }));
