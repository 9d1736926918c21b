import { join } from "node:path";
import { CorpusError, readCorpus, TextCorpus } from "../../../src/experiments/tasks/text_corpus.ts";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read", "write");

// Every two neighboring bytes occur once, so that a context tells its place.
function marked(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i % 2 === 0 ? i / 2 % 251 : 1 + Math.floor(i / 502));
}

Deno.test("TextCorpus gives every context once before any comes again, and keeps validation apart", () => {
  const bytes = marked(10 * 101 + 3);
  const corpus = new TextCorpus({ bytes, context: 10, seed: 4 });
  assertEquals(corpus.contexts, { training: 96, validation: 5 });
  const epochs = [0, 1].map((epoch) =>
    Array.from({ length: 32 }, (_, i) => {
      const { inputs, targets } = corpus.batch(32 * epoch + i, { batch: 3 });
      return [0, 1, 2].map((row) => {
        const input = inputs.subarray(row * 10, row * 10 + 10);
        const offset = bytes.findIndex((_, at) =>
          at % 10 === 0 && input.every((byte, j) => bytes[at + j] === byte)
        );
        assert(offset >= 0, "a context that is not in the text");
        assertEquals([...targets.subarray(row * 10, row * 10 + 10)], [
          ...bytes.subarray(offset + 1, offset + 11),
        ]);
        return offset / 10;
      });
    }).flat()
  );
  for (const places of epochs) {
    assertEquals(places.toSorted((a, b) => a - b), Array.from({ length: 96 }, (_, i) => i));
  }
  assertNotEquals(epochs[0], epochs[1]);
  const validation = corpus.batch(0, { batch: 5, split: "validation" }).inputs;
  assertEquals([...validation], [...bytes.subarray(960, 1010)]);
});

Deno.test("TextCorpus.batch() belongs to seed and step alone, across epochs too", () => {
  const make = (seed: number) => new TextCorpus({ bytes: marked(500), context: 8, seed });
  const corpus = make(1);
  for (const step of [0, 40, 3, 40]) {
    assertEquals(corpus.batch(step, { batch: 4 }), make(1).batch(step, { batch: 4 }));
  }
  assertNotEquals(corpus.batch(3, { batch: 4 }).inputs, make(2).batch(3, { batch: 4 }).inputs);
});

Deno.test("TextCorpus refuses text that fills no two contexts", () => {
  const make = (length: number) => new TextCorpus({ bytes: marked(length), context: 64, seed: 0 });
  for (const length of [0, 1, 64, 128]) {
    assertThrows(() => make(length), CorpusError, `has ${length} bytes, wanted at least 129`);
  }
  make(129);
  assertThrows(
    () => new TextCorpus({ bytes: marked(9), context: 1, seed: 0 }),
    RangeError,
    "context",
  );
});

test("readCorpus() packs the text files of a folder in the order of their names", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(folder, "b"));
    const files = {
      "c.txt": "last",
      "a.txt": "first",
      "b/x": "middle",
      ".hidden": "no",
      "z.bin": "\0",
      "e": "",
    };
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(folder, name), text);
    }
    assertEquals(new TextDecoder().decode(await readCorpus(folder)), "first\nmiddle\nlast");
    assertEquals(new TextDecoder().decode(await readCorpus(join(folder, "c.txt"))), "last");
    await assertRejects(() => readCorpus(join(folder, "none")), CorpusError, "no such file");
    await assertRejects(() => readCorpus(join(folder, "e")), CorpusError, "holds no text");
    await assertRejects(() => readCorpus(join(folder, "z.bin")), CorpusError, "holds no text");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
