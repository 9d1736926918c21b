/** Tokenizers agree with Hugging Face's, and damaged ones are refused. */
import { join } from "node:path";
import { CheckpointError } from "../../../src/model/checkpoint/error.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../support/assert/assert.ts";
import { inFolder } from "../../support/folder.ts";
import { testWith } from "../../support/permitted.ts";
import { copy, FIXTURES, type Named, open } from "./tokenizer/open.ts";

const test = testWith("read", "write");

for (const family of ["smollm", "llama3", "qwen", "sentencepiece"]) {
  test(`openTokenizer() agrees with Hugging Face's tokenizers: ${family}`, async () => {
    const tokenizer = await open(join(FIXTURES, family));
    const cases = JSON.parse(await Deno.readTextFile(join(FIXTURES, family, "expected.json"))) as {
      readonly text: string;
      readonly plain: number[];
      readonly special: number[];
    }[];
    assertEquals(cases.length, 9);
    for (const { text, plain, special } of cases) {
      assertEquals(tokenizer.encode(text), plain, text);
      assertEquals([...tokenizer.prefix, ...plain], special, text);
    }
    assertEquals(tokenizer.notes, []);
  });
}

test("openTokenizer() finds which tokens begin and end a document", async () => {
  const found = async (family: string, named: Named = {}) => {
    const { prefix, beginToken, endToken, notes, spelling } = await open(
      join(FIXTURES, family),
      named,
    );
    const spelled = (token: number | undefined) => token === undefined ? "" : spelling(token);
    return [prefix.map(spelled), spelled(beginToken), spelled(endToken), notes];
  };
  assertEquals(await found("smollm"), [[], "<|endoftext|>", "<|endoftext|>", []]);
  const llama3 = ["<|begin_of_text|>", "<|end_of_text|>", []];
  assertEquals(await found("llama3"), [["<|begin_of_text|>"], ...llama3]);
  assertEquals(await found("llama3", { beginToken: 7 }), [["<|begin_of_text|>"], ...llama3]);
  assertEquals(await found("sentencepiece"), [["<s>"], "<s>", "</s>", []]);
  assertEquals(await found("qwen"), [[], "", "<|endoftext|>", []]);
  assertEquals(await found("qwen", { beginToken: 0 }), [[], "<|endoftext|>", "<|endoftext|>", [
    "the tokenizer has no BOS token; config.json names 0 as one",
  ]]);
});

test("openTokenizer() finds special tokens in every file that names them", () =>
  inFolder(async (folder) => {
    await copy(folder, "smollm", {});
    await Deno.remove(join(folder, "tokenizer_config.json"));
    const none = await open(folder, { endTokens: [3] });
    assertEquals([none.beginToken, none.endToken], [undefined, 3]);
    await Deno.writeTextFile(
      join(folder, "special_tokens_map.json"),
      JSON.stringify({ bos_token: { content: "<|endoftext|>" }, eos_token: null }),
    );
    const map = await open(folder);
    assertEquals([map.beginToken, map.endToken], [0, undefined]);
    await Deno.writeTextFile(
      join(folder, "special_tokens_map.json"),
      JSON.stringify({ bos_token: "<bos>" }),
    );
    await assertRejects(
      () => open(folder),
      CheckpointError,
      'the tokenizer\'s bos_token is "<bos>", which tokenizer.json does not have',
    );
  }));

test("openTokenizer() refuses a damaged tokenizer, or another model's", () =>
  inFolder(async (folder) => {
    const file = join(folder, "tokenizer.json");
    const refused = async (message: string, named?: Named) => {
      const error = await assertRejects(() => open(folder, named), CheckpointError, message);
      assert(error.message.startsWith(folder), error.message);
      assert(!error.message.includes("\n"), error.message);
    };
    await refused("tokenizer.json: no such file");
    await Deno.writeTextFile(join(folder, "tokenizer.model"), "");
    await refused("has no tokenizer.json, but tokenizer.model, a tokenizer of an older kind");
    await Deno.writeTextFile(file, "{");
    await refused("tokenizer.json: is not JSON");
    await Deno.writeTextFile(file, "{}");
    await refused("tokenizer.json: model: is missing, wanted an object");
    const bpe = (parts: object) => ({
      model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"], ...parts },
    });
    const wrong: readonly [Readonly<Record<string, unknown>>, string][] = [
      [{ model: { type: "Tiktoken", vocab: {} } }, 'model.type is "Tiktoken", wanted one of BPE'],
      [{ model: { vocab: { a: 0 }, merges: [] } }, "model.type is missing, wanted one of BPE"],
      [
        { model: { type: "BPE", vocab: { a: 0 }, merges: [], dropout: 0.1 } },
        "model.dropout is 0.1",
      ],
      [{ model: { type: "BPE" } }, "model.vocab: is missing, wanted an object"],
      [bpe({ vocab: [] }), "model.vocab: is [], wanted an object"],
      [bpe({ vocab: { a: "0" } }), 'model.vocab gives "a" the number "0", wanted an integer of'],
      [bpe({ vocab: { a: -1 } }), 'model.vocab gives "a" the number -1, wanted'],
      [bpe({ vocab: { a: 0.5 } }), 'model.vocab gives "a" the number 0.5, wanted'],
      [bpe({ merges: undefined }), "model.merges: is missing, wanted a list"],
      [bpe({ merges: {} }), "model.merges: is {}, wanted a list"],
      [bpe({ merges: ["ab"] }), 'model.merges has "ab", wanted two tokens'],
      [bpe({ merges: [["a", "b", "c"]] }), 'model.merges has ["a","b","c"], wanted two tokens'],
      [bpe({ merges: [5] }), "model.merges has 5, wanted two tokens"],
      [bpe({ merges: ["a c"] }), 'model.merges has "a c", but model.vocab has no "c"'],
      [bpe({ merges: ["b a"] }), 'model.merges has "b a", but model.vocab has no "ba"'],
      [{ model: { type: "Unigram", vocab: {} } }, "model.vocab: is {}, wanted a list"],
      [{ model: { type: "Unigram", vocab: [["a"]] } }, 'model.vocab has ["a"] at place 0, wanted'],
      [{ model: { type: "WordPiece", vocab: null } }, "model.vocab: is null, wanted an object"],
      [{ added_tokens: {} }, "added_tokens: is {}, wanted a list"],
      [{ added_tokens: [null] }, "added_tokens[0]: is null, wanted an object"],
      [{ added_tokens: [{ id: "0", content: "a" }] }, "wanted an id of at least 0 and a content"],
      [{ added_tokens: [{ id: 0, content: "" }] }, "wanted an id of at least 0 and a content"],
      [
        { ...bpe({}), added_tokens: [{ id: 7, content: "a" }] },
        'added_tokens gives "a" the id 7, but model.vocab 0',
      ],
      [
        { ...bpe({}), added_tokens: [{ id: 1, content: "new" }] },
        'added_tokens gives "new" the id 1, which model.vocab gives "b"',
      ],
      [{ pre_tokenizer: { type: "Split", pattern: null } }, "pattern: is null, wanted an object"],
      [
        { pre_tokenizer: { type: "Split", pattern: { Regexp: "a" } } },
        'pre_tokenizer: pattern is {"Regexp":"a"}, wanted a Regex or a String',
      ],
      [{ normalizer: { type: "Replace", pattern: {} } }, "normalizer: pattern is {}, wanted a Reg"],
      [{ pre_tokenizer: { type: "Sequence", pretokenizers: [null] } }, "is null, wanted an object"],
      [
        { post_processor: { type: "TemplateProcessing", single: [5], pair: [] } },
        "post_processor: cannot be read: ",
      ],
      [{ normalizer: { type: "Shout" } }, "is no tokenizer that can be read: Unknown Normalizer"],
      [{ pre_tokenizer: { type: "Shout" } }, "is no tokenizer that can be read: Unknown PreTok"],
    ];
    for (const [change, message] of wrong) {
      await copy(folder, "smollm", { "tokenizer.json": change });
      await refused(message);
    }
    const text = { Sequence: { id: "A", type_id: 0 } };
    const single = [text, text];
    await copy(folder, "smollm", {
      "tokenizer.json": { post_processor: { type: "TemplateProcessing", single, pair: [] } },
    });
    await refused("tokenizer.json: its post_processor repeats the text");
    await Deno.writeFile(file, Uint8Array.of(0x7b, 0xff, 0x7d));
    await refused("tokenizer.json: cannot be read: it is not UTF-8");
    await copy(folder, "smollm", { "tokenizer_config.json": { add_bos_token: "true" } });
    await refused('says add_bos_token "true", wanted true or false');
    await copy(folder, "smollm", { "tokenizer_config.json": { add_bos_token: true } });
    await refused("tokenizer_config.json says add_bos_token true, but tokenizer.json's post_proc");
    await copy(folder, "llama3", { "tokenizer_config.json": { add_bos_token: false } });
    await refused("says add_bos_token false, but tokenizer.json's post_processor adds it");
    await copy(folder, "smollm", {});
    const { encode } = await open(folder, { vocabulary: 280 });
    assertThrows(
      () => encode("It was the best of times"),
      CheckpointError,
      ", but the model's vocabulary has 280: it is another model's tokenizer",
    );
    await copy(folder, "llama3", {});
    await refused(
      'has the token 1, "<|end_of_text|>", but the model\'s vocabulary has 1: it is another',
      { vocabulary: 1 },
    );
    await copy(folder, "llama3", {
      "tokenizer.json": {
        post_processor: {
          type: "TemplateProcessing",
          single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, {
            Sequence: { id: "A", type_id: 0 },
          }],
          pair: [],
          special_tokens: {},
        },
      },
    });
    await refused('its post_processor adds "<s>", which is not in its vocabulary');
  }));
