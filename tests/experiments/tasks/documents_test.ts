import { join } from "node:path";
import { readDocuments } from "../../../src/experiments/tasks/documents.ts";
import { CorpusError, readCorpus } from "../../../src/experiments/tasks/text_corpus.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../support/assert/assert.ts";
import { inFolder } from "../../support/folder.ts";
import { joined } from "../../support/model/safetensors.ts";
import { testWith } from "../../support/permitted.ts";
import { testWithPipe } from "../../support/pipe.ts";

const test = testWith("read", "write");

/**
 * Writes `files`, which maps names to contents, into `folder`. Where a content is undefined, makes
 * a folder.
 */
async function write(
  folder: string,
  files: Readonly<Record<string, string | Uint8Array | undefined>>,
): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    if (content === undefined) await Deno.mkdir(path);
    else if (typeof content === "string") await Deno.writeTextFile(path, content);
    else await Deno.writeFile(path, content);
  }
}

function texts(path: string): string[] {
  return [...readDocuments(path)].map(({ text }) => text);
}

function utf16(text: string, bigEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(2 * (text.length + 1));
  const view = new DataView(bytes.buffer);
  [..."\ufeff" + text].forEach((unit, i) => view.setUint16(2 * i, unit.charCodeAt(0), !bigEndian));
  return bytes;
}

test("readDocuments() reads a folder's files in the order of their names, and lists those that it skips", () =>
  inFolder(async (folder) => {
    await write(folder, {
      "b.txt": "second",
      "a": undefined,
      "a/inner.md": "first",
      "c.txt": utf16("third", false),
      "d.txt": utf16("fourth", true),
      "e.txt": "\ufefffifth",
      ".hidden": "no",
      "f.gz": Uint8Array.of(0x1f, 0x8b, 8),
      "g.txt": Uint8Array.of(0x61, 0xff),
      "h.txt": "zero\0byte",
      "i.txt": "",
      "j.zst": Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd),
      "k.zip": Uint8Array.of(0x50, 0x4b, 3, 4),
    });
    const read = readDocuments(folder);
    assertEquals(read.notes, []);
    assertEquals([...read].map(({ name, text }) => `${name.slice(folder.length + 1)}: ${text}`), [
      "a/inner.md: first",
      "b.txt: second",
      "c.txt: third",
      "d.txt: fourth",
      "e.txt: fifth",
    ]);
    const at = (name: string) => join(folder, name);
    assertEquals(read.notes, [
      `7 files passed over: ${at(".hidden")} (hidden), ${at("f.gz")} (packed by gzip), ${
        at("g.txt")
      } (neither UTF-8 nor UTF-16 with a mark), ${at("h.txt")} (no text: it holds zero bytes), ${
        at("i.txt")
      } (empty) and 2 others`,
    ]);
  }));

// Links need special rights on Windows.
const testLinks = Deno.build.os === "windows" ? Deno.test.ignore : test;

testLinks("readDocuments() follows no links, and says so", () =>
  inFolder(async (folder) => {
    await write(folder, { "a.txt": "text" });
    await Deno.symlink(folder, join(folder, "round"));
    const read = readDocuments(folder);
    assertEquals([...read].length, 1);
    assertEquals(read.notes, [`1 file passed over: ${join(folder, "round")} (a link)`]);
  }));

test("readDocuments() reads no more than requested", () =>
  inFolder(async (folder) => {
    await write(folder, { "a.txt": "one", "b.jsonl": '{"text":"two"}\n{"text":"three"}\nno JSON' });
    const found: string[] = [];
    for (const { text } of readDocuments(folder)) {
      found.push(text);
      if (found.length === 3) break;
    }
    assertEquals(found, ["one", "two", "three"]);
  }));

test("readDocuments() names a file that vanishes before it is read", () =>
  inFolder(async (folder) => {
    await write(folder, { "a.txt": "one", "b.txt": "two", "c.jsonl": '{"text":"three"}' });
    for (const name of ["b.txt", "c.jsonl"]) {
      const documents = readDocuments(folder)[Symbol.iterator]();
      documents.next();
      await Deno.remove(join(folder, name));
      const message = `--corpus: ${join(folder, name)}: no such file or folder`;
      assertThrows(() => [...{ [Symbol.iterator]: () => documents }], CorpusError, message);
      await write(folder, { "b.txt": "two" });
    }
  }));

test("readDocuments() refuses a file that is not text", () =>
  inFolder(async (folder) => {
    const path = join(folder, "a");
    const refused = async (content: string | Uint8Array, message: string) => {
      await write(folder, { a: content });
      assertThrows(() => texts(path), CorpusError, `--corpus: ${path}: is ${message}, wanted text`);
    };
    await refused(Uint8Array.of(0x1f, 0x8b, 8), "packed by gzip");
    await refused(Uint8Array.of(0xc3), "neither UTF-8 nor UTF-16 with a mark");
    await refused("", "empty");
    assertThrows(
      () => readDocuments(join(folder, "none")),
      CorpusError,
      "none: no such file or folder",
    );
  }));

test("readDocuments() reads JSON lines of any length, longer than a chunk, too", () =>
  inFolder(async (folder) => {
    const path = join(folder, "a.ndjson");
    const long = "é🙂".repeat(300_000); // 1.8 MB
    const lines = [{ text: long }, { meta: 1, text: "short" }, { text: "" }, { text: "last\n" }];
    const text = lines.map((line) => JSON.stringify(line)).join("\r\n\n");
    for (const end of ["", "\n", "\n\n"]) {
      await write(folder, { "a.ndjson": text + end });
      const read = [...readDocuments(path)];
      assertEquals(read.map(({ text }) => text), [long, "short", "last\n"]);
      assertEquals(read.map(({ name }) => name), [1, 3, 7].map((line) => `a.ndjson:${line}`));
    }
  }));

test("readDocuments() skips documents without text, and says so", () =>
  inFolder(async (folder) => {
    const lines = ['\ufeff{"text":""}', '{"text":" \\n"}', '{"text":"a"}'].join("\n");
    await write(folder, { "a.jsonl": lines, "b.txt": " \n\t", "c.txt": "\ufeffc" });
    const documents = readDocuments(folder);
    assertEquals([...documents].map(({ text }) => text), ["a", "c"]);
    assertEquals(documents.notes, [
      `1 file passed over: ${join(folder, "b.txt")} (only white space)`,
      "2 lines without text passed over: a.jsonl:1, a.jsonl:2",
    ]);
  }));

testWithPipe(
  "readDocuments() and readCorpus() do not wait for a pipe",
  async (_folder, path) => {
    const says = `${path} (a pipe or device: write its text to a file)`;
    const documents = readDocuments(path);
    assertEquals([[...documents], documents.notes], [[], [`1 file passed over: ${says}`]]);
    await assertRejects(() => readCorpus(path), CorpusError, says);
  },
  { file: "a.jsonl" },
);

test("readDocuments() names the malformed line of a JSON lines file", () =>
  inFolder(async (folder) => {
    const path = join(folder, "a.jsonl");
    const good = '{"text":"a"}\n';
    const cases: readonly [string | Uint8Array, string][] = [
      [`${good}{`, "line 2: is not JSON"],
      [`${good}\n[1]\n`, "line 3: is no object"],
      [`${good}null`, "line 2: is no object"],
      ['{"content":"a","id":1}', 'line 1: has no "text", but "content", "id"'],
      ['{"text":5}', 'line 1: "text" is 5, wanted a string'],
      ['{"text":null}', 'line 1: "text" is null, wanted a string'],
      ["{}", 'line 1: has no "text", but nothing'],
      ['{"text":"\\ud83d"}', 'line 1: "text" holds half of a surrogate pair'],
      [Uint8Array.of(0x7b, 0xff), "line 1: is not UTF-8"],
      [
        joined([
          ...[good, good].map((text) => new TextEncoder().encode(text)),
          Uint8Array.of(0xc3, 10),
        ]),
        "line 3: is not UTF-8",
      ],
      [new Uint8Array(2 ** 26 + 2).fill(0x20), "line 1: has more than 67108864 bytes"],
    ];
    for (const [content, message] of cases) {
      await write(folder, { "a.jsonl": content });
      const error = assertThrows(() => texts(path), CorpusError, message);
      assert(error.message.startsWith(`--corpus: ${path}: `), error.message);
      assert(!error.message.includes("\n"), error.message);
    }
  }));
