/** tokenizer_config.json beside tokenizer.json. */
import { CheckpointError } from "../../../../src/model/checkpoint/error.ts";
import { assert, assertEquals, assertRejects } from "../../../support/assert/assert.ts";
import { inFolder } from "../../../support/folder.ts";
import { testWith } from "../../../support/permitted.ts";
import { copy, open } from "./open.ts";

const test = testWith("read", "write");

// transformers 5.24 gives the same tokens with and without these fields.
test("openTokenizer() ignores what transformers ignores in tokenizer_config.json", () =>
  inFolder(async (folder) => {
    const text = "It was  the best of times, É worst";
    const plain = [293, 267, 221, 263, 221, 299, 84, 265, 286, 12, 283, 232, 258, 316, 319];
    const ignored = [
      {},
      { remove_space: true },
      { do_lowercase_and_remove_accent: true },
      { do_lower_case: true },
      { chat_template: "{% for message in" },
      { chat_template: [{ name: "tool", template: 5 }] },
      { model_max_length: 4 },
    ];
    for (const change of ignored) {
      await copy(folder, "smollm", { "tokenizer_config.json": change });
      const { encode, notes } = await open(folder);
      assertEquals([encode(text), notes], [plain, []], JSON.stringify(change));
    }
  }));

test("openTokenizer() compares tokenizer_config.json with tokenizer.json", () =>
  inFolder(async (folder) => {
    const noted = async (change: Readonly<Record<string, unknown>>) => {
      await copy(folder, "smollm", { "tokenizer_config.json": change });
      return (await open(folder)).notes.map((note) => note.replace(folder, ""));
    };
    const decoder = (id: number, content: string) => ({
      added_tokens_decoder: { [id]: { content, special: true } },
    });
    assertEquals(await noted(decoder(0, "<|endoftext|>")), []);
    assertEquals(await noted({ additional_special_tokens: ["<|endoftext|>"] }), []);
    const cut = (tokens: string) => [
      `: tokenizer_config.json adds ${tokens} that tokenizer.json lacks, such as "times"; ` +
      "transformers would split texts at them, but this program follows tokenizer.json",
    ];
    assertEquals(await noted(decoder(5, "times")), cut("1 token"));
    const more = { additional_special_tokens: ["times", { content: "best" }] };
    assertEquals(await noted({ ...decoder(5, "times"), ...more }), cut("2 tokens"));
    await assertRejects(
      () => noted(decoder(7, "<|endoftext|>")),
      CheckpointError,
      'added_tokens_decoder gives "<|endoftext|>" the number 7, but tokenizer.json 0: change one',
    );
    assertEquals(await noted({ add_prefix_space: true }), [
      ": tokenizer_config.json says add_prefix_space true, but tokenizer.json does not add a " +
      "space; this program follows tokenizer.json",
    ]);
    await copy(folder, "sentencepiece", { "tokenizer_config.json": { add_prefix_space: false } });
    const { notes: [note] } = await open(folder);
    assert(
      note!.endsWith("tokenizer.json adds a space; this program follows tokenizer.json"),
      note,
    );
  }));
