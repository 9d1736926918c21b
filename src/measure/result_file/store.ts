/**
 * Result files on disk, and the one way in which every file of this project is written: to a
 * temporary name beside it, flushed, then renamed, so that nobody ever sees half a file.
 */
import { basename, dirname, join } from "node:path";
import { escapeTerminal, truncate } from "../../escape.ts";
import { MAXIMUM_RESULT_BYTES, type ResultFile, ResultFileError } from "../result_file.ts";
import { formatResultFile, parseResultFile } from "./parse.ts";

/** What the system said, as a reason that a person can act on. */
export function systemReason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file or folder";
  if (error instanceof Deno.errors.NotCapable) {
    return `Deno was not given the permission (${error.message.replaceAll(/\s+/g, " ")})`;
  }
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "is a folder, wanted a file";
  if (error instanceof Deno.errors.NotADirectory) return "its folder is not a folder";
  return error instanceof Error ? error.message.replace(/ \(os error \d+\).*/, "") : String(error);
}

function failure(path: string, problem: string): ResultFileError {
  return new ResultFileError(escapeTerminal(`${truncate(path, 300)}: ${problem}`));
}

/**
 * Reads a result file.
 *
 * @param path a regular file or a pipe
 * @returns its content, validated
 * @throws {ResultFileError} if it cannot be read, is larger than 16 MiB, or is not a valid result file
 */
export async function readResultFile(path: string): Promise<ResultFile> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    if ((await Deno.stat(path)).isDirectory) throw failure(path, "is a folder, wanted a file");
    using file = await Deno.open(path, { read: true });
    bytes = await readAtMost(file, MAXIMUM_RESULT_BYTES + 1);
  } catch (error) {
    if (error instanceof ResultFileError) throw error;
    throw failure(path, `cannot be read: ${systemReason(error)}`);
  }
  if (bytes.length > MAXIMUM_RESULT_BYTES) {
    throw failure(path, `is larger than ${MAXIMUM_RESULT_BYTES / 2 ** 20} MiB`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw failure(path, "is not UTF-8 text");
  }
  return parseResultFile(text, path);
}

/** Reads to the end or to the limit: a file may grow, and a device has no size. */
async function readAtMost(file: Deno.FsFile, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  while (total < limit) {
    const chunk = new Uint8Array(Math.min(256 * 1024, limit - total));
    const count = await file.read(chunk);
    if (count === null) break;
    chunks.push(chunk.subarray(0, count));
    total += count;
  }
  const bytes = new Uint8Array(total);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/**
 * Writes a result file, replacing an older one of that name at once and as a whole. If anything
 * fails, the older one stays and nothing else is left behind.
 *
 * @param path where to; its folder exists
 * @param file the content
 * @throws {ResultFileError} if the content breaks the schema, or the file cannot be written
 */
export async function writeResultFile(path: string, file: ResultFile): Promise<void> {
  await writeTextFile(path, formatResultFile(file, path));
}

/**
 * Writes text to a file under a temporary name, flushes it to the disk, and renames it.
 *
 * @param path where to; its folder exists. A symbolic link is followed
 * @param text the content
 * @throws {ResultFileError} if it cannot be written; then the file is as it was before
 */
export async function writeTextFile(path: string, text: string): Promise<void> {
  const target = await writableTarget(path);
  const temporary = join(
    dirname(target),
    `.${basename(target).slice(0, 100)}.${crypto.randomUUID().slice(0, 8)}.tmp`,
  );
  let created = false;
  try {
    {
      using output = await Deno.open(temporary, { write: true, createNew: true });
      created = true;
      const bytes = new TextEncoder().encode(text);
      for (let offset = 0; offset < bytes.length;) {
        offset += await output.write(bytes.subarray(offset));
      }
      await output.sync();
    }
    await Deno.rename(temporary, target);
  } catch (error) {
    if (created) await Deno.remove(temporary).catch(() => {}); // The first error is the one to tell.
    throw failure(path, `cannot be written: ${systemReason(error)}`);
  }
}

/**
 * Makes sure, before long work, that a file can be written in the end. Makes its folder, and writes nothing else.
 *
 * @param path where it would go
 * @throws {ResultFileError} if it is a folder or a device, or its folder cannot be made or written to
 */
export async function checkWritable(path: string): Promise<void> {
  const target = await writableTarget(path);
  try {
    await Deno.mkdir(dirname(target), { recursive: true });
  } catch (error) {
    const reason = error instanceof Deno.errors.AlreadyExists ||
        error instanceof Deno.errors.NotADirectory
      ? "its folder is not a folder"
      : systemReason(error);
    throw failure(path, `cannot be written: ${reason}`);
  }
  // Only trying tells: modes say little on network folders, containers, and to the superuser.
  const probe = join(dirname(target), `.${crypto.randomUUID()}.tmp`);
  try {
    (await Deno.open(probe, { write: true, createNew: true })).close();
    await Deno.remove(probe);
  } catch (error) {
    throw failure(path, `cannot be written: ${systemReason(error)}`);
  }
}

/** Where the bytes go in the end: a rename would replace a link, or a device such as /dev/null. */
async function writableTarget(path: string): Promise<string> {
  if (path === "") throw failure('""', "cannot be written: the name is empty");
  try {
    const target = await Deno.realPath(path);
    const { isFile, isDirectory } = await Deno.stat(target);
    if (isDirectory) throw failure(path, "cannot be written: is a folder, wanted a file");
    if (!isFile) throw failure(path, "cannot be written: is not a regular file");
    return target;
  } catch (error) {
    if (error instanceof ResultFileError) throw error;
    // A file that is not there yet is the common case; a missing folder shows when it is created.
    if (error instanceof Deno.errors.NotFound && !/[/\\]$/.test(path)) return path;
    throw failure(path, `cannot be written: ${systemReason(error)}`);
  }
}
