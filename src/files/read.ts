/** Reads files from strangers, up to a size limit. */
import { FileError, fileError, MAXIMUM_FILE_BYTES } from "./file_error.ts";
import { systemReason } from "./system_reason.ts";

/**
 * Reads a text file.
 *
 * @param path a regular file or a pipe
 * @throws {FileError} if it cannot be read, is larger than {@linkcode MAXIMUM_FILE_BYTES}, or is
 *   not UTF-8
 */
export async function readText(path: string): Promise<string> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    if ((await Deno.stat(path)).isDirectory) throw fileError(path, "is a folder, wanted a file");
    using file = await Deno.open(path, { read: true });
    bytes = await readAtMost(file, MAXIMUM_FILE_BYTES + 1);
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw fileError(path, `cannot be read: ${systemReason(error)}`);
  }
  if (bytes.length > MAXIMUM_FILE_BYTES) {
    throw fileError(path, `is larger than ${MAXIMUM_FILE_BYTES / 2 ** 20} MiB`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fileError(path, "is not UTF-8 text");
  }
}

/**
 * Reads a file to its end, but at most `limit` bytes. It does not rely on the file's size: a file
 * may grow, and a pipe has no size.
 */
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
