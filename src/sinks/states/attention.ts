/** The attention of one layer to every position, and its attention maps. */
import { type AttentionShape, keyHeadOf } from "../attention_column.ts";
import { type Numbers, rowDot } from "../numbers.ts";
import { isSink, uniformScore } from "../uniform.ts";
import type { AttentionMap } from "./measurement.ts";

/** The most positions in a map averaged over texts, and in a map of a single text. */
const MAP_POSITIONS = 48;
const TEXT_POSITIONS = 24;

/** A map's size and its weights, [size, size]. */
type Map = Pick<AttentionMap, "size" | "weights">;

export class PositionMeter {
  /**
   * The number of heads with a sink, [texts][s]. A head has a sink at s if α_s, its mean attention
   * to s, is above ε and above the α_s of uniform attention.
   */
  readonly counts: Uint16Array<ArrayBuffer>[] = [];
  readonly #window: number;
  readonly #threshold: number;
  /** Sum of the maps over texts, [Hq, size, size] */
  readonly #maps: Float64Array<ArrayBuffer>;
  /** The maps of the first text alone. */
  #first: Float64Array<ArrayBuffer> | undefined;
  readonly #size: number;
  readonly #positions: number;
  /** α_s of uniform attention, [positions]. */
  readonly #uniform: readonly number[];

  /**
   * @param shape Hq and T
   * @param options the window T_ε, the threshold ε, and the number of positions that can be sinks
   */
  constructor(
    { queryHeads, context }: Pick<AttentionShape, "queryHeads" | "context">,
    { window, threshold, positions }: {
      readonly window: number;
      readonly threshold: number;
      readonly positions: number;
    },
  ) {
    this.#window = window;
    this.#threshold = threshold;
    this.#positions = positions;
    this.#uniform = Array.from(
      { length: positions },
      (_, s) => uniformScore(s, Math.min(s + window, context)),
    );
    this.#size = Math.min(MAP_POSITIONS, context);
    this.#maps = new Float64Array(queryHeads * this.#size ** 2);
  }

  /**
   * @param states query [B, Hq, T, D], key [B, Hkv, T, D], logSumExp [B, Hq, T]
   * @param shape the lengths
   */
  add(
    states: { readonly query: Numbers; readonly key: Numbers; readonly logSumExp: Numbers },
    shape: AttentionShape,
  ): void {
    for (let text = 0; text < shape.batch; text++) {
      const count = new Uint16Array(this.#positions);
      this.counts.push(count);
      for (let head = 0; head < shape.queryHeads; head++) {
        const scores = this.#head(states, { shape, head, row: text * shape.queryHeads + head });
        scores.forEach((score, s) => {
          const uniform = this.#uniform[s]!;
          if (isSink(score, { threshold: this.#threshold, uniform })) count[s]!++;
        });
      }
      this.#first ??= this.#maps.slice();
    }
  }

  /** α_s of one head of one text, [positions]. */
  #head(
    { query, key, logSumExp }: {
      readonly query: Numbers;
      readonly key: Numbers;
      readonly logSumExp: Numbers;
    },
    { shape, head, row }: {
      readonly shape: AttentionShape;
      readonly head: number;
      readonly row: number;
    },
  ): Float64Array {
    const { context, headDim } = shape;
    const scale = 1 / Math.sqrt(headDim);
    const size = this.#size;
    const keyStart = keyHeadOf(row, shape) * context * headDim;
    const scores = new Float64Array(this.#positions);
    for (let t = 0; t < context; t++) {
      const at = (row * context + t) * headDim;
      const all = logSumExp[row * context + t]!;
      for (let s = t < size ? 0 : Math.max(0, t - this.#window + 1); s <= t; s++) {
        const counted = s < this.#positions && t - s < this.#window;
        if (!counted && t >= size) continue;
        const z = scale * rowDot(query, key, { a: at, b: keyStart + s * headDim, width: headDim });
        const weight = Math.exp(z - all);
        if (t < size) this.#maps[(head * size + t) * size + s]! += weight;
        if (counted) scores[s]! += weight;
      }
    }
    return scores.map((sum, s) => sum / Math.min(this.#window, context - s));
  }

  /** For each s, the share of (text, head) pairs with a sink at s. */
  rates(queryHeads: number): number[] {
    const pairs = this.counts.length * queryHeads;
    return Array.from(
      { length: this.#positions },
      (_, s) => this.counts.reduce((sum, count) => sum + count[s]!, 0) / pairs,
    );
  }

  /** A head's attention map, mean over texts. */
  map(head: number): Map {
    return this.#map(head, { sums: this.#maps, texts: this.counts.length, size: this.#size });
  }

  /** A head's attention map in the first text, at its first tokens. */
  textMap(head: number): Map {
    const size = Math.min(TEXT_POSITIONS, this.#size);
    return this.#map(head, { sums: this.#first ?? this.#maps, texts: 1, size });
  }

  /** Rounds weights to three decimals. */
  #map(
    head: number,
    { sums, texts, size }: {
      readonly sums: Float64Array;
      readonly texts: number;
      readonly size: number;
    },
  ): Map {
    const weights = Array.from({ length: size ** 2 }, (_, i) => {
      const [query, key] = [Math.floor(i / size), i % size];
      const sum = sums[(head * this.#size + query) * this.#size + key]!;
      return Math.round(1000 * sum / texts) / 1000;
    });
    return { size, weights };
  }
}
