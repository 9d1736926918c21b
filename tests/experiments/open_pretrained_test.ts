import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openModel } from "../../src/experiments/open_model.ts";
import {
  isPretrained,
  openPretrained,
  type OpenPretrainedOptions,
} from "../../src/experiments/open_pretrained.ts";
import { CorpusError } from "../../src/experiments/tasks/text_corpus.ts";
import { CheckpointError } from "../../src/model/checkpoint/error.ts";
import { assert, assertEquals, assertRejects } from "../support/assert/assert.ts";
import { inFolder } from "../support/folder.ts";
import { CONFIGS, type Fields } from "../support/model/configs.ts";
import { writeModel } from "../support/model/pretrained.ts";
import { testWith } from "../support/permitted.ts";

const test = testWith("read", "write");
const FIXTURES = fileURLToPath(new URL("../../fixtures/tokenizers/", import.meta.url));
const SENTENCE = "It was the best of times, it was the worst of times. ";

interface Scene {
  readonly folder: string;
  readonly model: string;
  readonly corpus: string;
}

/** Makes a text, and a model with 320 tokens in its vocabulary and with Llama 3's tokenizer. */
function withModel(
  run: (scene: Scene) => Promise<void>,
  { fields = {}, family = "llama3" }: { fields?: Fields; family?: string } = {},
): Promise<void> {
  return inFolder(async (folder) => {
    const [model, corpus] = [join(folder, "model"), join(folder, "text.txt")];
    await writeModel(model, {
      ...CONFIGS.llamaOf5,
      vocab_size: 320,
      bos_token_id: 0,
      eos_token_id: 1,
      ...fields,
    });
    for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
      await Deno.copyFile(join(FIXTURES, family, name), join(model, name));
    }
    await Deno.writeTextFile(corpus, SENTENCE.repeat(100));
    await run({ folder, model, corpus });
  });
}

test("isPretrained() tells models with tokenizers from runs, byte models and other folders", () =>
  withModel(async ({ folder, model }) => {
    assert(await isPretrained(model));
    assert(!(await isPretrained(join(folder, "none"))));
    assert(!(await isPretrained(folder)));
    assert(await isPretrained("HuggingFaceTB/SmolLM2-135M"));
    await Deno.remove(join(model, "tokenizer.json"));
    assert(await isPretrained(model)); // tokenizer_config.json alone suffices
    await Deno.remove(join(model, "tokenizer_config.json"));
    assert(!(await isPretrained(model)));
  }));

test("openPretrained() opens weights, tokenizer and texts, and lists what it did not read", () =>
  withModel(async ({ model, corpus }) => {
    const shares: number[] = [];
    using opened = await openPretrained(model, {
      corpus,
      onProgress: (done, total) => shares.push(done / total),
    });
    const { weights, texts, tokenizer, source, notes } = opened;
    assertEquals(weights.architecture.family, "llama");
    // A text has 256 tokens by default, but here the model's context allows only 128. By default at
    // most 20 texts are taken, and the corpus has fewer.
    assertEquals([texts.context, texts.vocabulary], [128, 320]);
    assert(texts.texts > 5 && texts.texts < 20);
    assertEquals(source, { run: "model", step: 0, task: "text", seed: null });
    assertEquals(texts.firstTokens(3).map(tokenizer.spelling), ["<|begin_of_text|>", "It", "Ġwas"]);
    assertEquals(notes, [
      `${join(model, "config.json")}: fields that are not known and were not read: gate_softness`,
      `the corpus makes ${texts.texts} texts of 128 tokens`,
    ]);
    assertEquals(shares.at(-1), 1);
  }, { fields: { gate_softness: 1 } }));

test("openPretrained() names a model in Hugging Face's cache as the hub does", () =>
  withModel(async ({ folder, model, corpus }) => {
    const snapshots = join(folder, "models--owner--tiny-1", "snapshots");
    await Deno.mkdir(snapshots, { recursive: true });
    await Deno.rename(model, join(snapshots, "0a1b"));
    using opened = await openPretrained(join(snapshots, "0a1b"), { corpus });
    assertEquals(opened.source.run, "owner/tiny-1");
    assertEquals(opened.notes[0], "owner/tiny-1 is of commit 0a1b");
  }));

test("openPretrained() cuts texts as its options say", () =>
  withModel(async ({ folder, model }) => {
    const corpus = join(folder, "lines.jsonl");
    const line = (start: string) => JSON.stringify({ text: start + SENTENCE });
    await Deno.writeTextFile(corpus, [line("One. "), '{"text":"x"}', line("Two. ")].join("\n"));
    const begins = async (options: Partial<OpenPretrainedOptions>) => {
      using opened = await openPretrained(model, { corpus, context: 8, texts: 2, ...options });
      const { texts, tokenizer, notes } = opened;
      return [
        [0, 1].map((step) => tokenizer.spelling(texts.batch(step, { batch: 1 }).inputs[0]!)),
        notes.length,
      ];
    };
    assertEquals(await begins({ documents: "apart" }), [Array(2).fill("<|begin_of_text|>"), 1]);
    assertEquals(await begins({ documents: "apart", begin: "never" }), [["O", "T"], 1]);
  }));

test("openPretrained() refuses bad input before it reads any weights", () =>
  withModel(async ({ folder, model, corpus }) => {
    // The weights are gone, so these errors cannot depend on them.
    await Deno.remove(join(model, "model.safetensors"));
    const refused = async (
      options: OpenPretrainedOptions,
      message: string,
      type: new (message: string) => Error = CorpusError,
    ) => {
      const error = await assertRejects(() => openPretrained(model, options), type, message);
      assert(!error.message.includes("\n"), error.message);
    };
    await refused({ corpus: undefined }, "give it text to be measured on, --corpus=PATH");
    await refused({ corpus: join(folder, "none") }, "none: no such file or folder");
    await refused(
      { corpus, context: 129 },
      `--context is 129, wanted at most the 128 tokens that ${model} was made for`,
      RangeError,
    );
    await refused({ corpus, texts: 1000 }, "of 128 tokens, wanted 1000: its documents have ");
    const short = join(folder, "short");
    await Deno.mkdir(short);
    await Deno.writeTextFile(join(short, "a.txt"), SENTENCE);
    await Deno.writeFile(join(short, "b.gz"), Uint8Array.of(0x1f, 0x8b));
    await refused(
      { corpus: short },
      `are needed; 1 file passed over: ${join(short, "b.gz")} (packed by gzip)`,
    );
    await refused({ corpus }, "model.safetensors: no such file", CheckpointError);
    await Deno.remove(join(model, "tokenizer.json"));
    await refused({ corpus }, "tokenizer.json: no such file", CheckpointError);
    await assertRejects(
      () => openPretrained(join(folder, "none"), { corpus }),
      CheckpointError,
      "none: no such folder",
    );
  }));

test("openPretrained() refuses another model's tokenizer", () =>
  withModel(async ({ model, corpus }) => {
    await assertRejects(
      () => openPretrained(model, { corpus }),
      CheckpointError,
      "but the model's vocabulary has 280: it is another model's tokenizer",
    );
  }, { fields: { vocab_size: 280 } }));

test("openModel() reports a missing folder and a missing tokenizer", () =>
  withModel(async ({ folder, model, corpus }) => {
    await assertRejects(
      () => openModel(join(folder, "none")),
      CheckpointError,
      "none: no such folder",
    );
    await assertRejects(
      () => openModel(corpus),
      CheckpointError,
      "text.txt: is a file: give the folder that it is in",
    );
    await Deno.remove(join(model, "tokenizer.json"));
    await assertRejects(
      () => openModel(model, { corpus }),
      Error,
      "has no tokenizer.json, so its tokens can only be the 256 bytes of a text, but the model has 320",
    );
  }));
