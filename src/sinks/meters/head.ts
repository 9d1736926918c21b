/** How much attention each query head of a layer pays to position s. */
import type { AttentionShape } from "../attention_column.ts";
import type { HeadMeasurement } from "../measurement/head.ts";
import type { SinkSettings } from "../measurement/settings.ts";
import { isSink, uniformScore } from "../uniform.ts";

/** Sums of one head over sequences. */
interface HeadSums {
  score: number;
  mass: number;
  secondMoment: number;
  idle: number;
  /** How many sequences have a score that counts as a sink. For `idleSinks`: an idle score. */
  sinks: number;
  idleSinks: number;
}

/**
 * The idle queries of a sequence that come after position s and not before `idleFrom`. Query s
 * itself does not count, because attention to its own position is no sign of a sink.
 *
 * @param idle [T]: 1 for a query without a reason to attend to any particular token
 * @param settings s and the first idle position
 */
export function idleQueries(
  idle: Uint8Array,
  { position, idleFrom }: Pick<SinkSettings, "position" | "idleFrom">,
): number[] {
  const queries: number[] = [];
  for (let t = Math.max(position + 1, idleFrom); t < idle.length; t++) {
    if (idle[t] === 1) queries.push(t);
  }
  return queries;
}

export class HeadMeter {
  readonly #settings: SinkSettings;
  readonly #heads: HeadSums[];
  #sequences = 0;
  /**
   * The number of idle queries in all sequences; undefined until a batch says which queries are
   * idle.
   */
  #idleQueries: number | undefined;
  /** The number of sequences with idle queries. */
  #idleSequences = 0;
  /** The sum of uniform attention, 1 / (t + 1), over all idle queries t. */
  #uniformIdle = 0;
  /** The score of uniform attention over the window's queries. */
  #uniform = 0;

  constructor(queryHeads: number, settings: SinkSettings) {
    this.#settings = settings;
    this.#heads = Array.from(
      { length: queryHeads },
      () => ({ score: 0, mass: 0, secondMoment: 0, idle: 0, sinks: 0, idleSinks: 0 }),
    );
  }

  /**
   * @param column a_ts of every query t, by `attentionColumn`: [B, Hq, T]
   * @param options shape: the lengths; idle, [B, T]: 1 for a query without a reason to attend to
   *   any particular token
   */
  add(
    column: ArrayLike<number>,
    options: { readonly shape: AttentionShape; readonly idle: Uint8Array | undefined },
  ): void {
    const { shape, idle } = options;
    const { batch, queryHeads, context } = shape;
    const { position, window, threshold } = this.#settings;
    const end = Math.min(position + window, context);
    const uniform = this.#uniform = uniformScore(position, end);
    for (let b = 0; b < batch; b++) {
      const queries = idle === undefined
        ? []
        : idleQueries(idle.subarray(b * context, (b + 1) * context), this.#settings);
      const uniformIdle = queries.reduce((sum, t) => sum + 1 / (t + 1), 0);
      for (let head = 0; head < queryHeads; head++) {
        const sums = this.#heads[head]!;
        const start = (b * queryHeads + head) * context;
        let score = 0;
        for (let t = position; t < context; t++) {
          const a = column[start + t]!;
          sums.mass += a;
          sums.secondMoment += a * a;
          if (t < end) score += a / (end - position);
        }
        sums.score += score;
        if (isSink(score, { threshold, uniform })) sums.sinks++;
        const idleSum = queries.reduce((sum, t) => sum + column[start + t]!, 0);
        sums.idle += idleSum;
        const count = queries.length;
        if (
          count > 0 && isSink(idleSum / count, { threshold, uniform: uniformIdle / count })
        ) sums.idleSinks++;
      }
      this.#sequences++;
      if (idle === undefined) continue;
      this.#idleQueries = (this.#idleQueries ?? 0) + queries.length;
      this.#uniformIdle += uniformIdle;
      if (queries.length > 0) this.#idleSequences++;
    }
  }

  /** Means over sequences; the idle score is the mean over all idle queries of all sequences. */
  result(): Required<Omit<HeadMeasurement, "gate" | "sinkLogit">>[] {
    const count = this.#sequences;
    return this.#heads.map(({ score, mass, secondMoment, idle, sinks, idleSinks }, head) => ({
      head,
      score: score / count,
      sinkRate: sinks / count,
      idleScore: this.#idleQueries ? idle / this.#idleQueries : null,
      idleSinkRate: this.#idleQueries ? idleSinks / this.#idleSequences : null,
      mass: mass / count,
      secondMoment: secondMoment / count,
    }));
  }

  /** The scores of uniform attention over the same queries as the heads' scores. */
  uniform(): { readonly score: number; readonly idleScore: number | null } {
    return {
      score: this.#uniform,
      idleScore: this.#idleQueries ? this.#uniformIdle / this.#idleQueries : null,
    };
  }
}

/** The mean over heads; null if there is no head, or any head has no value. */
export function meanOverHeads(values: readonly (number | null)[]): number | null {
  if (values.length === 0 || values.includes(null)) return null;
  return values.reduce<number>((sum, value) => sum + value!, 0) / values.length;
}

/** The share of heads with a value above ε; null if there is no head, or any head has no value. */
export function shareAbove(values: readonly (number | null)[], threshold: number): number | null {
  if (values.length === 0 || values.includes(null)) return null;
  return values.filter((value) => value! > threshold).length / values.length;
}
