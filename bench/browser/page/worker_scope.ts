/**
 * Declares what the page's Workers use of their global object, because the page's type check knows
 * only windows.
 */

/** The first message to a Worker. */
export interface ToWorker {
  readonly role: "measure" | "compare" | "theory";
  /** Whether the Worker replaces an earlier one, whose GPU may have been lost. */
  readonly again?: boolean;
}

/** A Worker's global object, in part. */
interface WorkerScope {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent<unknown>) => void): void;
}

/** The Worker that this code runs in. */
export const workerScope = globalThis as unknown as WorkerScope;
