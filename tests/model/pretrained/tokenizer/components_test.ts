/** The parts of tokenizer.json that cut a text into pieces. */
import { join } from "node:path";
import { CheckpointError } from "../../../../src/model/checkpoint/error.ts";
import { assertEquals, assertRejects } from "../../../support/assert/assert.ts";
import { inFolder } from "../../../support/folder.ts";
import { testWith } from "../../../support/permitted.ts";
import { copy, FIXTURES, open } from "./open.ts";

const test = testWith("read", "write");

test("openTokenizer() cuts texts like Hugging Face's tokenizers, or refuses to", () =>
  inFolder(async (folder) => {
    const { texts, components } = JSON.parse(
      await Deno.readTextFile(join(FIXTURES, "components.json")),
    ) as {
      readonly texts: string[];
      readonly components: Record<string, { pre_tokenizer: unknown; pieces: string[][] }>;
    };
    const refused: string[] = [];
    let cut = 0;
    for (const [name, { pre_tokenizer, pieces }] of Object.entries(components)) {
      // Every piece is a token, so the tokens show the pieces.
      const all = [...new Set(["a", ...pieces.flat()])];
      const model = {
        type: "BPE",
        vocab: Object.fromEntries(all.map((piece, i) => [piece, i])),
        merges: [],
        ignore_merges: true,
      };
      await Deno.writeTextFile(
        join(folder, "tokenizer.json"),
        JSON.stringify({
          added_tokens: [],
          normalizer: null,
          pre_tokenizer,
          model,
          post_processor: null,
          decoder: null,
        }),
      );
      const opened = await open(folder).catch((error) => {
        if (!(error instanceof CheckpointError)) throw error;
        refused.push(name);
      });
      if (opened === undefined) continue;
      cut++;
      for (const [i, text] of texts.entries()) {
        assertEquals(opened.encode(text).map(opened.spelling), pieces[i], `${name}: ${text}`);
      }
    }
    assertEquals(refused, [
      "Punctuation, merged_with_previous",
      "Punctuation, merged_with_next",
      "Split, isolated, inverted",
      "Split, contiguous",
      "Split, contiguous, inverted",
      "Split, merged_with_previous",
      "Split, merged_with_previous, inverted",
      "Split, merged_with_next",
      "Split, merged_with_next, inverted",
      "UnicodeScripts",
    ]);
    assertEquals(cut, 19);
  }));

test("openTokenizer() notes where its tokens may differ from Hugging Face's", () =>
  inFolder(async (folder) => {
    const notes = async (change: Readonly<Record<string, unknown>>) => {
      await copy(folder, "smollm", { "tokenizer.json": change });
      return (await open(folder)).notes.map((note) => note.replace(folder, ""));
    };
    const split = (Regex: string) => ({
      pre_tokenizer: { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false },
    });
    assertEquals(await notes(split("\\p{L}++|\\s+")), [
      '/tokenizer.json: the pattern {"Regex":"\\\\p{L}++|\\\\s+"} holds possessive quantifiers or ' +
      "atomic groups, which are computed as ordinary ones",
    ]);
    const ordinary = ["\\p{L}+|\\s+", "[*+]+a?|\\++", "[^\\r\\n]{1,3}?", "(?:a+)+"];
    for (const pattern of ordinary) assertEquals(await notes(split(pattern)), [], pattern);
    assertEquals((await notes(split("(?>a+)b|c{2}"))).length, 1);
    await assertRejects(() => notes(split("\\Ga")), CheckpointError, "is not computed");
    assertEquals(await notes({ normalizer: { type: "Precompiled", precompiled_charsmap: "" } }), [
      "/tokenizer.json: the normalizer Precompiled is computed by JavaScript's NFKC instead",
    ]);
  }));
