/**
 * How much R_GS depends on the texts. R_GS takes the norm of the sum of all texts' gradients g_i,
 * so a resample that draws text i w_i times needs ‖Σ w_i g_i‖² = Σ_ij w_i w_j ⟨g_i, g_j⟩. The inner
 * products are computed once; a resample then needs no pass over the gradients.
 */
import { type Numbers, ratioOf, rowDot } from "../numbers.ts";

/**
 * One layer's ∇h̃, the gradients at the RMSNorm output that feeds attention, at the first
 * positions, text by text.
 */
export class GradientGram {
  readonly #positions: number;
  readonly #context: number;
  readonly #width: number;
  readonly #texts: Float32Array<ArrayBuffer>[] = [];

  /**
   * @param shape T and d
   * @param last T_e, the last position that R_GS compares
   */
  constructor(
    { context, width }: { readonly context: number; readonly width: number },
    last: number,
  ) {
    this.#context = context;
    this.#width = width;
    this.#positions = Math.min(last + 1, context);
  }

  /**
   * @param gradient ∇h̃ of the batch's mean loss, [B, T, d]
   * @param batch B
   */
  add(gradient: Numbers, batch: number): void {
    const length = this.#context * this.#width;
    for (let text = 0; text < batch; text++) {
      const start = text * length;
      const part = gradient.subarray(start, start + this.#positions * this.#width);
      // Scale to the gradient of the text's own mean loss, whatever the batch size.
      this.#texts.push(Float32Array.from(part, (each) => batch * each));
    }
  }

  /**
   * R_GS(s) for any weights of the texts.
   *
   * @param position s
   * @returns a function of the texts' weights; null for a division by zero
   */
  ratios(position: number): (weights: ArrayLike<number>) => number | null {
    const texts = this.#texts, width = this.#width;
    const grams = Array.from(
      { length: this.#positions },
      (_, t) =>
        texts.map((a, i) =>
          Float64Array.from({ length: i + 1 }, (_, j) => {
            const product = rowDot(a, texts[j]!, { a: t * width, b: t * width, width });
            return i === j ? product : 2 * product;
          })
        ),
    );
    return (weights) => {
      let others = 0;
      let own = 0;
      grams.forEach((gram, t) => {
        let square = 0;
        gram.forEach((row, i) => {
          if (weights[i] === 0) return;
          row.forEach((product, j) => square += weights[i]! * weights[j]! * product);
        });
        const norm = Math.sqrt(Math.max(0, square));
        if (t === position) own = norm;
        else others += norm;
      });
      return ratioOf(own, others / (this.#positions - 1));
    };
  }
}
