/** Writes a command's output. */
import { escapeTerminal } from "../../escape.ts";
import { systemReason } from "../../files/system_reason.ts";

/** The error if standard output takes no more text, for example as a file on a full disk. */
export class OutputError extends Error {
  override readonly name = "OutputError";
}

export interface CommandOutput {
  /** Writes to standard output. */
  out(text: string): void;
  /** Writes to standard error. */
  err(text: string): void;
  /** Whether standard output shows colors. */
  readonly color: boolean;
}

/** This process's standard output and standard error. */
export function standardOutput(): CommandOutput {
  return {
    out: (text) => writeAll(Deno.stdout, text),
    err: (text) => writeOrDrop(Deno.stderr, text),
    color: Deno.stdout.isTerminal() && !Deno.noColor,
  };
}

/**
 * Writes a whole text at once. If the reader has left, as `head` does, the rest is dropped without
 * an error, so the command keeps its exit code.
 *
 * @throws {OutputError} if the text cannot be written for another reason
 */
export function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let offset = 0; offset < bytes.length;) offset += stream.writeSync(bytes.subarray(offset));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return;
    throw new OutputError(`output cannot be written: ${systemReason(error)}`, { cause: error });
  }
}

/**
 * Writes to standard error. Drops what cannot be written, because no stream is left to report that.
 */
export function writeOrDrop(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  try {
    writeAll(stream, text);
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
  }
}

/**
 * Tells the user what a command wrote, on standard error, because standard output can be data for
 * another program.
 *
 * @param output the command's output
 * @param command the command's name after `deno task`
 * @param paths the files and folders, each for a line of its own; undefined ones are left out
 */
export function tellWritten(
  output: CommandOutput,
  command: string,
  paths: readonly (string | undefined)[],
): void {
  for (const path of paths) {
    if (path !== undefined) output.err(`${command}: written to ${escapeTerminal(path)}\n`);
  }
}
