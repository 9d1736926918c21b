/** Turns Ctrl-C and SIGTERM into an abort signal. */

export interface InterruptOptions {
  /** Whether a second signal ends the process at once, with exit code 130. Default false. */
  readonly secondExits?: boolean;
}

/**
 * Aborts a controller at the first SIGINT or SIGTERM, so a command can save before it ends.
 *
 * @returns a function that stops listening
 */
export function listenForInterrupts(
  interrupt: AbortController,
  { secondExits = false }: InterruptOptions = {},
): () => void {
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM"];
  const listener = (): void => {
    if (secondExits && interrupt.signal.aborted) Deno.exit(130);
    interrupt.abort();
  };
  for (const signal of signals) Deno.addSignalListener(signal, listener);
  return () => {
    for (const signal of signals) Deno.removeSignalListener(signal, listener);
  };
}
