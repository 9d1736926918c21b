/**
 * Hidden states of one layer: their largest and massive elements, and their cosine with token 0.
 */
import { type Numbers, quantile, rowDot, rowNorm } from "../numbers.ts";
import type { LargeActivation } from "./measurement.ts";

const LARGEST = 3;

/** Measures one layer's hidden states over batches. */
export class StateMeter {
  /** Each text's elements with a magnitude above 100 and at least 1000 × the text's median. */
  readonly massive: LargeActivation[] = [];
  readonly #context: number;
  readonly #width: number;
  /** The largest elements, by decreasing magnitude; at most one per position and dimension. */
  #largest: LargeActivation[] = [];
  readonly #cosine: Float64Array;
  readonly #largestByPosition: Float64Array;
  /**
   * Each channel's largest magnitude in a text, summed over texts: [width]. `#channels` is each
   * channel's largest magnitude in the current text: [width].
   */
  readonly #largestByChannel: Float64Array;
  readonly #channels: Float64Array;
  #median = 0;
  #texts = 0;

  /** @param shape T and d */
  constructor({ context, width }: { readonly context: number; readonly width: number }) {
    this.#context = context;
    this.#width = width;
    this.#cosine = new Float64Array(context);
    this.#largestByPosition = new Float64Array(context);
    this.#largestByChannel = new Float64Array(width);
    this.#channels = new Float64Array(width);
  }

  /**
   * @param state h_out, [B, T, d]
   * @param batch B
   */
  add(state: Numbers, batch: number): void {
    const length = this.#context * this.#width;
    for (let text = 0; text < batch; text++) {
      this.#addText(state.subarray(text * length, (text + 1) * length));
      this.#texts++;
    }
  }

  #addText(state: Numbers): void {
    const width = this.#width;
    const median = quantile(Float32Array.from(state, Math.abs).sort(), 0.5);
    this.#median += median;
    const first = rowNorm(state, 0, width);
    const channels = this.#channels.fill(0);
    for (let position = 0; position < this.#context; position++) {
      const start = position * width;
      const norm = rowNorm(state, start, width);
      const product = rowDot(state, state, { a: 0, b: start, width });
      if (first > 0 && norm > 0) this.#cosine[position]! += product / (first * norm);
      let most = 0;
      for (let dimension = 0; dimension < width; dimension++) {
        const value = state[start + dimension]!;
        const magnitude = Math.abs(value);
        most = Math.max(most, magnitude);
        if (magnitude > channels[dimension]!) channels[dimension] = magnitude;
        if (magnitude > 100 && magnitude >= 1000 * median) {
          this.massive.push({ value, sequence: this.#texts, position, dimension });
        }
        if (magnitude > Math.abs(this.#largest[LARGEST - 1]?.value ?? 0)) {
          this.#keep({ value, sequence: this.#texts, position, dimension });
        }
      }
      this.#largestByPosition[position]! += most;
    }
    channels.forEach((magnitude, i) => this.#largestByChannel[i]! += magnitude);
  }

  /** For each channel, the largest magnitude among a text's tokens, mean over texts: [width]. */
  channels(): number[] {
    return Array.from(this.#largestByChannel, (sum) => sum / this.#texts);
  }

  // Keeps one element at most per position and dimension. Otherwise the list would fill with equal
  // elements of texts that begin with the same token, and so have the same state there.
  #keep(found: LargeActivation): void {
    const { position, dimension, value } = found;
    const same = this.#largest.findIndex((each) =>
      each.position === position && each.dimension === dimension
    );
    if (same >= 0) {
      if (Math.abs(this.#largest[same]!.value) >= Math.abs(value)) return;
      this.#largest.splice(same, 1);
    }
    this.#largest.push(found);
    this.#largest.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    this.#largest = this.#largest.slice(0, LARGEST);
  }

  /** @param positions the positions that the result's `cosine` and `largestByPosition` cover */
  result(positions: readonly number[]) {
    const texts = this.#texts;
    return {
      largest: this.#largest,
      median: this.#median / texts,
      massive: this.massive.length / texts,
      cosine: positions.map((t) => this.#cosine[t]! / texts),
      largestByPosition: positions.map((t) => this.#largestByPosition[t]! / texts),
    };
  }
}
