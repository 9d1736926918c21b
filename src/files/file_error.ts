/** The error of a file that cannot be read or written. */
import { escapeTerminal, truncate } from "../escape.ts";

/** The most bytes to read of a stranger's file: enough for about a million samples. */
export const MAXIMUM_FILE_BYTES = 16 * 2 ** 20;

/** A file that cannot be read or written; the message is one line, safe to print. */
export class FileError extends Error {
  override readonly name = "FileError";
}

/** Creates an error whose message begins with the file's name. */
export function fileError(path: string, problem: string): FileError {
  return new FileError(escapeTerminal(`${truncate(path, 300)}: ${problem}`));
}
