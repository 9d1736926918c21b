/**
 * How much R_GS depends on the texts. R_GS takes the norm of the sum of all texts' gradients g_i. A
 * resample that draws text i w_i times needs ‖Σ w_i g_i‖² = Σ_ij w_i w_j ⟨g_i, g_j⟩. The inner
 * products are computed once; a resample then needs no pass over the gradients.
 */
import { sum } from "../../statistics/mean.ts";
import type { SinkSettings } from "../measurement/settings.ts";
import { type Numbers, ratioOf, rowDot } from "../numbers.ts";

/** Stores every text's ∇h̃ in one layer, where h̃ is the RMSNorm output that feeds attention. */
export class GradientGram {
  readonly #context: number;
  readonly #width: number;
  /** s, then the other positions up to T_e, with which R_GS compares s. */
  readonly #positions: readonly number[];
  /** Each text's gradients at these positions. */
  readonly #texts: Float32Array<ArrayBuffer>[] = [];

  constructor(
    { context, width }: { readonly context: number; readonly width: number },
    { position, lastGradientPosition }: Pick<SinkSettings, "position" | "lastGradientPosition">,
  ) {
    this.#context = context;
    this.#width = width;
    const compared = Array.from(
      { length: Math.min(lastGradientPosition + 1, context) },
      (_, t) => t,
    );
    this.#positions = [position, ...compared.filter((t) => t !== position)];
  }

  /**
   * @param gradient ∇h̃ of the batch's mean loss, [B, T, d]
   * @param batch B
   */
  add(gradient: Numbers, batch: number): void {
    const width = this.#width;
    for (let text = 0; text < batch; text++) {
      const kept = new Float32Array(this.#positions.length * width);
      this.#positions.forEach((position, i) => {
        const start = (text * this.#context + position) * width;
        // Scale to the gradient of the text's own mean loss, whatever the batch size.
        for (let k = 0; k < width; k++) kept[i * width + k] = batch * gradient[start + k]!;
      });
      this.#texts.push(kept);
    }
  }

  /**
   * Prepares the computation of R_GS(s) for any weights of the texts.
   *
   * @returns a function that takes one weight for each text and returns R_GS(s), or null for a
   *   division by zero
   */
  ratios(): (weights: ArrayLike<number>) => number | null {
    const texts = this.#texts, width = this.#width;
    const grams = this.#positions.map((_, p) =>
      texts.map((a, i) =>
        Float64Array.from({ length: i + 1 }, (_, j) => {
          const product = rowDot(a, texts[j]!, { a: p * width, b: p * width, width });
          return i === j ? product : 2 * product;
        })
      )
    );
    return (weights) => {
      const [own, ...others] = grams.map((gram) => {
        let square = 0;
        gram.forEach((row, i) => {
          if (weights[i] === 0) return;
          row.forEach((product, j) => square += weights[i]! * weights[j]! * product);
        });
        return Math.sqrt(Math.max(0, square));
      });
      return ratioOf(own!, sum(others) / others.length);
    };
  }
}
