/**
 * Measures a model's hidden states and its attention to every position: massive activations and
 * their channels, where heads sink, and maps of single heads.
 */
import type { LlamaConfig } from "../reference/llama/config.ts";
import type { LayerTrace } from "../reference/llama/trace.ts";
import { DEFAULT_SINK_SETTINGS, type SinkSettings } from "./measurement.ts";
import { type Numbers, thinnedPositions } from "./numbers.ts";
import { PositionMeter } from "./states/attention.ts";
import { StateMeter } from "./states/hidden.ts";
import type {
  ChannelMeasurement,
  HeadPlace,
  LargeActivation,
  StatesMeasurement,
} from "./states/measurement.ts";

/** What a {@linkcode StatesMeter} measures. */
export interface StatesMeterOptions {
  readonly config: LlamaConfig;
  /** T */
  readonly context: number;
  /** What differs from {@linkcode DEFAULT_SINK_SETTINGS}. */
  readonly settings?: Partial<SinkSettings> | undefined;
}

/** Options of {@linkcode StatesMeter.result}. */
export interface StatesResultOptions {
  /** α_s of every layer's query heads, which choose the heads whose attention is shown. */
  readonly scores: readonly (readonly number[])[];
  /** A head to show beside those. */
  readonly head?: HeadPlace | undefined;
  /** How the first text's first tokens are spelled; undefined where they cannot be. */
  readonly tokens?: readonly string[] | undefined;
}

/** How many channels are shown. */
const CHANNELS = 16;

interface LayerMeters {
  readonly states: StateMeter;
  /** undefined in a layer without attention. */
  readonly attention: PositionMeter | undefined;
}

/** Adds up layers over batches, beside a `SinkMeter`, which checks them. */
export class StatesMeter {
  readonly #config: LlamaConfig;
  readonly #context: number;
  readonly #settings: SinkSettings;
  readonly #layers: readonly LayerMeters[];
  /** How many positions can be sinks: those whose whole window lies in a text, and s. */
  readonly #sinkPositions: number;

  /** @param options the model's shape, T, and settings that a `SinkMeter` takes */
  constructor({ config, context, settings }: StatesMeterOptions) {
    this.#config = config;
    this.#context = context;
    this.#settings = { ...DEFAULT_SINK_SETTINGS, ...settings };
    const { window, threshold, position } = this.#settings;
    const positions = Math.max(position + 1, context - window + 1);
    this.#sinkPositions = positions;
    const { queryHeads, layersWithoutAttention } = config;
    this.#layers = Array.from({ length: config.layers }, (_, layer) => ({
      states: new StateMeter({ context, width: config.modelDim }),
      attention: layersWithoutAttention.includes(layer)
        ? undefined
        : new PositionMeter({ queryHeads, context }, { window, threshold, positions }),
    }));
  }

  /**
   * Adds one layer of a batch.
   *
   * @param index of the layer
   * @param layer its states
   * @param batch B
   */
  addLayer(index: number, layer: LayerTrace<Numbers>, batch: number): void {
    const { states, attention } = this.#layers[index]!;
    states.add(layer.output, batch);
    if (layer.attention === undefined) return;
    attention?.add(layer.attention, { ...this.#config, batch, context: this.#context });
  }

  /** The first layer whose output has massive elements, and those; undefined if none has. */
  massive(): { readonly layer: number; readonly values: readonly LargeActivation[] } | undefined {
    const layer = this.#layers.findIndex(({ states }) => states.massive.length > 0);
    return layer < 0 ? undefined : { layer, values: this.#layers[layer]!.states.massive };
  }

  /** Every text's share of (layer, query head) pairs that sink at s. */
  sinkRates(): number[] {
    const { position } = this.#settings;
    const attending = this.#layers.flatMap(({ attention }) => attention ?? []);
    const pairs = attending.length * this.#config.queryHeads;
    return (attending[0]?.counts ?? []).map((_, text) =>
      attending.reduce((sum, { counts }) => sum + counts[text]![position]!, 0) / pairs
    );
  }

  /** The measurement over all batches so far. */
  result({ scores, head, tokens }: StatesResultOptions): StatesMeasurement {
    const { queryHeads } = this.#config;
    const positions = thinnedPositions(this.#context, { position: this.#settings.position });
    const heads = this.#heads(scores, head);
    const mapped = (kind: "map" | "textMap") =>
      heads.map(({ layer, head, why }) => (
        { layer, head, why, ...this.#layers[layer]!.attention![kind](head) }
      ));
    const spelled = tokens === undefined ? [] : mapped("textMap");
    return {
      sinkPositions: Array.from({ length: this.#sinkPositions }, (_, s) => s),
      layers: this.#layers.map(({ states, attention }, layer) => ({
        layer,
        ...states.result(positions),
        sinkRates: attention?.rates(queryHeads) ?? null,
      })),
      maps: mapped("map"),
      channels: this.#channels(),
      ...spelled.length === 0
        ? {}
        : { firstText: { tokens: tokens!.slice(0, spelled[0]!.size), maps: spelled } },
    };
  }

  #channels(): ChannelMeasurement {
    const byLayer = this.#layers.map(({ states }) => states.channels());
    const largest = byLayer[0]!.map((_, dimension) =>
      Math.max(...byLayer.map((channels) => channels[dimension]!))
    );
    const dimensions = [...largest.keys()]
      .sort((a, b) => largest[b]! - largest[a]! || a - b)
      .slice(0, CHANNELS)
      .sort((a, b) => a - b);
    return {
      dimensions,
      largest: byLayer.map((channels) => dimensions.map((dimension) => channels[dimension]!)),
    };
  }

  /** The head that is requested, the strongest sink, the weakest, and the head in the middle. */
  #heads(
    scores: readonly (readonly number[])[],
    wanted: HeadPlace | undefined,
  ): (HeadPlace & { readonly why: string })[] {
    const heads = scores.flatMap((own, layer) =>
      own.map((score, head) => ({ layer, head, score }))
    );
    heads.sort((a, b) => b.score - a.score || a.layer - b.layer || a.head - b.head);
    const chosen: [HeadPlace | undefined, string][] = [
      [wanted, "the head asked for"],
      [heads[0], "the strongest sink"],
      [heads[Math.floor(heads.length / 2)], "the median score"],
      [heads.at(-1), "the weakest sink"],
    ];
    return chosen
      .flatMap(([head, why]) =>
        head === undefined ? [] : { layer: head.layer, head: head.head, why }
      )
      // A model of one or two heads has fewer pictures than there are reasons to show one.
      .filter((each, i, all) =>
        all.findIndex(({ layer, head }) => layer === each.layer && head === each.head) === i
      );
  }
}
