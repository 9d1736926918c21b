/** The gradient-sink ratio R_GS, and the norms of gradients by position that it compares. */
import type { SinkComparison } from "../measurement/comparison.ts";
import type { SinkSettings } from "../measurement/settings.ts";
import { compareWith, type Numbers } from "../numbers.ts";

/** The layout of a traced tensor: [B, heads, T, width], with heads = 1 for residual states. */
export interface StateShape {
  readonly batch: number;
  readonly heads: number;
  readonly context: number;
  readonly width: number;
}

/**
 * Adds up the gradient with respect to one state over sequences and batches. Each batch must come
 * with the gradient of its own mean loss.
 */
export class GradientMeter {
  readonly #heads: number;
  readonly #context: number;
  readonly #width: number;
  /**
   * Σ over all batches b and their sequences of n_b ∂L_b, where L_b is the mean loss over the n_b
   * sequences of batch b: [heads, T, width]
   */
  readonly #sum: Float64Array;
  /** Σ over sequences of the norm of the gradient of the sequence's own mean loss: [T] */
  readonly #single: Float64Array;
  #sequences = 0;

  constructor({ heads, context, width }: Omit<StateShape, "batch">) {
    this.#heads = heads;
    this.#context = context;
    this.#width = width;
    this.#sum = new Float64Array(heads * context * width);
    this.#single = new Float64Array(context);
  }

  /**
   * @param gradient [B, heads, T, width]
   * @param batch B
   */
  add(gradient: Numbers, batch: number): void {
    const heads = this.#heads, context = this.#context, width = this.#width;
    for (let b = 0; b < batch; b++) {
      for (let t = 0; t < context; t++) {
        let squares = 0;
        for (let head = 0; head < heads; head++) {
          const to = (head * context + t) * width;
          const from = b * heads * context * width + to;
          for (let i = 0; i < width; i++) {
            const scaled = batch * gradient[from + i]!;
            this.#sum[to + i]! += scaled;
            squares += scaled * scaled;
          }
        }
        this.#single[t]! += Math.sqrt(squares);
      }
    }
    this.#sequences += batch;
  }

  /** At each position, ‖Σ_n ∇_n L‖ over sequences n, where L is all sequences' mean loss: [T]. */
  summed(): number[] {
    const heads = this.#heads, context = this.#context, width = this.#width;
    return Array.from({ length: context }, (_, t) => {
      let squares = 0;
      for (let head = 0; head < heads; head++) {
        const start = (head * context + t) * width;
        for (let i = start; i < start + width; i++) squares += this.#sum[i]! ** 2;
      }
      return Math.sqrt(squares) / this.#sequences;
    });
  }

  /** At each position, the mean of ‖∇L_n‖ over n, where L_n is sequence n's own mean loss: [T]. */
  single(): number[] {
    return Array.from(this.#single, (sum) => sum / this.#sequences);
  }
}

/**
 * R_GS(s): the norm of the gradient at position s divided by the mean norm at all other positions
 * up to T_e.
 *
 * @param byPosition ‖∇_{h̃_t}L‖ of every position t, where h̃ is the output of attention's RMSNorm
 * @param settings s and T_e
 */
export function gradientSinkRatio(
  byPosition: ArrayLike<number>,
  { position, lastGradientPosition }: SinkSettings,
): SinkComparison {
  return compareWith(byPosition, { position, first: 0, last: lastGradientPosition });
}
