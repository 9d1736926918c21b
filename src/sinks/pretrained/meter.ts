/** Measures a pretrained model's states, all positions as sinks, and how much the texts matter. */
import type { LayerTrace } from "../../reference/llama/trace.ts";
import { bootstrapInterval, type Interval } from "../../statistics/resampling.ts";
import { DEFAULT_SINK_SETTINGS } from "../measurement.ts";
import { medianOf, type Numbers } from "../numbers.ts";
import { StatesMeter, type StatesMeterOptions, type StatesResultOptions } from "../states.ts";
import type { LargeActivation } from "../states/measurement.ts";
import { GradientGram } from "./gradient_interval.ts";
import { meanInterval, SEED } from "./mean_interval.ts";
import type { PretrainedLayer, PretrainedMeasurement } from "./measurement.ts";

/** Adds up layers over batches, beside a `SinkMeter`, which checks them. */
export class PretrainedMeter {
  readonly #position: number;
  readonly #states: StatesMeter;
  readonly #gradients: readonly GradientGram[];
  readonly #losses: number[] = [];

  /** @param options the model's shape, T, and settings that a `SinkMeter` takes */
  constructor(options: StatesMeterOptions) {
    const { config, context } = options;
    const { position, lastGradientPosition } = { ...DEFAULT_SINK_SETTINGS, ...options.settings };
    this.#position = position;
    this.#states = new StatesMeter(options);
    this.#gradients = Array.from(
      { length: config.layers },
      () => new GradientGram({ context, width: config.modelDim }, lastGradientPosition),
    );
  }

  /**
   * Adds one layer of a batch.
   *
   * @param index of the layer
   * @param layer its states and its gradients of the batch's mean loss
   * @param batch B
   */
  addLayer(index: number, layer: LayerTrace<Numbers>, batch: number): void {
    this.#states.addLayer(index, layer, batch);
    this.#gradients[index]!.add(layer.attention!.gradients.norm, batch);
  }

  /** @param losses of a batch's texts, in nats per token */
  addLosses(losses: readonly number[]): void {
    this.#losses.push(...losses);
  }

  /** The first layer whose output has massive elements, and those; undefined if none has. */
  massive(): { readonly layer: number; readonly values: readonly LargeActivation[] } | undefined {
    return this.#states.massive();
  }

  /**
   * The measurement over all batches so far.
   *
   * @param options which heads' attention is shown, and how tokens are spelled
   */
  result(
    options: StatesResultOptions,
  ): Omit<PretrainedMeasurement, "model" | "texts" | "interventions"> {
    const texts = this.#losses.length;
    const ratios = this.#gradients.map((gradients) => gradients.ratios(this.#position));
    const states = this.#states.result(options);
    const sinkRates = this.#states.sinkRates();
    return {
      ...states,
      layers: states.layers.map((layer, index): PretrainedLayer => ({
        ...layer,
        sinkRates: layer.sinkRates!,
        gradientSinkInterval: intervalOf(texts, ratios[index]!),
      })),
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
