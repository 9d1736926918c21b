/** How far the gates of one layer's attention are open. */
import type { GateMeasurement } from "../measurement/head.ts";
import type { SinkSettings } from "../measurement/settings.ts";
import { compareEarly, type Numbers } from "../numbers.ts";
import { idleQueries } from "./head.ts";
import { mean } from "../../statistics/mean.ts";

export class GateMeter {
  readonly #heads: number;
  readonly #context: number;
  readonly #settings: SinkSettings;
  /** The mean opening of a head's gates, summed over sequences: [Hq, T] */
  readonly #openings: Float64Array;
  readonly #idle: Float64Array;
  #sequences = 0;
  #idleQueries = 0;

  constructor(
    { queryHeads, context }: { readonly queryHeads: number; readonly context: number },
    settings: SinkSettings,
  ) {
    this.#heads = queryHeads;
    this.#context = context;
    this.#settings = settings;
    this.#openings = new Float64Array(queryHeads * context);
    this.#idle = new Float64Array(queryHeads);
  }

  /**
   * @param opening one gate per head, [B, T, Hq], or per element of a head's output, [B, T, Hq D]
   * @param options batch: B; idle, [B, T]: 1 for a query without a reason to attend to any
   *   particular token
   */
  add(
    opening: Numbers,
    { batch, idle }: { readonly batch: number; readonly idle: Uint8Array | undefined },
  ): void {
    const heads = this.#heads, context = this.#context;
    const gates = opening.length / (batch * context * heads);
    const mean = (b: number, t: number, head: number): number => {
      const start = ((b * context + t) * heads + head) * gates;
      let sum = 0;
      for (let i = start; i < start + gates; i++) sum += opening[i]!;
      return sum / gates;
    };
    for (let b = 0; b < batch; b++) {
      const queries = idle === undefined
        ? []
        : idleQueries(idle.subarray(b * context, (b + 1) * context), this.#settings);
      for (let head = 0; head < heads; head++) {
        for (let t = 0; t < context; t++) this.#openings[head * context + t]! += mean(b, t, head);
        for (const t of queries) this.#idle[head]! += mean(b, t, head);
      }
      this.#idleQueries += queries.length;
    }
    this.#sequences += batch;
  }

  /** One measurement per query head, in order. */
  result(): GateMeasurement[] {
    return Array.from({ length: this.#heads }, (_, head) => {
      const start = head * this.#context;
      const byPosition = Array.from(
        this.#openings.subarray(start, start + this.#context),
        (sum) => sum / this.#sequences,
      );
      return {
        mean: mean(byPosition),
        idleMean: this.#idleQueries === 0 ? null : this.#idle[head]! / this.#idleQueries,
        opening: compareEarly(byPosition, this.#settings),
      };
    });
  }
}
