/** Turns Ctrl-C and SIGTERM into an abort signal. */

/** How a command takes interrupts. */
export interface InterruptOptions {
  /** Whether a second Ctrl-C ends the process at once, with exit code 130. Default false. */
  readonly secondExits?: boolean;
}

/**
 * Passes the first SIGINT or SIGTERM on to a controller, so that a command ends in good order.
 *
 * @param interrupt aborted then
 * @param options what a second one does: nothing, unless it says otherwise
 * @returns stops listening
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
