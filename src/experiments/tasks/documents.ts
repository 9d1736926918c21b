/**
 * Documents from the user's own files: each text file is a document, and so is each line of a JSON
 * lines file. Documents are read on demand.
 */
import { basename } from "node:path";
import { plural } from "../../plural.ts";
import { CorpusError, unreadable } from "./text_corpus.ts";
import { describePassed, findFiles, listed } from "./text_files.ts";
import type { TextDocument } from "./token_texts.ts";

/** Documents, in the order of names. */
export interface Documents extends Iterable<TextDocument> {
  /** What was skipped so far: at most one note about files and one about lines of JSON. */
  readonly notes: readonly string[];
}

/** The most bytes to read of a text file: a model needs only a small part. */
const MOST_TEXT_BYTES = 2 ** 26;
/** Bytes to read at a time. */
const CHUNK_BYTES = 2 ** 20;
const LINE_FEED = 10;
/** The most bytes in a line of JSON; a longer line is an error. */
const MOST_LINE_BYTES = 2 ** 26;

/**
 * Finds documents in a file, or in all files of a folder and its subfolders. In files whose names
 * end in `.jsonl` or `.ndjson`, each line is an object whose field `text` is a document. All other
 * files are text in UTF-8, or in UTF-16 with a byte order mark.
 *
 * @returns the documents, which are read when requested
 * @throws {CorpusError} if nothing is there. Later, while documents are read: if a file cannot be
 *   read, a line of JSON is wrong or too long, or the path names a single file that is not text
 */
export function readDocuments(path: string): Documents {
  const isFolder = statOf(path).isDirectory;
  const passed: string[] = [];
  const empty: string[] = [];
  return {
    get notes() {
      return [
        ...passed.length === 0 ? [] : [describePassed(passed)],
        ...empty.length === 0
          ? []
          : [`${plural(empty.length, "line")} without text passed over: ${listed(empty)}`],
      ];
    },
    *[Symbol.iterator]() {
      let current = path;
      try {
        for (const file of findFiles(path)) {
          current = file.path;
          if ("reason" in file) passed.push(`${file.path} (${file.reason})`);
          else if (/\.(jsonl|ndjson)$/i.test(file.path)) {
            yield* linesOf(file.path, (name) => empty.push(name));
          } else {
            const read = readText(file.path);
            if ("text" in read) {
              if (read.cut) {
                passed.push(`${file.path} (but for its first ${MOST_TEXT_BYTES} bytes)`);
              }
              yield { name: file.path, text: read.text };
            } else if (isFolder) passed.push(`${file.path} (${read.reason})`);
            else throw new CorpusError(`--corpus: ${path}: is ${read.reason}, wanted text`);
          }
        }
      } catch (error) {
        throw error instanceof CorpusError ? error : unreadable(current, error);
      }
    },
  };
}

function statOf(path: string): Deno.FileInfo {
  try {
    return Deno.statSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function readText(
  path: string,
): { readonly text: string; readonly cut: boolean } | { readonly reason: string } {
  using file = Deno.openSync(path, { read: true });
  const { size } = file.statSync();
  if (size === 0) return { reason: "empty" };
  const bytes = new Uint8Array(Math.min(size, MOST_TEXT_BYTES));
  let length = 0;
  for (;;) {
    const count = file.readSync(bytes.subarray(length));
    if (count === null || count === 0) break;
    length += count;
  }
  const cut = size > length;
  const begins = (...start: number[]) => start.every((byte, i) => bytes[i] === byte);
  if (begins(0x1f, 0x8b)) return { reason: "packed by gzip" };
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return { reason: "packed by zstd" };
  if (begins(0x50, 0x4b, 0x03, 0x04)) return { reason: "a ZIP archive" };
  const encoding = begins(0xff, 0xfe) ? "utf-16le" : begins(0xfe, 0xff) ? "utf-16be" : "utf-8";
  try {
    // If a file is cut, its last character may be incomplete. With `stream`, that is no error.
    const decoder = new TextDecoder(encoding, { fatal: true });
    const text = decoder.decode(bytes.subarray(0, length), { stream: cut });
    if (text.includes("\0")) return { reason: "no text: it holds zero bytes" };
    return text.trim() === "" ? { reason: "only white space" } : { text, cut };
  } catch {
    return { reason: "neither UTF-8 nor UTF-16 with a mark" };
  }
}

/** Yields the documents of a JSON lines file. Passes the name of each blank document to `skip`. */
function* linesOf(path: string, skip: (name: string) => void): Generator<TextDocument> {
  using file = Deno.openSync(path, { read: true });
  let line = 0;
  const fail = (problem: string): never => {
    throw new CorpusError(`--corpus: ${path}: line ${line}: ${problem}`);
  };
  for (const bytes of byteLines(file)) {
    line++;
    if (bytes === undefined) fail(`has more than ${MOST_LINE_BYTES} bytes`);
    let content = "";
    try {
      content = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      fail("is not UTF-8");
    }
    if (content.trim() === "") continue;
    const name = `${basename(path)}:${line}`;
    const text = textOf(content, fail);
    if (text.trim() === "") skip(name);
    else yield { name, text };
  }
}

/**
 * Yields the bytes of each line of a file. At a line of more than {@linkcode MOST_LINE_BYTES} it
 * yields undefined and ends.
 */
function* byteLines(file: Deno.FsFile): Generator<Uint8Array<ArrayBuffer> | undefined> {
  let pending: Uint8Array[] = [];
  let length = 0;
  const take = (): Uint8Array<ArrayBuffer> => {
    const line = new Uint8Array(length);
    let offset = 0;
    for (const part of pending) {
      line.set(part, offset);
      offset += part.length;
    }
    [pending, length] = [[], 0];
    return line;
  };
  for (;;) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    const count = file.readSync(chunk);
    if (count === null) break;
    for (let start = 0; start < count;) {
      const feed = chunk.subarray(0, count).indexOf(LINE_FEED, start);
      const end = feed < 0 ? count : feed;
      pending.push(chunk.subarray(start, end));
      length += end - start;
      if (length > MOST_LINE_BYTES) return yield undefined;
      if (feed >= 0) yield take();
      start = end + 1;
    }
  }
  if (length > 0) yield take();
}

function textOf(line: string, fail: (problem: string) => never): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return fail("is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return fail("is no object");
  }
  const { text } = value as Record<string, unknown>;
  if (typeof text === "string") {
    return text.isWellFormed() ? text : fail('"text" holds half of a surrogate pair');
  }
  if (text !== undefined) return fail(`"text" is ${shortened(text)}, wanted a string`);
  const names = Object.keys(value).slice(0, 8).map((name) => JSON.stringify(name.slice(0, 50)));
  return fail(`has no "text", but ${names.join(", ") || "nothing"}`);
}

function shortened(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 50 ? `${text.slice(0, 50)}…` : text;
}
