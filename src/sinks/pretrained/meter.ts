/**
 * Measures a pretrained model's hidden states and the sink rate of every position. Also computes
 * 95 % intervals over texts: of the loss, of R_GS, and of the sink rate at position s.
 */
import type { LayerTrace } from "../../reference/llama/trace.ts";
import { bootstrapInterval, type Interval } from "../../statistics/resampling.ts";
import { LEAST_UNITS } from "../intervals.ts";
import { DEFAULT_SINK_SETTINGS } from "../measurement/settings.ts";
import { medianOf, type Numbers } from "../numbers.ts";
import { StatesMeter, type StatesMeterOptions, type StatesResultOptions } from "../states.ts";
import type { LargeActivation } from "../states/measurement.ts";
import { GradientGram } from "./gradient_interval.ts";
import { meanInterval, SEED } from "./mean_interval.ts";
import type { PretrainedLayer, PretrainedMeasurement } from "./measurement.ts";

/**
 * Measures layers over batches. It does not check the layers' numbers, so give the same layers to a
 * `SinkMeter` too, which refuses wrong lengths, NaN and infinity.
 */
export class PretrainedMeter {
  readonly #states: StatesMeter;
  readonly #gradients: readonly GradientGram[];
  readonly #losses: number[] = [];

  constructor(options: StatesMeterOptions) {
    const { config, context } = options;
    const settings = { ...DEFAULT_SINK_SETTINGS, ...options.settings };
    this.#states = new StatesMeter(options);
    this.#gradients = Array.from(
      { length: config.layers },
      () => new GradientGram({ context, width: config.modelDim }, settings),
    );
  }

  /**
   * Adds one layer's states and gradients on a batch.
   *
   * @param layer its states, and the gradients of the batch's mean loss
   * @param batch B
   */
  addLayer(index: number, layer: LayerTrace<Numbers>, batch: number): void {
    this.#states.addLayer(index, layer, batch);
    this.#gradients[index]!.add(layer.attention!.gradients.norm, batch);
  }

  /** @param losses the losses of a batch's texts, in nats per token */
  addLosses(losses: readonly number[]): void {
    this.#losses.push(...losses);
  }

  /** As {@linkcode StatesMeter.massive}. */
  massive(): { readonly layer: number; readonly values: readonly LargeActivation[] } | undefined {
    return this.#states.massive();
  }

  /** Measures all batches so far. */
  result(
    options: StatesResultOptions,
  ): Omit<PretrainedMeasurement, "model" | "texts" | "interventions"> {
    const texts = this.#losses.length;
    const ratios = this.#gradients.map((gradients) => gradients.ratios());
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
 * The 95 % interval of the R_GS that many texts would give, by the basic bootstrap of log R_GS;
 * null for fewer than 8 texts, or if a resample has no R_GS.
 *
 * R_GS of few texts is biased: noise enlarges the other tokens' gradients, which makes R_GS smaller
 * than with many texts. A resample contains some texts repeatedly and others not at all, so its
 * R_GS is smaller than the estimate by about the same factor. Plain quantiles of resamples would
 * have the bias twice and might not even contain the estimate; the basic bootstrap corrects it.
 *
 * Source: A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application (1997), section
 * 5.2.
 */
function intervalOf(
  texts: number,
  statistic: (counts: Uint32Array) => number | null,
): Interval | null {
  if (texts < LEAST_UNITS) return null;
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
