/** Reads a checkpoint's text and JSON files, which may come from strangers. */
import { CheckpointError } from "./error.ts";

/** The longest text to read. Tokenizer files have up to 35 MB. */
const MOST_TEXT_BYTES = 2 ** 27;

/** The beginning of a file whose content Git LFS has not fetched. */
export const LFS_POINTER = "version https://git-lfs.github.com/";

export const LFS_PROBLEM =
  "is a pointer of Git LFS and not the file itself: fetch it with git lfs pull";

/**
 * Reads a text file.
 *
 * @param path a regular file
 * @returns the text, without a byte order mark
 * @throws {CheckpointError} if it is missing, cannot be read, is a pointer of Git LFS, is not
 *   UTF-8, or is longer than 128 MiB
 */
export async function readText(path: string): Promise<string> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (!isFile) throw new Error("it is not a regular file");
    if (size > MOST_TEXT_BYTES) throw new Error(`it has ${size} bytes`);
    const bytes = await Deno.readFile(path);
    let text: string;
    try {
      // Invalid bytes must fail: replacement characters in a vocabulary would be other tokens.
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      throw new Error("it is not UTF-8");
    }
    if (text.startsWith(LFS_POINTER)) throw new CheckpointError(`${path}: ${LFS_PROBLEM}`);
    return text;
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    if (error instanceof Deno.errors.NotFound) {
      throw new CheckpointError(`${path}: ${await absenceOf(path)}`);
    }
    throw new CheckpointError(`${path}: cannot be read: ${reasonOf(error)}`);
  }
}

export async function readJsonObject(path: string): Promise<Record<string, unknown>> {
  return objectOf(parseJson(await readText(path), path), path);
}

export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`${path}: is not JSON: ${reasonOf(error)}`);
  }
}

export function objectOf(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CheckpointError(`${path}: is ${shown(value)}, wanted an object`);
  }
  // The result has no prototype, so a field such as "constructor" exists only if the file has it.
  return Object.assign(Object.create(null), value);
}

/** Formats a value from a file for an error message. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

/**
 * Says why a file was not found. Hugging Face's cache consists of links, whose targets may be gone.
 */
export async function absenceOf(path: string): Promise<string> {
  try {
    return `is a link to ${await Deno.readLink(path)}, where no file is: fetch the model again`;
  } catch {
    return "no such file";
  }
}

/** The system's reason for an error, in one line and without error numbers. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/ \(os error \d+\).*/, "").replaceAll(/\s+/g, " ");
}
