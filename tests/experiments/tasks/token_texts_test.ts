import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CorpusError } from "../../../src/experiments/tasks/text_corpus.ts";
import {
  type TextDocument,
  TokenTexts,
  type TokenTextsOptions,
} from "../../../src/experiments/tasks/token_texts.ts";
import { openTokenizer, type Tokenizer } from "../../../src/model/pretrained/tokenizer.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

/** Each character is a token, numbered by its code. Token 1 begins a document, token 2 ends it. */
const characters: Tokenizer = {
  prefix: [1],
  beginToken: 1,
  endToken: 2,
  notes: [],
  encode: (text) => [...text].map((character) => character.charCodeAt(0)),
  spelling: (token) => token < 3 ? ["<u>", "<s>", "</s>"][token]! : String.fromCharCode(token),
};

function document(text: string, name = text): TextDocument {
  return { name, text };
}

/**
 * Makes texts from documents. `rows` spells out each text: its inputs, `|` and its last target, as
 * in `<s>abc|</s>`.
 */
function spelled(
  documents: readonly TextDocument[],
  options: Partial<TokenTextsOptions>,
): { rows: string[]; notes: readonly string[]; texts: TokenTexts } {
  const { tokenizer = characters } = options;
  const texts = new TokenTexts(documents, {
    tokenizer,
    vocabulary: 256,
    context: 4,
    texts: 2,
    begin: "as-tokenizer",
    documents: "joined",
    ...options,
  });
  const rows = Array.from({ length: texts.texts }, (_, step) => {
    const { inputs, targets } = texts.batch(step, { batch: 1 });
    assertEquals([...inputs.subarray(1)], [...targets.subarray(0, -1)]);
    const last = targets.at(-1)!;
    return `${[...inputs].map(tokenizer.spelling).join("")}|${tokenizer.spelling(last)}`;
  });
  return { rows, notes: texts.notes, texts };
}

Deno.test("TokenTexts joins documents with EOS between them, and begins every text as the tokenizer does", () => {
  const documents = [document("abc"), document("defgh"), document("not read")];
  const { rows, notes } = spelled(documents, {});
  assertEquals(rows, ["<s>abc|</s>", "<s></s>de|f"]);
  assertEquals(notes, ["2 documents are joined, with </s> between them"]);
  assertEquals(spelled(documents, { begin: "always" }).rows, rows);
  assertEquals(spelled(documents, { begin: "never" }).rows, ["abc</s>|d", "defg|h"]);
  const plain = { ...characters, endToken: undefined };
  const joined = spelled(documents, { tokenizer: plain, begin: "never" });
  assertEquals(joined.rows, ["abcd|e", "efgh|n"]);
  assertEquals(joined.notes, ["3 documents are joined, with nothing between them"]);
});

Deno.test("TokenTexts makes one text from the beginning of each document if they stay apart", () => {
  const documents = ["abcdefgh", "abc", "ABCDE", "x", "0123"].map((text) => document(text));
  const apart = (options: Partial<TokenTextsOptions>) =>
    spelled(documents, { documents: "apart", ...options });
  const { rows, notes } = apart({});
  assertEquals(rows, ["<s>abc|d", "<s>ABC|D"]);
  assertEquals(notes, ["left out: 1 document of fewer than 4 tokens: abc"]);
  assertEquals(apart({ texts: 3, begin: "never", exactly: false }).rows, ["abcd|e", "ABCD|E"]);
  assertEquals(apart({ texts: 3, begin: "never", exactly: false }).notes, [
    "left out: 3 documents of fewer than 5 tokens: abc, x, 0123",
    "the corpus makes 2 texts of 4 tokens",
  ]);
});

Deno.test("TokenTexts adds BOS on request if the tokenizer has one but does not add it", () => {
  const documents = [document("abcdefgh")];
  const without = { ...characters, prefix: [] };
  assertEquals(spelled(documents, { tokenizer: without, texts: 1 }).rows, ["abcd|e"]);
  assertEquals(spelled(documents, { tokenizer: without, begin: "always" }).rows, [
    "<s>abc|d",
    "<s>def|g",
  ]);
  // A prefix longer than BOS stays complete.
  const more = { ...characters, prefix: [40, 1] };
  assertEquals(spelled(documents, { tokenizer: more, begin: "always" }).rows[0], "(<s>ab|c");
  assertThrows(
    () => spelled(documents, { tokenizer: { ...without, beginToken: undefined }, begin: "always" }),
    CorpusError,
    "--bos=always: neither the tokenizer nor config.json names a BOS token",
  );
});

Deno.test("TokenTexts says how much text there is if it is too little", () => {
  const documents = [document("abc"), document("de")];
  assertThrows(
    () => spelled(documents, { texts: 3 }),
    CorpusError,
    "the corpus makes 1 text of 4 tokens, wanted 3: its documents have 6 tokens together, and 10 are",
  );
  assertEquals(spelled(documents, { texts: 3, exactly: false }).rows, ["<s>abc|</s>"]);
  assertThrows(
    () => spelled([document("abc")], { exactly: false }),
    CorpusError,
    "the corpus makes no text of 4 tokens, wanted 2: its documents have 3 tokens together, and 7",
  );
  assertThrows(
    () => spelled([], { documents: "apart" }),
    CorpusError,
    "it has 0 documents, and --documents=apart makes one text of each",
  );
  const many = Array.from({ length: 7 }, (_, i) => document("ab", `${i}.txt`));
  assertThrows(
    () => spelled(many, { documents: "apart" }),
    CorpusError,
    "there are 7 documents of fewer than 4 tokens: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 others",
  );
});

Deno.test("TokenTexts refuses options that make no texts, and batches beyond them", () => {
  const documents = [document("abcdefghijklmnop")];
  const refused = (options: Partial<TokenTextsOptions>, message: string) =>
    assertThrows(() => spelled(documents, options), RangeError, message);
  refused({ context: 1 }, "context is 1, wanted an integer of at least 2");
  refused({ texts: 0 }, "texts is 0, wanted an integer of at least 1");
  refused(
    { context: 2, tokenizer: { ...characters, prefix: [1, 1] } },
    "context is 2, wanted more than the 2 tokens that every text begins with",
  );
  const { texts } = spelled(documents, { texts: 4 });
  assertEquals(texts.batch(1, { batch: 2 }).inputs.length, 8);
  assertThrows(
    () => texts.batch(1, { batch: 3 }),
    RangeError,
    "texts 3 to 5, wanted some of the 4",
  );
  assertEquals(texts.firstTokens(9).map(characters.spelling), ["<s>", "a", "b", "c"]);
});

testWith("read")(
  "TokenTexts reads no more of a long text than it needs, to the same tokens",
  async () => {
    const fixtures = fileURLToPath(new URL("../../../fixtures/tokenizers/", import.meta.url));
    const sentence = "It was the age of wisdom 🙂, 12,345 soldiers didn't läuft über die Straße.\n";
    const text = sentence.repeat(400);
    for (const family of ["smollm", "llama3", "qwen", "sentencepiece"]) {
      const tokenizer = await openTokenizer(join(fixtures, family), {
        architecture: { config: { vocabulary: 400 }, beginToken: undefined, endTokens: [] },
      });
      let longest = 0;
      const watched: Tokenizer = {
        ...tokenizer,
        encode: (part) => {
          longest = Math.max(longest, part.length);
          return tokenizer.encode(part);
        },
      };
      const all = tokenizer.encode(text);
      // Cuts the text into two contexts of 5 to 44 tokens each.
      for (let context = 5; context < 45; context++) {
        const texts = new TokenTexts([document(text)], {
          tokenizer: watched,
          vocabulary: 400,
          context,
          texts: 2,
          begin: "never",
          documents: "joined",
        });
        const { inputs } = texts.batch(0, { batch: 2 });
        assertEquals([...inputs], all.slice(0, 2 * context), `${family} ${context}`);
      }
      assert(longest < text.length / 10, `${family}: ${longest} of ${text.length} characters`);
    }
  },
);

Deno.test("TokenTexts uses no token next to a cut in a long text", () => {
  // A word's token is its length, so cutting a word changes its token.
  const words: Tokenizer = {
    ...characters,
    prefix: [],
    encode: (text) => text.split(" ").map(({ length }) => length),
  };
  for (const letters of [1, 3, 7, 12, 15, 16, 40]) {
    const text = Array(3000).fill("x".repeat(letters)).join(" ");
    for (let context = 2; context < 200; context++) {
      const texts = new TokenTexts([document(text)], {
        tokenizer: words,
        vocabulary: 256,
        context,
        texts: 1,
        begin: "never",
        documents: "apart",
      });
      const { inputs, targets } = texts.batch(0, { batch: 1 });
      assert([...inputs, ...targets].every((token) => token === letters), `${letters} ${context}`);
    }
  }
});
