/** How much attention the sink logits of one layer take. */
import type { SinkLogitMeasurement } from "../measurement/head.ts";
import type { SinkSettings } from "../measurement/settings.ts";
import type { Numbers } from "../numbers.ts";
import { idleQueries } from "./head.ts";

export class SinkLogitMeter {
  readonly #logits: readonly number[];
  readonly #context: number;
  readonly #settings: SinkSettings;
  /** Sums over sequences: [Hq] */
  readonly #score: Float64Array;
  readonly #idle: Float64Array;
  #sequences = 0;
  #idleQueries = 0;

  constructor(
    logits: readonly number[],
    { context, settings }: { readonly context: number; readonly settings: SinkSettings },
  ) {
    this.#logits = logits;
    this.#context = context;
    this.#settings = settings;
    this.#score = new Float64Array(logits.length);
    this.#idle = new Float64Array(logits.length);
  }

  /**
   * @param logSumExp [B, Hq, T]
   * @param options batch: B; idle, [B, T]: 1 for a query without a reason to attend to any
   *   particular token
   */
  add(
    logSumExp: Numbers,
    { batch, idle }: { readonly batch: number; readonly idle: Uint8Array | undefined },
  ): void {
    const context = this.#context;
    const { position, window } = this.#settings;
    const end = Math.min(position + window, context);
    for (let b = 0; b < batch; b++) {
      const queries = idle === undefined
        ? []
        : idleQueries(idle.subarray(b * context, (b + 1) * context), this.#settings);
      this.#logits.forEach((logit, head) => {
        const start = (b * this.#logits.length + head) * context;
        const share = (t: number) => Math.exp(logit - logSumExp[start + t]!);
        for (let t = position; t < end; t++) this.#score[head]! += share(t) / (end - position);
        for (const t of queries) this.#idle[head]! += share(t);
      });
      this.#idleQueries += queries.length;
    }
    this.#sequences += batch;
  }

  /** One measurement per query head, in order. */
  result(): SinkLogitMeasurement[] {
    return this.#logits.map((logit, head) => ({
      logit,
      score: this.#score[head]! / this.#sequences,
      idleScore: this.#idleQueries === 0 ? null : this.#idle[head]! / this.#idleQueries,
    }));
  }
}
