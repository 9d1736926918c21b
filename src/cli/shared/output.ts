/** Where a command writes. */

/** Where a command writes; tests replace it. */
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
    err: (text) => writeAll(Deno.stderr, text),
    color: Deno.stdout.isTerminal() && !Deno.noColor,
  };
}

/**
 * Writes a whole text at once. A reader that has left, such as `head`, is not a failure: the rest
 * of the text is dropped, and the command ends with the exit code of its work.
 */
export function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let offset = 0; offset < bytes.length;) offset += stream.writeSync(bytes.subarray(offset));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
