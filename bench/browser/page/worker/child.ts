/** A measuring Worker in the form that `MeasuringSession` expects. */
import type {
  ChildConnection,
  ChildEvent,
  ChildReport,
  ChildRequest,
} from "../../../../src/measure/child/protocol.ts";
import { ChildReports } from "../../../../src/measure/child/reports.ts";
import { startWorker } from "../trusted.ts";

/** A running measuring Worker. Ending it also ends its work on the GPU. */
export class WorkerChild implements ChildConnection {
  readonly #worker: Worker;
  readonly #reports = new ChildReports();
  readonly #ended = Promise.withResolvers<void>();

  /**
   * Starts the Worker.
   *
   * @param options.again whether the Worker replaces an earlier one, whose GPU may have been lost
   */
  constructor(options: { readonly again: boolean }) {
    this.#worker = startWorker("measure", options);
    this.#worker.addEventListener("message", ({ data }: MessageEvent<string | undefined>) => {
      if (data === undefined) this.#end("the Worker ended");
      else this.#reports.add(JSON.parse(data) as ChildReport);
    });
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#end(`the Worker failed${event.message ? `, saying: ${event.message}` : ""}`);
    });
  }

  /** See {@linkcode ChildConnection}. */
  send(request: ChildRequest): void {
    this.#worker.postMessage(request);
  }

  /** See {@linkcode ChildConnection}. */
  hurry(patience: number): void {
    this.#reports.hurry(patience);
  }

  /** See {@linkcode ChildConnection}. */
  next(patience: number): Promise<ChildEvent> {
    return this.#reports.next(patience);
  }

  /** See {@linkcode ChildConnection}. */
  kill(): Promise<void> {
    this.#worker.terminate();
    this.#end("the Worker was ended");
    return Promise.resolve();
  }

  /** See {@linkcode ChildConnection}. */
  async close(patience: number): Promise<void> {
    this.send({ type: "stop" });
    const timer = setTimeout(this.#ended.resolve, patience);
    await this.#ended.promise;
    clearTimeout(timer);
    await this.kill();
  }

  #end(reason: string): void {
    this.#reports.end(reason);
    this.#ended.resolve();
  }
}
