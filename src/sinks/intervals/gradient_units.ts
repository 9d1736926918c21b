/** Resamples the norms of gradients that are summed over sequences. */
import { type Numbers, rowDot, rowNorm } from "../numbers.ts";
import type { StateShape } from "../meters/gradient.ts";
import { SequenceUnits } from "./units.ts";

/**
 * Gives a resample's norms by position. `counts`: how often the resample draws each group of
 * sequences.
 */
export type ResampledNorms = (counts: ArrayLike<number>) => Float64Array<ArrayBuffer>;

/** One state's gradients at the first positions, summed over each group of sequences. */
export class GradientUnits {
  readonly #shape: Omit<StateShape, "batch">;
  readonly #positions: number;
  readonly #units: SequenceUnits;

  /**
   * @param shape the state's shape without its batch
   * @param last the last position to keep
   */
  constructor(shape: Omit<StateShape, "batch">, last: number) {
    this.#shape = shape;
    this.#positions = Math.min(last + 1, shape.context);
    this.#units = new SequenceUnits(this.#positions * shape.heads * shape.width);
  }

  /**
   * @param gradient of the batch's mean loss with respect to the state: [B, heads, T, width]
   * @param batch B
   */
  add(gradient: Numbers, batch: number): void {
    const { heads, context, width } = this.#shape;
    for (let b = 0; b < batch; b++) {
      const sum = this.#units.next();
      for (let head = 0; head < heads; head++) {
        const from = (b * heads + head) * context * width;
        for (let t = 0; t < this.#positions; t++) {
          const to = (t * heads + head) * width;
          for (let i = 0; i < width; i++) sum[to + i]! += batch * gradient[from + t * width + i]!;
        }
      }
    }
  }

  /**
   * The norm of the summed gradient at every position, for resampled groups of sequences.
   *
   * Let g_i be the gradient of group i, and G = Σ_i g_i. Group i adds p_i = 2⟨g_i, G⟩ − ‖g_i‖² to
   * ‖G‖². So if a resample draws each group i w_i times, ‖G‖ becomes about
   * ‖G‖ exp(Σ_i (w_i − 1) p_i / (2 ‖G‖²)). The exact ‖Σ_i w_i g_i‖ would be too large on average,
   * because the noise of a group that is drawn twice does not average out. If gradients are only
   * noise, the interval is up to √2 times too wide.
   */
  norms(): ResampledNorms {
    const sums = this.#units.sums;
    const width = this.#shape.heads * this.#shape.width;
    const positions = Array.from({ length: this.#positions }, (_, t) => {
      const total = new Float64Array(width);
      for (const sum of sums) for (let k = 0; k < width; k++) total[k]! += sum[t * width + k]!;
      const added = sums.map((sum) =>
        2 * rowDot(sum, total, { a: t * width, b: 0, width }) - rowNorm(sum, t * width, width) ** 2
      );
      return { norm: rowNorm(total, 0, width), added };
    });
    return (counts) =>
      Float64Array.from(positions, ({ norm, added }) => {
        if (norm === 0) return 0;
        let change = 0;
        for (let i = 0; i < added.length; i++) change += (counts[i]! - 1) * added[i]!;
        return norm * Math.exp(change / (2 * norm * norm));
      });
  }

  /** The number of groups. */
  get count(): number {
    return this.#units.sums.length;
  }
}
