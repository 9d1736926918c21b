/** One layer's figures for any resample of sequences. */
import type { AttentionTrace } from "../../reference/llama/trace.ts";
import { attentionColumn } from "../attention_column.ts";
import type { SinkSettings } from "../measurement/settings.ts";
import type { LayerMeterOptions } from "../meters/layer.ts";
import { compareEarly, type Numbers, ratioOf } from "../numbers.ts";
import { gradientSinkRatio } from "../meters/gradient.ts";
import { idleQueries } from "../meters/head.ts";
import { isSink, uniformScore } from "../uniform.ts";
import { GradientUnits, type ResampledNorms } from "./gradient_units.ts";
import { SequenceUnits } from "./units.ts";
import { sum } from "../../statistics/mean.ts";

const PATHS = ["query", "key", "value"] as const;

/** One layer's figures in one resample. They are named as in `../measurement/`. */
export interface LayerDraw {
  readonly gradientSink: number | null;
  readonly singleGradientSink: number | null;
  /** The score of every query head. */
  readonly scores: readonly number[];
  readonly idleScores: readonly (number | null)[];
  /**
   * The share of (sequence, head) pairs with a sink; for `idleSinkRate`, among sequences with idle
   * queries.
   */
  readonly sinkRate: number;
  readonly idleSinkRate: number | null;
  /** Summed gradient norms at each position up to the last early one, or up to s if s is later. */
  readonly paths: Readonly<Record<typeof PATHS[number], Float64Array<ArrayBuffer>>>;
}

export class LayerUnits {
  readonly #settings: SinkSettings;
  readonly #shape: Pick<LayerMeterOptions, "config" | "context">;
  readonly #norm: GradientUnits;
  readonly #paths: Readonly<Record<typeof PATHS[number], GradientUnits>>;
  /**
   * Sums over sequences of the norm, at each position, of the gradient of the sequence's own mean
   * loss. That gradient is B times the given one, which is of the mean loss over B sequences.
   */
  readonly #single: SequenceUnits;
  /**
   * [4 Hq + 3], sums over sequences. First come four lists with a number for each head: the sum of
   * scores, the sum of attention from idle queries, how many sequences' scores count as a sink, and
   * how many idle scores do. Then come three counts: sequences, idle queries, and sequences with
   * idle queries.
   */
  readonly #heads: SequenceUnits;
  readonly #positions: number;

  constructor({ config, context, settings }: Omit<LayerMeterOptions, "valve" | "sinkLogits">) {
    const { modelDim, queryHeads, keyValueHeads, headDim } = config;
    const { position, lastGradientPosition, early } = settings;
    this.#settings = settings;
    this.#shape = { config, context };
    const last = Math.max(position, lastGradientPosition);
    this.#positions = Math.min(last + 1, context);
    const residual = { heads: 1, context, width: modelDim };
    const query = { heads: queryHeads, context, width: headDim };
    const value = { heads: keyValueHeads, context, width: headDim };
    const lastEarly = Math.max(position, early[1]);
    this.#norm = new GradientUnits(residual, last);
    this.#paths = {
      query: new GradientUnits(query, lastEarly),
      key: new GradientUnits(value, lastEarly),
      value: new GradientUnits(value, lastEarly),
    };
    this.#single = new SequenceUnits(this.#positions);
    this.#heads = new SequenceUnits(4 * queryHeads + 3);
  }

  /** The number of groups. */
  get count(): number {
    return this.#heads.sums.length;
  }

  add(
    attention: AttentionTrace<Numbers>,
    { batch, idle }: { readonly batch: number; readonly idle: Uint8Array | undefined },
  ): void {
    this.#norm.add(attention.gradients.norm, batch);
    for (const name of PATHS) this.#paths[name].add(attention.gradients[name], batch);
    const { config: { modelDim }, context } = this.#shape;
    for (let b = 0; b < batch; b++) {
      const sum = this.#single.next();
      for (let t = 0; t < this.#positions; t++) {
        let squares = 0;
        const start = (b * context + t) * modelDim;
        for (let i = start; i < start + modelDim; i++) {
          squares += attention.gradients.norm[i]! ** 2;
        }
        sum[t]! += batch * Math.sqrt(squares);
      }
    }
    this.#addHeads(attention, { batch, idle });
  }

  #addHeads(
    attention: AttentionTrace<Numbers>,
    { batch, idle }: { readonly batch: number; readonly idle: Uint8Array | undefined },
  ): void {
    const { config, context } = this.#shape;
    const { queryHeads } = config;
    const { position, window, threshold } = this.#settings;
    const column = attentionColumn(attention, { shape: { ...config, batch, context }, position });
    const end = Math.min(position + window, context);
    const uniform = uniformScore(position, end);
    for (let b = 0; b < batch; b++) {
      const sum = this.#heads.next();
      const queries = idle === undefined
        ? []
        : idleQueries(idle.subarray(b * context, (b + 1) * context), this.#settings);
      const count = queries.length;
      const uniformIdle = queries.reduce((total, t) => total + 1 / (t + 1), 0) / count;
      for (let head = 0; head < queryHeads; head++) {
        const start = (b * queryHeads + head) * context;
        let score = 0;
        for (let t = position; t < end; t++) score += column[start + t]! / (end - position);
        const idleSum = queries.reduce((total, t) => total + column[start + t]!, 0);
        sum[head]! += score;
        sum[queryHeads + head]! += idleSum;
        if (isSink(score, { threshold, uniform })) sum[2 * queryHeads + head]!++;
        if (count > 0 && isSink(idleSum / count, { threshold, uniform: uniformIdle })) {
          sum[3 * queryHeads + head]!++;
        }
      }
      sum[4 * queryHeads]!++;
      sum[4 * queryHeads + 1]! += count;
      if (count > 0) sum[4 * queryHeads + 2]!++;
    }
  }

  /**
   * Computes what all resamples share, and returns a function for single resamples. Its argument
   * says how often the resample draws each group of sequences; its result is the layer's figures.
   */
  draws(): (counts: ArrayLike<number>) => LayerDraw {
    const { queryHeads } = this.#shape.config;
    const norm = this.#norm.norms();
    const paths = Object.fromEntries(
      PATHS.map((name) => [name, this.#paths[name].norms()]),
    ) as Record<typeof PATHS[number], ResampledNorms>;
    return (counts) => {
      const single = weighted(this.#single, counts);
      const heads = weighted(this.#heads, counts);
      const [sequences, idleQueries, idleSequences] = heads.slice(4 * queryHeads) as unknown as [
        number,
        number,
        number,
      ];
      const ofHeads = (kind: number) =>
        Array.from(heads.subarray(kind * queryHeads, (kind + 1) * queryHeads));
      const total = (kind: number) => sum(ofHeads(kind));
      return {
        gradientSink: gradientSinkRatio(norm(counts), this.#settings).ratio,
        singleGradientSink: gradientSinkRatio(single, this.#settings).ratio,
        scores: ofHeads(0).map((score) => score / sequences),
        idleScores: ofHeads(1).map((sum) => ratioOf(sum, idleQueries)),
        sinkRate: total(2) / (queryHeads * sequences),
        idleSinkRate: ratioOf(total(3), queryHeads * idleSequences),
        paths: {
          query: paths.query(counts),
          key: paths.key(counts),
          value: paths.value(counts),
        },
      };
    };
  }
}

function weighted(units: SequenceUnits, counts: ArrayLike<number>): Float64Array<ArrayBuffer> {
  const sum = new Float64Array(units.sums[0]!.length);
  units.sums.forEach((unit, i) => {
    const weight = counts[i]!;
    if (weight === 0) return;
    for (let k = 0; k < sum.length; k++) sum[k]! += weight * unit[k]!;
  });
  return sum;
}

/**
 * ‖∇q_s‖, ‖∇k_s‖ or ‖∇v_s‖, divided by the mean of this norm over early tokens. At each position,
 * the norm is averaged over layers first.
 */
export function pathRatio(
  draws: readonly LayerDraw[],
  name: typeof PATHS[number],
  settings: SinkSettings,
): number | null {
  const mean = new Float64Array(draws[0]!.paths[name].length);
  for (const { paths } of draws) paths[name].forEach((each, t) => mean[t]! += each);
  return compareEarly(mean, settings).ratio;
}
