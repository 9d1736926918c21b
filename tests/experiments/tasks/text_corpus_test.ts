import { join } from "node:path";
import { CorpusError, readCorpus, TextCorpus } from "../../../src/experiments/tasks/text_corpus.ts";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "../../support/assert/assert.ts";
import { testOnDisk } from "../../support/folder.ts";

const test = testOnDisk();

// Bytes of which every pair that begins at an even index is unique. So a context's first two bytes
// tell where in the text the context begins.
function marked(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i % 2 === 0 ? i / 2 % 251 : 1 + Math.floor(i / 502));
}

Deno.test("TextCorpus gives every context once before it repeats any, and keeps validation apart", () => {
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

Deno.test("TextCorpus puts a first token in front of every context, and loses no byte of the text", () => {
  const bytes = marked(10 * 100);
  const corpus = new TextCorpus({ bytes, context: 10, seed: 4, firstToken: 7 });
  assertEquals(corpus.contexts, { training: 95, validation: 5 });
  const seen: number[] = [];
  const take = (batch: { inputs: Uint32Array; targets: Uint32Array }) => {
    const { inputs, targets } = batch;
    assertEquals(inputs[0], 7);
    assertEquals([...inputs.subarray(1)], [...targets.subarray(0, 9)]);
    seen.push(...targets);
  };
  for (let step = 0; step < 95; step++) take(corpus.batch(step, { batch: 1 }));
  for (let step = 0; step < 5; step++) take(corpus.batch(step, { batch: 1, split: "validation" }));
  assertEquals(seen.toSorted((a, b) => a - b), [...bytes].toSorted((a, b) => a - b));
  for (const firstToken of [-1, 256, 0.5, NaN]) {
    assertThrows(
      () => new TextCorpus({ bytes, context: 10, seed: 4, firstToken }),
      RangeError,
      "wanted an integer from 0 to 255",
    );
  }
});

Deno.test("TextCorpus.batch() depends on seed and step alone, also across epochs", () => {
  const make = (seed: number) => new TextCorpus({ bytes: marked(500), context: 8, seed });
  const corpus = make(1);
  for (const step of [0, 40, 3, 40]) {
    assertEquals(corpus.batch(step, { batch: 4 }), make(1).batch(step, { batch: 4 }));
  }
  assertNotEquals(corpus.batch(3, { batch: 4 }).inputs, make(2).batch(3, { batch: 4 }).inputs);
});

Deno.test("TextCorpus refuses text that does not fill two contexts", () => {
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

test("readCorpus() joins the text files of a folder in the order of their names", async (folder) => {
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
  await assertRejects(() => readCorpus(join(folder, "e")), CorpusError, "e is empty");
  await assertRejects(
    () => readCorpus(join(folder, "z.bin")),
    CorpusError,
    "byte 0 is a zero byte",
  );
});

/**
 * Files without readable text: each file's name, its bytes, and the reason that the error gives.
 */
const NO_TEXT: readonly (readonly [string, readonly number[], string])[] = [
  ["a.gz", [0x1f, 0x8b, 8, 1], "packed by gzip"],
  ["b.zst", [0x28, 0xb5, 0x2f, 0xfd], "packed by zstd"],
  ["c.elf", [0x7f, 0x45, 0x4c, 0x46], "a program"],
  ["d-little.txt", [0xff, 0xfe, 0x41, 0], "in UTF-16, wanted UTF-8: iconv converts it"],
  ["e-big.txt", [0xfe, 0xff, 0, 0x41], "in UTF-16, wanted UTF-8: iconv converts it"],
  ["f-stray.txt", [0x41, 0x42, 0], "binary: byte 2 is a zero byte"],
  ["g-empty.txt", [], "empty"],
];

test("readCorpus() says how many files it skips, which, and why", async (folder) => {
  const lines: string[] = [];
  const note = (line: string) => lines.push(line);
  for (const [name, bytes, reason] of NO_TEXT) {
    const path = join(folder, name);
    await Deno.writeFile(path, Uint8Array.from(bytes));
    // A file that is the whole corpus is refused, not skipped.
    await assertRejects(() => readCorpus(path, note), CorpusError, `${path} is ${reason}`);
  }
  await assertRejects(
    () => readCorpus(folder, note),
    CorpusError,
    `${folder} holds no text; 7 files passed over: ${join(folder, "a.gz")} (packed by gzip), `,
  );
  assertEquals(lines, []);
  await Deno.writeTextFile(join(folder, "text"), "text");
  assertEquals(new TextDecoder().decode(await readCorpus(folder, note)), "text");
  const named = NO_TEXT.slice(0, 5).map(([name, , reason]) => `${join(folder, name)} (${reason})`);
  assertEquals(lines, [`--corpus: 7 files passed over: ${named.join(", ")} and 2 others`]);
});

const linux = Deno.build.os === "linux";
const testNames: typeof test = linux
  ? testOnDisk("run")
  // Only Linux allows file names that are not UTF-8.
  : (name) => Deno.test.ignore(`${name} [needs Linux]`, () => {});

testNames(
  "readCorpus() skips links and names that are not UTF-8, but reads the folder",
  async (folder) => {
    const script =
      'printf x > "$0/$(printf "caf\\351.txt")" && ln -s / "$0/round" && printf y > "$0/text"';
    const { success } = await new Deno.Command("sh", { args: ["-c", script, folder] }).output();
    assert(success);
    const lines: string[] = [];
    assertEquals((await readCorpus(folder, (line) => lines.push(line))).length, 1);
    assertEquals(lines, [
      `--corpus: 2 files passed over: ${join(folder, "caf\ufffd.txt")} (its name is not UTF-8), ` +
      `${join(folder, "round")} (a link)`,
    ]);
  },
);
