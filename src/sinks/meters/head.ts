/** How much attention each query head of one layer pays to position s. */
import { attentionColumn, type AttentionShape } from "../attention_column.ts";
import type { HeadMeasurement, SinkSettings } from "../measurement.ts";
import type { Numbers } from "../numbers.ts";

/** Adds up over batches; see {@linkcode HeadMeasurement} for what it finds. */
export class HeadMeter {
  readonly #settings: SinkSettings;
  readonly #heads: { score: number; mass: number; secondMoment: number; idle: number }[];
  #sequences = 0;
  /** Idle queries seen, all sequences together; undefined until a batch says which are idle. */
  #idleQueries: number | undefined;

  /** @param queryHeads Hq @param settings s, T_ε and where idle queries begin */
  constructor(queryHeads: number, settings: SinkSettings) {
    this.#settings = settings;
    this.#heads = Array.from(
      { length: queryHeads },
      () => ({ score: 0, mass: 0, secondMoment: 0, idle: 0 }),
    );
  }

  /**
   * @param states query [B, Hq, T, D], key [B, Hkv, T, D], logSumExp [B, Hq, T]
   * @param options the lengths, and which queries are idle: [B, T], 1 for those
   */
  add(
    states: { readonly query: Numbers; readonly key: Numbers; readonly logSumExp: Numbers },
    options: { readonly shape: AttentionShape; readonly idle: Uint8Array | undefined },
  ): void {
    const { shape, idle } = options;
    const { batch, queryHeads, context } = shape;
    const { position, window, idleFrom } = this.#settings;
    const column = attentionColumn(states, { shape, position });
    const end = Math.min(position + window, context);
    for (let b = 0; b < batch; b++) {
      for (let head = 0; head < queryHeads; head++) {
        const sums = this.#heads[head]!;
        const start = (b * queryHeads + head) * context;
        for (let t = position; t < context; t++) {
          const a = column[start + t]!;
          sums.mass += a;
          sums.secondMoment += a * a;
          if (t < end) sums.score += a / (end - position);
          // Position s itself sees s for want of anything else, at s = 0: no sign of a sink.
          if (t > position && t >= idleFrom && idle?.[b * context + t] === 1) sums.idle += a;
        }
      }
      this.#sequences++;
      if (idle !== undefined) {
        for (let t = Math.max(position + 1, idleFrom); t < context; t++) {
          this.#idleQueries = (this.#idleQueries ?? 0) + idle[b * context + t]!;
        }
      }
    }
  }

  /** Means over sequences; the idle score over all idle queries of all sequences. */
  result(): HeadMeasurement[] {
    const count = this.#sequences;
    return this.#heads.map(({ score, mass, secondMoment, idle }, head) => ({
      head,
      score: score / count,
      idleScore: this.#idleQueries ? idle / this.#idleQueries : null,
      mass: mass / count,
      secondMoment: secondMoment / count,
    }));
  }
}

/** The share of heads whose value exceeds ε; null if there is no head or a head has no value. */
export function shareAbove(values: readonly (number | null)[], threshold: number): number | null {
  if (values.length === 0 || values.includes(null)) return null;
  return values.filter((value) => value! > threshold).length / values.length;
}
