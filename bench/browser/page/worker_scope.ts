/** A Worker's own global object, as far as it is used; the page's type check knows only windows. */

/** The first message to a Worker. */
export interface ToWorker {
  readonly role: "measure" | "compare" | "theory";
  /** Whether another one was there before, which lost its GPU. */
  readonly again?: boolean;
}

/** The part of a Worker's global object that is used. */
interface WorkerScope {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent<unknown>) => void): void;
}

/** The Worker that this code runs in. */
export const workerScope = globalThis as unknown as WorkerScope;
