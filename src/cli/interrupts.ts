/** Ctrl-C, and the system's wish that a command ends. */

/**
 * Passes the first SIGINT or SIGTERM on to a controller, so that a command ends in good order.
 *
 * @param interrupt aborted then
 * @returns stops listening
 */
export function listenForInterrupts(interrupt: AbortController): () => void {
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM"];
  const listener = (): void => interrupt.abort();
  for (const signal of signals) Deno.addSignalListener(signal, listener);
  return () => {
    for (const signal of signals) Deno.removeSignalListener(signal, listener);
  };
}
