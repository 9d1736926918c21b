/** Ends `deno task sinks` at Ctrl-C or SIGTERM. */
import { listenForInterrupts } from "../shared/interrupts.ts";

/**
 * From now on, an interrupt ends the process with a message and exit code 130, until the returned
 * function is called.
 */
export function endAtInterrupt(err: (text: string) => void): () => void {
  const interrupt = new AbortController();
  interrupt.signal.addEventListener("abort", () => {
    // On a terminal, the current line holds the progress bar: begin another.
    const line = Deno.stderr.isTerminal() ? "\n" : "";
    err(
      `${line}sinks: interrupted; files are written only after the measurement, so none are new\n`,
    );
    Deno.exit(130);
  });
  return listenForInterrupts(interrupt);
}
