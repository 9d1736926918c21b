/**
 * Measures a model's hidden states and its attention to every position: massive activations and
 * their channels, sink positions, and attention maps of single heads.
 */
import type { LlamaConfig } from "../reference/llama/config.ts";
import type { LayerTrace } from "../reference/llama/trace.ts";
import { DEFAULT_SINK_SETTINGS, type SinkSettings } from "./measurement/settings.ts";
import { type Numbers, thinnedPositions } from "./numbers.ts";
import { PositionMeter } from "./states/attention.ts";
import { StateMeter } from "./states/hidden.ts";
import type {
  ChannelMeasurement,
  HeadPlace,
  LargeActivation,
  StatesMeasurement,
} from "./states/measurement.ts";
import { isSink, uniformScore } from "./uniform.ts";

/** Options of {@linkcode StatesMeter}. */
export interface StatesMeterOptions {
  readonly config: LlamaConfig;
  /** T */
  readonly context: number;
  /** Settings that differ from {@linkcode DEFAULT_SINK_SETTINGS}. */
  readonly settings?: Partial<SinkSettings> | undefined;
}

/** Options of {@linkcode StatesMeter.result}. */
export interface StatesResultOptions {
  /**
   * The sink scores α_s of every layer's query heads; they decide which heads' attention is shown.
   */
  readonly scores: readonly (readonly number[])[];
  /** A further head to show. */
  readonly head?: HeadPlace | undefined;
  /** The first tokens of the first text, spelled out; undefined if unknown. */
  readonly tokens?: readonly string[] | undefined;
}

/** The number of channels to show. */
const CHANNELS = 16;

interface LayerMeters {
  readonly states: StateMeter;
  /** undefined in a layer without attention. */
  readonly attention: PositionMeter | undefined;
}

/**
 * Adds up measurements of layers over batches. It does not check the layers' numbers, so give the
 * same layers to a `SinkMeter` too, which refuses wrong lengths, NaN and infinity.
 */
export class StatesMeter {
  readonly #config: LlamaConfig;
  readonly #context: number;
  readonly #settings: SinkSettings;
  readonly #layers: readonly LayerMeters[];
  /**
   * The number of positions that can be sinks: the positions from which a whole window of queries
   * fits into the text, and all positions up to s.
   */
  readonly #sinkPositions: number;

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

  /** Adds one layer's states on a batch of `batch` sequences. */
  addLayer(index: number, layer: LayerTrace<Numbers>, batch: number): void {
    const { states, attention } = this.#layers[index]!;
    states.add(layer.output, batch);
    if (layer.attention === undefined) return;
    attention?.add(layer.attention, { ...this.#config, batch, context: this.#context });
  }

  /**
   * Finds the first layer whose output has massive elements, and these elements. An element is
   * massive if its magnitude is above 100 and at least 1000 × its text's median magnitude. Returns
   * undefined if no layer's output has massive elements.
   */
  massive(): { readonly layer: number; readonly values: readonly LargeActivation[] } | undefined {
    const layer = this.#layers.findIndex(({ states }) => states.massive.length > 0);
    return layer < 0 ? undefined : { layer, values: this.#layers[layer]!.states.massive };
  }

  /** Each text's share of (layer, query head) pairs with a sink at s. */
  sinkRates(): number[] {
    const { position } = this.#settings;
    const attending = this.#layers.flatMap(({ attention }) => attention ?? []);
    const pairs = attending.length * this.#config.queryHeads;
    return (attending[0]?.counts ?? []).map((_, text) =>
      attending.reduce((sum, { counts }) => sum + counts[text]![position]!, 0) / pairs
    );
  }

  /** Measures all batches so far. */
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

  /**
   * Chooses the heads to show: the requested one, and those with the largest, the median and the
   * smallest score. `why` calls a head a sink only if its score counts as one.
   */
  #heads(
    scores: readonly (readonly number[])[],
    wanted: HeadPlace | undefined,
  ): (HeadPlace & { readonly why: string })[] {
    const heads = scores.flatMap((own, layer) =>
      own.map((score, head) => ({ layer, head, score }))
    );
    heads.sort((a, b) => b.score - a.score || a.layer - b.layer || a.head - b.head);
    const { position, window, threshold } = this.#settings;
    const uniform = uniformScore(position, Math.min(position + window, this.#context));
    const named = (sink: string, other: string, head: { readonly score: number } | undefined) =>
      head !== undefined && isSink(head.score, { threshold, uniform })
        ? `the ${sink} sink`
        : `${other} attention to token ${position}`;
    const [first, last] = [heads[0], heads.at(-1)];
    const chosen: [HeadPlace | undefined, string][] = [
      [wanted, "the head asked for"],
      [first, named("strongest", "most", first)],
      [heads[Math.floor(heads.length / 2)], "the median score"],
      [last, named("weakest", "least", last)],
    ];
    return chosen
      .flatMap(([head, why]) =>
        head === undefined ? [] : { layer: head.layer, head: head.head, why }
      )
      // Two choices can be the same head, for example the strongest sink and the one asked for.
      .filter((each, i, all) =>
        all.findIndex(({ layer, head }) => layer === each.layer && head === each.head) === i
      );
  }
}
