/** Queues a measuring process's reports; `next()` waits for one up to a time limit. */
import type { ChildEvent, ChildReport } from "./protocol.ts";

export class ChildReports {
  readonly #reports: ChildReport[] = [];
  #ended: string | undefined;
  #wake: () => void = () => {};
  #last = Infinity;

  /** Adds a report. */
  add(report: ChildReport): void {
    this.#reports.push(report);
    this.#wake();
  }

  /** Ends the queue because the child has ended. Only the first call's reason counts. */
  end(reason: string): void {
    this.#ended ??= reason;
    this.#wake();
  }

  /** See {@linkcode ChildConnection.hurry}. */
  hurry(patience: number): void {
    this.#last = performance.now() + patience;
    this.#wake();
  }

  /** See {@linkcode ChildConnection.next}. */
  async next(patience: number): Promise<ChildEvent> {
    const deadline = performance.now() + patience;
    while (true) {
      const report = this.#reports.shift();
      if (report !== undefined) return report;
      if (this.#ended !== undefined) return { type: "ended", reason: this.#ended };
      const left = Math.min(deadline, this.#last) - performance.now();
      if (left <= 0) return { type: "silent" };
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, left);
      await promise;
      clearTimeout(timer);
    }
  }
}
