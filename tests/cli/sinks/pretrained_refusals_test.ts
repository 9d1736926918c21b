/** `deno task sinks` refuses models and texts that it cannot measure, before any work. */
import { join } from "node:path";
import { runSinks } from "../../../src/cli/sinks.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import type { Fields } from "../../support/model/configs.ts";
import { shardName, writeIndex, writeModel } from "../../support/model/pretrained.ts";
import { safetensorsFile } from "../../support/model/safetensors.ts";
import { recordOutput } from "../record_output.ts";
import { testWith } from "../../support/permitted.ts";
import { fields, type Scene, SENTENCE, withModel } from "./pretrained_scene.ts";

const test = testWith("read", "write");

/**
 * Makes a mistake in the scene's files. Returns words that the command's error must contain
 * (`says`), and arguments to add to the command line (`args`), if any.
 */
type Mistake = (
  scene: Scene,
) => Promise<{ readonly args?: readonly string[]; readonly says: string }>;

async function change(path: string, fields: Fields): Promise<void> {
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, JSON.stringify({ ...JSON.parse(text), ...fields }));
}

const mistakes: Readonly<Record<string, Mistake>> = {
  "a shard that is missing": async ({ at }) => {
    await Deno.remove(at(shardName(1, 2)));
    const says = "lacks 1 of the 2 files that model.safetensors.index.json names: fetch " +
      shardName(1, 2);
    return { says };
  },
  "an index that leads out of the folder": async ({ at, model }) => {
    await Deno.rename(at(shardName(1, 2)), join(model, "..", "other.safetensors"));
    await writeIndex(model, { a: "../other.safetensors" });
    return { says: '"a" is in "../other.safetensors", wanted the name of a .safetensors file' };
  },
  "a tensor of another shape": async ({ at }) => {
    await change(at("config.json"), { intermediate_size: 64 });
    return { says: "gate_proj.weight has shape [48, 32], wanted [64, 32]" };
  },
  "a tensor of another type": async ({ model, at }) => {
    await writeModel(model, fields, {
      change: (tensors) =>
        void tensors.set("model.norm.weight", {
          type: "F64",
          shape: [32],
          data: new Uint8Array(256),
        }),
    });
    await Deno.remove(at("model.safetensors.index.json"));
    return { says: '"model.norm.weight" is of type "F64", wanted one of F32, F16, BF16' };
  },
  "weights that are no numbers": async ({ model }) => {
    await writeModel(model, fields, {
      type: "F16",
      change: (tensors) => {
        const tensor = tensors.get("model.norm.weight")!;
        tensors.set("model.norm.weight", {
          ...tensor,
          data: (tensor.data as Float32Array).with(31, NaN),
        });
      },
    });
    return { says: "model.norm.weight holds NaN at element 31, wanted finite numbers" };
  },
  "a sliding window that binds": async ({ at }) => {
    await change(at("config.json"), {
      use_sliding_window: true,
      sliding_window: 8,
      layer_types: null,
      max_window_layers: 0,
    });
    return { says: "sliding_window is 8, wanted at least the context of 128 tokens" };
  },
  "experts": async ({ at }) => {
    await change(at("config.json"), { num_experts: 4 });
    return { says: "num_experts is 4, wanted 0" };
  },
  "quantized weights": async ({ at }) => {
    await change(at("config.json"), { quantization_config: { quant_method: "awq" } });
    return { says: "quantized weights are not read: give the model in BF16, F16 or F32" };
  },
  "a family that is not computed": async ({ at }) => {
    await change(at("config.json"), { model_type: "gpt_neox" });
    const says =
      'model_type is "gpt_neox", wanted one of llama, mistral, qwen2, qwen3: give a model';
    return { says };
  },
  "a vision model around a known family": async ({ at }) => {
    await change(at("config.json"), {
      model_type: "smolvlm",
      text_config: { model_type: "llama" },
    });
    const says =
      'model_type is "smolvlm", wanted one of llama, mistral, qwen2, qwen3: its language ' +
      "model, in text_config, is a llama: save that alone with transformers, as LlamaForCausalLM";
    return { says };
  },
  "a vision model around an unknown family": async ({ at }) => {
    await change(at("config.json"), {
      model_type: "qwen2_5_vl",
      text_config: { model_type: "qwen2_5_vl_text" },
    });
    return { says: "qwen2, qwen3: give a model of one of these families" };
  },
  "a tokenizer of unknown kind": async ({ at }) => {
    await change(at("tokenizer.json"), { model: { type: "Tiktoken" } });
    return { says: 'model.type is "Tiktoken", wanted one of BPE, Unigram, WordPiece' };
  },
  "a tokenizer that is missing": async ({ at }) => {
    await Deno.remove(at("tokenizer.json"));
    return {
      says: "tokenizer.json: no such file: fetch the model's tokenizer.json too, or write it",
    };
  },
  "tokens beyond the vocabulary": async ({ at }) => {
    await change(at("config.json"), { vocab_size: 260 });
    return { says: "but the model's vocabulary has 260: it is another model's tokenizer" };
  },
  "text shorter than a context": async ({ corpus }) => {
    await Deno.writeTextFile(corpus, SENTENCE);
    return { says: "the corpus makes no text of 128 tokens, wanted 20: its documents have" };
  },
  "fewer texts than are asked for": () =>
    Promise.resolve({ args: ["--texts=99"], says: "of 128 tokens, wanted 99: its documents have" }),
  "a context beyond the model's": () =>
    Promise.resolve({ args: ["--context=129"], says: "--context is 129, wanted at most the 128" }),
  "no text": () =>
    Promise.resolve({ args: ["--corpus="], says: "--corpus wants a value: --corpus=PATH" }),
  "weights of pickle": async ({ model, at }) => {
    for (const shard of [1, 2]) await Deno.remove(at(shardName(shard, 2)));
    await Deno.remove(at("model.safetensors.index.json"));
    await Deno.writeTextFile(join(model, "pytorch_model.bin"), "");
    return { says: "has no model.safetensors, but pytorch_model.bin, weights in Python's pickle" };
  },
  "weights of GGUF": async ({ model, at }) => {
    for (const shard of [1, 2]) await Deno.remove(at(shardName(shard, 2)));
    await Deno.remove(at("model.safetensors.index.json"));
    await Deno.writeTextFile(join(model, "tiny.gguf"), "");
    return { says: "has no model.safetensors, but tiny.gguf, weights in the GGUF format" };
  },
  "a pointer of Git LFS": async ({ at }) => {
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    await Deno.writeTextFile(at(shardName(2, 2)), pointer);
    return { says: "is a pointer of Git LFS and not the file itself: fetch it with git lfs pull" };
  },
  "a tokenizer that is a pointer of Git LFS": async ({ at }) => {
    await Deno.writeTextFile(at("tokenizer.json"), "version https://git-lfs.github.com/spec/v1\n");
    return { says: "tokenizer.json: is a pointer of Git LFS and not the file itself: fetch it" };
  },
  "an adapter's folder": async ({ model, at }) => {
    await Deno.rename(at(shardName(1, 2)), at("adapter_model.safetensors"));
    for await (const { name } of Deno.readDir(model)) {
      if (!/^(adapter|tokenizer)/.test(name)) await Deno.remove(at(name));
    }
    // The error must be about the folder, because that explains more than an error about --texts.
    return { args: ["--texts=2"], says: "has no config.json, but adapter_model.safetensors, an" };
  },
  "options of pretrained models without a tokenizer": async ({ at }) => {
    for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
      await Deno.remove(at(name)).catch(() => {});
    }
    return { args: ["--texts=2"], says: "is a run, or has no tokenizer.json beside config.json" };
  },
  "a folder that is missing": async ({ model }) => {
    await Deno.remove(model, { recursive: true });
    return { says: "model: no such folder" };
  },
  "a tied head that differs": async ({ model }) => {
    await writeModel(model, fields, {
      change: (tensors) =>
        void tensors.set("lm_head.weight", { shape: [320, 32], data: new Float32Array(10_240) }),
    });
    return { says: "lm_head.weight holds 0 at element 0, but model.embed_tokens.weight holds" };
  },
  "a file in place of the folder": async ({ model }) => {
    await Deno.remove(model, { recursive: true });
    await Deno.writeFile(model, safetensorsFile(new Map()));
    return { says: "is a file: give the folder that it is in, with config.json" };
  },
};

for (const [name, mistake] of Object.entries(mistakes)) {
  test(`runSinks() refuses in one line, before any work: ${name}`, () =>
    withModel(async (scene) => {
      const { args = [], says } = await mistake(scene);
      const output = recordOutput();
      const json = join(scene.folder, "out.json");
      const code = await runSinks(
        [scene.model, `--corpus=${scene.corpus}`, `--output=${json}`, ...args],
        {
          ...output,
          openGpu: () => Promise.reject(new Error("a GPU was opened")),
        },
      );
      const { out, err } = output.texts;
      assertEquals(out, "");
      // Without a terminal, the command also prints progress lines. These are not counted.
      const lines = err.split("\n").filter((line) => !/^\d+\/\d+ /.test(line));
      assertEquals(lines.length, 2, err);
      assert(lines[0]!.startsWith("sinks: "), err);
      assertStringIncludes(lines[0]!, says);
      assert(code === 1 || code === 2, `${code}`);
      const left = await Array.fromAsync(Deno.readDir(scene.folder), ({ name }) => name);
      assert(!left.some((each) => each.startsWith("out.json")), left.join());
    }));
}
