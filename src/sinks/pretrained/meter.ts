/** Measures a pretrained model's states, all positions as sinks, and how much the texts matter. */
import type { LlamaConfig } from "../../reference/llama/config.ts";
import type { LayerTrace } from "../../reference/llama/trace.ts";
import { bootstrapInterval, type Interval } from "../../statistics/resampling.ts";
import { DEFAULT_SINK_SETTINGS, type SinkSettings } from "../measurement.ts";
import { medianOf, type Numbers, thinnedPositions } from "../numbers.ts";
import { PositionMeter } from "./attention.ts";
import { GradientGram } from "./gradient_interval.ts";
import { meanInterval, SEED } from "./mean_interval.ts";
import type {
  AttentionMap,
  LargeActivation,
  PretrainedMeasurement,
  StateMeasurement,
} from "./measurement.ts";
import { StateMeter } from "./states.ts";

/** What a {@linkcode PretrainedMeter} measures. */
export interface PretrainedMeterOptions {
  readonly config: LlamaConfig;
  /** T */
  readonly context: number;
  /** What differs from {@linkcode DEFAULT_SINK_SETTINGS}. */
  readonly settings?: Partial<SinkSettings> | undefined;
}

interface LayerMeters {
  readonly states: StateMeter;
  readonly attention: PositionMeter;
  readonly gradients: GradientGram;
}

/** Adds up layers over batches, beside a `SinkMeter`, which checks them. */
export class PretrainedMeter {
  readonly #config: LlamaConfig;
  readonly #context: number;
  readonly #settings: SinkSettings;
  readonly #layers: readonly LayerMeters[];
  /** How many positions can be sinks: those whose whole window lies in a text, and s. */
  readonly #sinkPositions: number;
  readonly #losses: number[] = [];

  /** @param options the model's shape, T, and settings that a `SinkMeter` takes */
  constructor({ config, context, settings }: PretrainedMeterOptions) {
    this.#config = config;
    this.#context = context;
    this.#settings = { ...DEFAULT_SINK_SETTINGS, ...settings };
    const { window, threshold, position, lastGradientPosition } = this.#settings;
    const positions = Math.max(position + 1, context - window + 1);
    this.#sinkPositions = positions;
    const shape = { context, width: config.modelDim };
    this.#layers = Array.from({ length: config.layers }, () => ({
      states: new StateMeter(shape),
      attention: new PositionMeter(
        { queryHeads: config.queryHeads, context },
        { window, threshold, positions },
      ),
      gradients: new GradientGram(shape, lastGradientPosition),
    }));
  }

  /**
   * Adds one layer of a batch.
   *
   * @param index of the layer
   * @param layer its states and its gradients of the batch's mean loss
   * @param batch B
   */
  addLayer(index: number, layer: LayerTrace<Numbers>, batch: number): void {
    const { states, attention, gradients } = this.#layers[index]!;
    states.add(layer.output, batch);
    attention.add(layer.attention!, { ...this.#config, batch, context: this.#context });
    gradients.add(layer.attention!.gradients.norm, batch);
  }

  /** @param losses of a batch's texts, in nats per token */
  addLosses(losses: readonly number[]): void {
    this.#losses.push(...losses);
  }

  /** The first layer whose output has massive elements, and those; undefined if none has. */
  massive(): { readonly layer: number; readonly values: readonly LargeActivation[] } | undefined {
    const layer = this.#layers.findIndex(({ states }) => states.massive.length > 0);
    return layer < 0 ? undefined : { layer, values: this.#layers[layer]!.states.massive };
  }

  /**
   * The measurement over all batches so far.
   *
   * @param scores α_s of every layer's query heads, which choose the heads whose attention is shown
   */
  result(
    scores: readonly (readonly number[])[],
  ): Omit<PretrainedMeasurement, "model" | "texts" | "interventions"> {
    const { position } = this.#settings;
    const { queryHeads } = this.#config;
    const texts = this.#losses.length;
    const positions = thinnedPositions(this.#context, { position });
    const ratios = this.#layers.map(({ gradients }) => gradients.ratios(position));
    const layers = this.#layers.map(({ states, attention }, layer): StateMeasurement => ({
      layer,
      ...states.result(positions),
      sinkRates: attention.rates(queryHeads),
      gradientSinkInterval: intervalOf(texts, ratios[layer]!),
    }));
    const pairs = this.#layers.length * queryHeads;
    const sinkRates = this.#losses.map((_, text) =>
      this.#layers.reduce((sum, { attention }) => sum + attention.counts[text]![position]!, 0) /
      pairs
    );
    return {
      sinkPositions: Array.from({ length: this.#sinkPositions }, (_, s) => s),
      layers,
      maps: this.#maps(scores),
      intervals: {
        loss: meanInterval(this.#losses),
        sinkRate: meanInterval(sinkRates),
        gradientSink: intervalOf(
          texts,
          (counts) => medianOf(ratios.flatMap((ratio) => ratio(counts) ?? [])) ?? null,
        ),
      },
      sinkRates,
      losses: this.#losses,
    };
  }

  /** The strongest sink, the weakest, and the head in the middle. */
  #maps(scores: readonly (readonly number[])[]): AttentionMap[] {
    const heads = scores.flatMap((own, layer) =>
      own.map((score, head) => ({ layer, head, score }))
    );
    heads.sort((a, b) => b.score - a.score || a.layer - b.layer || a.head - b.head);
    const chosen = [
      [heads[0], "the strongest sink"],
      [heads[Math.floor(heads.length / 2)], "the median score"],
      [heads.at(-1), "the weakest sink"],
    ] as const;
    return chosen.map(([each, why]) => {
      const { layer, head } = each!;
      return { layer, head, why, ...this.#layers[layer]!.attention.map(head) };
    });
  }
}

/**
 * The 95 % interval of R_GS as many texts would give it, by the basic bootstrap of its logarithm.
 *
 * A resample holds some texts twice, whose noise does not average out as that of different texts
 * does: the other tokens' gradients come out larger and R_GS smaller, by the factor by which so few
 * texts make it smaller than many would. The resamples' own quantiles would have that bias twice,
 * and leave out the estimate itself.
 *
 * Source: A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application (1997), section
 * 5.2.
 */
function intervalOf(
  texts: number,
  statistic: (counts: Uint32Array) => number | null,
): Interval | null {
  let vanished = false;
  const interval = bootstrapInterval(texts, {
    seed: SEED,
    statistic: (counts) => {
      const value = statistic(counts);
      vanished ||= value === null;
      return value ?? 0;
    },
  });
  const estimate = statistic(new Uint32Array(texts).fill(1));
  if (vanished || estimate === null || !(interval[0] > 0)) return null;
  return [estimate ** 2 / interval[1], estimate ** 2 / interval[0]];
}
