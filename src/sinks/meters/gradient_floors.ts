/**
 * The rounding errors of the gradients with respect to the key and the query at one position, s.
 * They are called floors: a gradient below its floor is noise.
 *
 * A logit's gradient is a_tj (⟨g_t, v_j⟩ − D_t) with D_t = ⟨g_t, y_t⟩, where y_t is the head's
 * output for query t and g_t = ∂L/∂y_t. The difference loses digits if a query gives one key almost
 * all of its weight, because y_t is then nearly that key's value. Three roundings remain, of y_t
 * and of the two inner products. Each is about u ‖g_t ⊙ v_j‖, where u is the unit roundoff.
 * Roundings of different queries, heads and sequences are independent. The roundings of one query's
 * inner products are independent, too. All keys of a query share its D_t. The floors are:
 *
 *     of ∂L/∂k_s  3 u (Σ_t (a_ts ‖q_t‖ (‖g_t ⊙ v_s‖ + ‖g_t ⊙ y_t‖))²/D)^½
 *     of ∂L/∂q_s  3 u (Σ (‖g_s ⊙ y_s‖ ‖Σ_j a_sj k_j‖ + (Σ_j (a_sj ‖g_s ⊙ v_j‖ ‖k_j‖)²)^½)²/D)^½
 *
 * Σ_t sums over all heads and sequences, and over all queries t that see key s. The Σ without an
 * index sums over all heads and sequences. The key's floor was checked on sinks that take all but
 * 1e-4 to 1e-8 of the weight (T 64 to 256, D 16 to 128). The error was a tenth of the floor to
 * slightly above it, both in this project's kernels and in PyTorch. The error of the query's
 * gradient was a tenth to a third of its floor (T 40, D 12).
 *
 * Other errors, such as the exponential's, are proportional to the gradient. They cannot hide it,
 * so the floors leave them out.
 *
 * Without a sink logit the first query sees only one key. So the first query's gradient is 0, and
 * what a kernel computes for this gradient lies below the floor.
 *
 * The precise form of `attentionBackward` subtracts v_s from all values. So v_j − v_s replaces v_j,
 * and y_t − (1 − b_t) v_s replaces y_t, where b_t is a sink logit's share of the weight. The
 * logit's gradient then has a third term, b_t ⟨g_t, v_s⟩, which is off by u b_t ‖g_t ⊙ v_s‖.
 */
import { type AttentionShape, keyHeadOf } from "../attention_column.ts";
import { type Numbers, precisionOf, rowDot, rowNorm } from "../numbers.ts";

export interface FloorStates {
  /** a_ts of every query t, by `attentionColumn`: [B, Hq, T] */
  readonly column: ArrayLike<number>;
  /** [B, Hq, T, D] */
  readonly query: Numbers;
  /** [B, Hkv, T, D] */
  readonly key: Numbers;
  /** The values that attention adds up: v̂ with full V-scale, else v: [B, Hkv, T, D] */
  readonly value: Numbers;
  /** y: [B, Hq, T, D] */
  readonly output: Numbers;
  /** [B, Hq, T] */
  readonly logSumExp: Numbers;
  /** g: [B, Hq, T, D] */
  readonly outputGradient: Numbers;
}

/** Options of {@linkcode GradientFloors}. */
export interface FloorOptions {
  /** s */
  readonly position: number;
  /** The sink logit of each query head; undefined in a model without sink logits. */
  readonly sinkLogits?: readonly number[] | undefined;
  /**
   * Whether attention's backward pass used its precise form. If queries give almost all of their
   * weight to key s, this form loses fewer digits of that key's gradient and of the queries'
   * gradients. Default: false.
   */
  readonly precise?: boolean;
}

/**
 * The states that determine the logits' gradients. The precise form shifts `value` and `output`.
 */
interface SlopeStates extends FloorStates {
  /**
   * `value` before the precise form subtracts position s's value from it: [B, Hkv, T, D];
   * undefined in the usual form.
   */
  readonly taken: Numbers | undefined;
  /** b_t, the sink logit's share of the weight: [B, Hq, T]; undefined without sink logits. */
  readonly sinkWeight: Float64Array | undefined;
}

/** Adds up the floors over batches. */
export class GradientFloors {
  readonly #options: FloorOptions;
  #keySquares = 0;
  #querySquares = 0;
  #sequences = 0;

  constructor(options: FloorOptions) {
    this.#options = options;
  }

  add(states: FloorStates, shape: AttentionShape): void {
    const { batch, queryHeads, context, headDim } = shape;
    const { position } = this.#options;
    const { unit } = precisionOf(states.query);
    // A batch's gradients are of the mean loss over its B sequences. Multiplied by B, they are of
    // the sum of the B losses, as in GradientMeter.
    const square = (size: number) => (batch * 3 * unit * size) ** 2 / headDim;
    const used = this.#slopeStates(states, shape);
    for (let head = 0; head < batch * queryHeads; head++) {
      const first = keyHeadOf(head, shape) * context;
      for (let t = position; t < context; t++) {
        const row = head * context + t;
        const slope = valueSize(used, { row, value: first + position, headDim }) +
          rowSize(used, { row, value: first + position, headDim });
        const norm = rowNorm(used.query, row * headDim, headDim);
        this.#keySquares += square(used.column[row]! * slope * norm);
      }
      const size = querySize(used, { row: head * context + position, first, position, headDim });
      this.#querySquares += square(size);
    }
    this.#sequences += batch;
  }

  /** The floor of ‖∇k_s‖ over all key heads, for the mean loss over all sequences. */
  get key(): number {
    return Math.sqrt(this.#keySquares) / this.#sequences;
  }

  /** The floor of ‖∇q_s‖ over all query heads, for the mean loss over all sequences. */
  get query(): number {
    return Math.sqrt(this.#querySquares) / this.#sequences;
  }

  #slopeStates(states: FloorStates, shape: AttentionShape): SlopeStates {
    const { queryHeads, context, headDim } = shape;
    const { position, precise = false, sinkLogits } = this.#options;
    const { value, output, logSumExp } = states;
    const sinkWeight = sinkLogits && Float64Array.from(
      logSumExp,
      (each, row) => Math.exp(sinkLogits[Math.floor(row / context) % queryHeads]! - each),
    );
    if (!precise) return { ...states, taken: undefined, sinkWeight };
    const atPosition = (row: number) => (row - row % context + position) * headDim;
    const shifted = Float64Array.from(
      value,
      (each, i) => each - value[atPosition(Math.floor(i / headDim)) + i % headDim]!,
    );
    const shiftedOutput = Float64Array.from(output, (each, i) => {
      const row = Math.floor(i / headDim);
      const first = keyHeadOf(Math.floor(row / context), shape) * context;
      return each -
        (1 - (sinkWeight?.[row] ?? 0)) * value[(first + position) * headDim + i % headDim]!;
    });
    return { ...states, value: shifted, output: shiftedOutput, taken: value, sinkWeight };
  }
}

/** The index of a query's row and the index of a value's row, each among the rows of all heads. */
interface Pair {
  readonly row: number;
  readonly value: number;
  readonly headDim: number;
}

/** The rounding error of ⟨g_t, v_j⟩, divided by the unit roundoff u: ‖g_t ⊙ v_j‖ */
function valueSize({ value, outputGradient }: SlopeStates, pair: Pair): number {
  return productNorm(outputGradient, value, pair);
}

/**
 * The rounding error of D_t, divided by the unit roundoff u: ‖g_t ⊙ y_t‖. In the precise form with
 * sink logits, the error of b_t ⟨g_t, v_s⟩ is added.
 */
function rowSize(
  { output, outputGradient, taken, sinkWeight }: SlopeStates,
  pair: Pair,
): number {
  const ofOutput = productNorm(outputGradient, output, { ...pair, value: pair.row });
  if (taken === undefined || sinkWeight === undefined) return ofOutput;
  return ofOutput + sinkWeight[pair.row]! * productNorm(outputGradient, taken, pair);
}

/** The rounding error of one head's ∇q_s, divided by 3 u / √D, where u is the unit roundoff. */
function querySize(
  states: SlopeStates,
  { row, first, position, headDim }: {
    readonly row: number;
    readonly first: number;
    readonly position: number;
    readonly headDim: number;
  },
): number {
  const { query, key, logSumExp } = states;
  const meanKey = new Float64Array(headDim);
  let squares = 0;
  for (let j = 0; j <= position; j++) {
    const k = (first + j) * headDim;
    const logit = rowDot(query, key, { a: row * headDim, b: k, width: headDim }) /
      Math.sqrt(headDim);
    const weight = Math.exp(logit - logSumExp[row]!);
    for (let i = 0; i < headDim; i++) meanKey[i]! += weight * key[k + i]!;
    const size = weight * valueSize(states, { row, value: first + j, headDim });
    squares += (size * rowNorm(key, k, headDim)) ** 2;
  }
  return rowSize(states, { row, value: first + position, headDim }) *
      rowNorm(meanKey, 0, headDim) + Math.sqrt(squares);
}

/** ‖a ⊙ b‖ of a query's row and a value's row. */
function productNorm(a: Numbers, b: Numbers, { row, value, headDim }: Pair): number {
  let squares = 0;
  for (let i = 0; i < headDim; i++) {
    squares += (a[row * headDim + i]! * b[value * headDim + i]!) ** 2;
  }
  return Math.sqrt(squares);
}
