/** The error of a file that cannot be read or written, and the limit on a stranger's file. */
import { escapeTerminal, truncate } from "../escape.ts";

/** The most bytes to read of a stranger's file: enough for about a million samples. */
export const MAXIMUM_FILE_BYTES = 16 * 2 ** 20;

/** The message is one line, safe to print. */
export class FileError extends Error {
  override readonly name = "FileError";
}

export function fileError(path: string, problem: string): FileError {
  return new FileError(escapeTerminal(`${truncate(path, 300)}: ${problem}`));
}
