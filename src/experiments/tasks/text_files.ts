/** Finds the text files in the user's folders, and says why it skips the others. */
import { join } from "node:path";
import { plural } from "../../plural.ts";

/** A file to read; or a file or folder to skip, with the reason. */
export type FoundFile =
  | { readonly path: string }
  | { readonly path: string; readonly reason: string };

/**
 * Finds the files in a folder and its subfolders, in the order of their names by code units, which
 * is the same in every locale.
 *
 * @param path a folder, or a single file
 * @throws {Deno.errors.NotFound} and other system errors, for paths that do not exist or cannot be
 *   read
 */
export function* findFiles(path: string): Generator<FoundFile> {
  const info = Deno.statSync(path);
  if (info.isFile) return yield { path };
  // Do not open a pipe: that would wait for its other end.
  if (!info.isDirectory) {
    return yield { path, reason: "a pipe or device: write its text to a file" };
  }
  const entries = [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory, isFile, isSymlink } of entries) {
    const inner = join(path, name);
    if (name.startsWith(".")) yield { path: inner, reason: "hidden" };
    // Do not follow links: they may lead out of the folder, or in circles.
    else if (isSymlink) yield { path: inner, reason: "a link" };
    // The name's bytes are not UTF-8. Decoding lost them, so `name` cannot open the file.
    else if (name.includes("\ufffd")) yield { path: inner, reason: "its name is not UTF-8" };
    else if (isDirectory) yield* findFiles(inner);
    else if (isFile) yield { path: inner };
    else yield { path: inner, reason: "no file" };
  }
}

/** First bytes of other formats. */
const BEGINNINGS: readonly (readonly [readonly number[], string])[] = [
  [[0x1f, 0x8b], "packed by gzip"],
  [[0x28, 0xb5, 0x2f, 0xfd], "packed by zstd"],
  [[0x42, 0x5a, 0x68], "packed by bzip2"],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "packed by xz"],
  [[0x50, 0x4b, 0x03, 0x04], "a ZIP archive"],
  [[0x25, 0x50, 0x44, 0x46, 0x2d], "a PDF"],
  [[0x7f, 0x45, 0x4c, 0x46], "a program"],
  [[0x89, 0x50, 0x4e, 0x47], "a picture"],
  [[0xff, 0xd8, 0xff], "a picture"],
];

/**
 * Says why a file is not byte text; undefined for text in UTF-8 or a single-byte encoding.
 *
 * @param bytes the file's first bytes or all of them
 */
export function whyNoText(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return "empty";
  const found = BEGINNINGS.find(([start]) => start.every((byte, i) => bytes[i] === byte));
  if (found !== undefined) return found[1];
  const mark = bytes[0]! << 8 | bytes[1]!;
  if (mark === 0xfffe || mark === 0xfeff) return "in UTF-16, wanted UTF-8: iconv converts it";
  const zero = bytes.indexOf(0);
  return zero < 0 ? undefined : `binary: byte ${zero} is a zero byte`;
}

export function describePassed(passed: readonly string[]): string {
  return `${plural(passed.length, "file")} passed over: ${listed(passed)}`;
}

/** The first five names, and how many others there are. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} others` : shown;
}
