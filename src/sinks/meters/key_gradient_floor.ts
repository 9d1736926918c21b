/**
 * What rounding leaves of the gradient by one key: a gradient below its floor is noise.
 *
 * The slope of a logit, a_ts (⟨g_t, v_s⟩ − D_t) with D_t = ⟨g_t, y_t⟩, loses its digits where a query
 * gives s almost all of its weight: y_t is nearly v_s then, and the difference is left to the
 * rounding of y_t and of the two inner products. Each is off by about u ‖g_t ⊙ v_s‖ with u the unit
 * roundoff, and roundings of different queries, heads and sequences are independent:
 *
 *     floor_s = 3 u (Σ_t (a_ts ‖q_t‖ (‖g_t ⊙ v_s‖ + ‖g_t ⊙ y_t‖))²/D)^½
 *
 * over all queries of the heads that read s, and all sequences. Measured on strong sinks (all but
 * 1e-4 to 1e-8 of the weight, T 64 to 256, D 16 to 128), the error of the key's gradient is a tenth
 * of its floor to a little above it, in this project's kernels and in PyTorch's alike.
 * `attentionBackward` computes gradients below their floor with `precise`.
 */
import { type AttentionShape, keyHeadOf } from "../attention_column.ts";
import { type Numbers, precisionOf, rowNorm } from "../numbers.ts";

/** The states of a layer's attention that the floor depends on. */
export interface FloorStates {
  /** a_ts of every query t, by `attentionColumn`: [B, Hq, T] */
  readonly column: ArrayLike<number>;
  /** [B, Hq, T, D] */
  readonly query: Numbers;
  /** As the aggregation uses it, after V-scale: [B, Hkv, T, D] */
  readonly value: Numbers;
  /** y: [B, Hq, T, D] */
  readonly output: Numbers;
  /** g: [B, Hq, T, D] */
  readonly outputGradient: Numbers;
}

/** Adds up over batches. */
export class KeyGradientFloor {
  readonly #position: number;
  #squares = 0;
  #sequences = 0;

  /** @param position s */
  constructor(position: number) {
    this.#position = position;
  }

  /** @param states of a batch @param shape the lengths */
  add(states: FloorStates, shape: AttentionShape): void {
    const { column, query, value, output, outputGradient } = states;
    const { batch, queryHeads, context, headDim } = shape;
    const { unit } = precisionOf(query);
    for (let head = 0; head < batch * queryHeads; head++) {
      const v = (keyHeadOf(head, shape) * context + this.#position) * headDim;
      for (let t = this.#position; t < context; t++) {
        const row = (head * context + t) * headDim;
        let ofValue = 0, ofOutput = 0;
        for (let i = 0; i < headDim; i++) {
          ofValue += (outputGradient[row + i]! * value[v + i]!) ** 2;
          ofOutput += (outputGradient[row + i]! * output[row + i]!) ** 2;
        }
        const slope = column[head * context + t]! * (Math.sqrt(ofValue) + Math.sqrt(ofOutput));
        // A batch's gradients are those of its own mean loss, as GradientMeter takes them.
        this.#squares += (batch * 3 * unit * slope * rowNorm(query, row, headDim)) ** 2 / headDim;
      }
    }
    this.#sequences += batch;
  }

  /** Of the gradients of all sequences added up, over all key heads. */
  result(): number {
    return Math.sqrt(this.#squares) / this.#sequences;
  }
}
