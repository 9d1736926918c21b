/** Norms of activations by position, and unusually large elements. */
import type { StateShape } from "./gradient.ts";
import type { MassiveActivations } from "../measurement/layer.ts";
import { type Numbers, quantile, ratioOf } from "../numbers.ts";

/** Computes the norm of all heads together and of each head alone, as means over sequences. */
export class NormMeter {
  readonly #heads: number;
  readonly #context: number;
  readonly #width: number;
  readonly #all: Float64Array;
  readonly #byHead: Float64Array;
  #sequences = 0;

  constructor({ heads, context, width }: Omit<StateShape, "batch">) {
    this.#heads = heads;
    this.#context = context;
    this.#width = width;
    this.#all = new Float64Array(context);
    this.#byHead = new Float64Array(heads * context);
  }

  /**
   * @param state [B, heads, T, width]
   * @param batch B
   */
  add(state: Numbers, batch: number): void {
    const heads = this.#heads, context = this.#context, width = this.#width;
    for (let b = 0; b < batch; b++) {
      for (let t = 0; t < context; t++) {
        let total = 0;
        for (let head = 0; head < heads; head++) {
          const start = ((b * heads + head) * context + t) * width;
          let squares = 0;
          for (let i = start; i < start + width; i++) squares += state[i]! * state[i]!;
          this.#byHead[head * context + t]! += Math.sqrt(squares);
          total += squares;
        }
        this.#all[t]! += Math.sqrt(total);
      }
    }
    this.#sequences += batch;
  }

  /** The norms of all heads together, [T]. */
  all(): number[] {
    return Array.from(this.#all, (sum) => sum / this.#sequences);
  }

  /** The norms of one head, [T]. */
  head(head: number): number[] {
    const start = head * this.#context;
    return Array.from(
      this.#byHead.subarray(start, start + this.#context),
      (sum) => sum / this.#sequences,
    );
  }
}

/**
 * Counts elements far above the median magnitude of their batch.
 *
 * Source: Sun et al., arXiv 2402.17762.
 */
export class MassiveMeter {
  readonly #position: number;
  /** Σ over batches of n_b × the batch's median, where batch b has n_b sequences. */
  #median = 0;
  #largest = 0;
  #above100 = 0;
  #above1000 = 0;
  #above100AtSink = 0;
  #sequences = 0;

  /** @param position s */
  constructor(position: number) {
    this.#position = position;
  }

  add(state: Numbers, { batch, context, width }: StateShape): void {
    const magnitudes = Float64Array.from(state, Math.abs).sort();
    const median = quantile(magnitudes, 0.5);
    this.#median += batch * median;
    this.#largest = Math.max(this.#largest, magnitudes.at(-1)!);
    this.#sequences += batch;
    if (!(magnitudes.at(-1)! > 100 * median)) return;
    for (let i = 0; i < state.length; i++) {
      const magnitude = Math.abs(state[i]!);
      if (!(magnitude > 100 * median)) continue;
      this.#above100++;
      if (magnitude > 1000 * median) this.#above1000++;
      if (Math.floor(i / width) % context === this.#position) this.#above100AtSink++;
    }
  }

  result(): MassiveActivations {
    const median = this.#median / this.#sequences;
    return {
      median,
      largest: this.#largest,
      ratio: ratioOf(this.#largest, median),
      above100: this.#above100 / this.#sequences,
      above1000: this.#above1000 / this.#sequences,
      above100AtSink: this.#above100AtSink / this.#sequences,
    };
  }
}
