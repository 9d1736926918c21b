/**
 * 95 % intervals that show how much a measurement depends on its sequences. They come from a
 * bootstrap over sequences with a fixed seed, so equal measurements have equal intervals.
 */
import type { LlamaConfig } from "../reference/llama/config.ts";
import type { LayerTrace } from "../reference/llama/trace.ts";
import { bootstrapIntervals, type Interval } from "../statistics/resampling.ts";
import { type LayerDraw, LayerUnits, pathRatio } from "./intervals/layer.ts";
import { SequenceUnits } from "./intervals/units.ts";
import type { SinkIntervals } from "./measurement/intervals.ts";
import { DEFAULT_SINK_SETTINGS, type SinkSettings } from "./measurement/settings.ts";
import { medianOf, type Numbers, ratioOf } from "./numbers.ts";

/** Options of {@linkcode IntervalMeter}. */
export interface IntervalMeterOptions {
  readonly config: LlamaConfig;
  /** T */
  readonly context: number;
  /** Settings that differ from {@linkcode DEFAULT_SINK_SETTINGS}. */
  readonly settings?: Partial<SinkSettings> | undefined;
}

/**
 * The least number of units, which are groups of sequences or texts, that an interval needs. A
 * bootstrap over fewer units gives intervals that are too narrow.
 */
export const LEAST_UNITS = 8;

const SEED = 1;

/** The figures of one resample. */
interface Draw {
  readonly layers: readonly (Omit<LayerDraw, "paths" | "sinkRate" | "idleSinkRate"> | null)[];
  readonly summary: { readonly [Name in keyof SinkIntervals["summary"]]: number | null };
}

/**
 * Collects each layer's values from all batches, summed over groups of sequences, and makes
 * intervals of them. The values are not checked: give the same layers to a `SinkMeter`, which
 * refuses wrong lengths, NaN and infinity.
 */
export class IntervalMeter {
  readonly #settings: SinkSettings;
  readonly #layers: readonly (LayerUnits | undefined)[];
  readonly #losses = new SequenceUnits(2);

  constructor({ config, context, settings }: IntervalMeterOptions) {
    this.#settings = { ...DEFAULT_SINK_SETTINGS, ...settings };
    this.#layers = Array.from(
      { length: config.layers },
      (_, index) =>
        config.layersWithoutAttention.includes(index)
          ? undefined
          : new LayerUnits({ config, context, settings: this.#settings }),
    );
  }

  /**
   * Adds one layer's states and gradients on a batch of B sequences.
   *
   * @param layer the states, and gradients of the batch's mean loss with respect to some of them
   * @param options `batch`: B. `idle`, [B, T]: 1 for a query without a reason to attend to a
   *   certain token
   */
  addLayer(
    index: number,
    layer: LayerTrace<Numbers>,
    options: { readonly batch: number; readonly idle: Uint8Array | undefined },
  ): void {
    if (layer.attention !== undefined) this.#layers[index]?.add(layer.attention, options);
  }

  /** @param losses the losses of a batch's sequences, in nats per token */
  addLosses(losses: readonly number[]): void {
    for (const loss of losses) {
      const sum = this.#losses.next();
      sum[0]! += loss;
      sum[1]!++;
    }
  }

  /** The intervals over all batches so far; null for fewer than 8 sequences. */
  result(): SinkIntervals | null {
    const attending = this.#layers.flatMap((layer) => layer ?? []);
    const units = attending[0]?.count ?? this.#losses.sums.length;
    if (units < LEAST_UNITS) return null;
    const draws = this.#layers.map((layer) => layer?.draws());
    return intervalsOf(units, (counts): Draw => {
      const drawn = draws.map((draw) => draw?.(counts));
      const known = drawn.flatMap((draw) => draw ?? []);
      return {
        layers: drawn.map((draw) => {
          if (draw === undefined) return null;
          const { paths: _, sinkRate: _s, idleSinkRate: _i, ...layer } = draw;
          return layer;
        }),
        summary: this.#summary(known, counts),
      };
    }) as SinkIntervals;
  }

  #summary(draws: readonly LayerDraw[], counts: ArrayLike<number>): Draw["summary"] {
    const median = (values: readonly (number | null)[]) =>
      medianOf(values.filter((value) => value !== null)) ?? null;
    const mean = (values: readonly (number | null)[]) =>
      values.length === 0 || values.includes(null)
        ? null
        : values.reduce<number>((sum, each) => sum + each!, 0) / values.length;
    const largest = (values: readonly (number | null)[]) =>
      values.length === 0 || values.includes(null) ? null : Math.max(...values as number[]);
    const path = (name: "query" | "key" | "value") =>
      draws.length === 0 ? null : pathRatio(draws, name, this.#settings);
    let loss = 0, sequences = 0;
    this.#losses.sums.forEach((sum, i) => {
      loss += counts[i]! * sum[0]!;
      sequences += counts[i]! * sum[1]!;
    });
    return {
      loss: ratioOf(loss, sequences),
      gradientSink: median(draws.map(({ gradientSink }) => gradientSink)),
      singleGradientSink: median(draws.map(({ singleGradientSink }) => singleGradientSink)),
      sequenceSinkRate: mean(draws.map(({ sinkRate }) => sinkRate)),
      idleSequenceSinkRate: mean(draws.map(({ idleSinkRate }) => idleSinkRate)),
      largestScore: largest(draws.flatMap(({ scores }) => scores)),
      largestIdleScore: largest(draws.flatMap(({ idleScores }) => idleScores)),
      queryPath: path("query"),
      keyPath: path("key"),
      valuePath: path("value"),
    };
  }
}

/** Replaces every number of a statistic by its interval, or by null if it is null in a resample. */
function intervalsOf(
  units: number,
  statistic: (counts: ArrayLike<number>) => unknown,
): unknown {
  const vanished = new Set<number>();
  const form = statistic(new Uint32Array(units).fill(1));
  const intervals = bootstrapIntervals(units, {
    seed: SEED,
    statistics: (counts) =>
      leaves(statistic(counts)).map((value, i) => {
        if (value === null) vanished.add(i);
        return value ?? 0;
      }),
  });
  let at = 0;
  const shaped = (value: unknown): unknown => {
    if (value === null || typeof value === "number") {
      const i = at++;
      return vanished.has(i) ? null : intervals[i]! as Interval;
    }
    if (Array.isArray(value)) return value.map(shaped);
    return Object.fromEntries(
      Object.entries(value as object).map(([key, each]) => [key, shaped(each)]),
    );
  };
  return shaped(form);
}

function leaves(value: unknown): (number | null)[] {
  if (value === null || typeof value === "number") return [value];
  return Object.values(value as object).flatMap(leaves);
}
