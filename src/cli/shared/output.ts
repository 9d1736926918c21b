/** Writes a command's output. */

/** The output of a command; tests replace it. */
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
 * Writes a whole text at once. If the reader has left, as `head` does, the rest is dropped without
 * an error, and the command keeps its exit code.
 */
export function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let offset = 0; offset < bytes.length;) offset += stream.writeSync(bytes.subarray(offset));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
