/** Sends questions to a Worker and receives the answers. */
import { startWorker } from "../trusted.ts";
import type { ToWorker } from "../worker_scope.ts";

export interface Answer {
  readonly call: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** A Worker that answers questions one after the other. The first question starts the Worker. */
export class WorkerCalls {
  readonly #role: ToWorker["role"];
  #worker: Worker | undefined;
  #calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #count = 0;

  /** Does not start the Worker yet. */
  constructor(role: ToWorker["role"]) {
    this.#role = role;
  }

  /**
   * Sends a question and awaits the answer.
   *
   * @param transfer the objects in the question that are moved to the Worker instead of copied
   * @throws {Error} with the Worker's message, or with the reason why the Worker ended
   */
  ask<Value>(question: object, transfer: Transferable[] = []): Promise<Value> {
    const worker = this.#worker ??= this.#start();
    const call = this.#count++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#calls.set(call, { resolve, reject });
    worker.postMessage({ call, question }, transfer);
    return promise as Promise<Value>;
  }

  /** Ends the Worker, even while it computes. The next question starts a new one. */
  end(reason: string): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#calls.values()) reject(new Error(reason));
    this.#calls.clear();
  }

  #start(): Worker {
    const worker = startWorker(this.#role);
    worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
      const call = this.#calls.get(data.call);
      this.#calls.delete(data.call);
      if (data.error === undefined) call?.resolve(data.value);
      else call?.reject(new Error(data.error));
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.end(event.message || "the Worker failed");
    });
    return worker;
  }
}
