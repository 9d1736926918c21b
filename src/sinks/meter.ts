/** Measures a model's sinks, gradient sinks and residual branches from its states and gradients. */
import { checkConfig, type LlamaConfig } from "../reference/llama/config.ts";
import type { LayerTrace, Trace } from "../reference/llama/trace.ts";
import { CompressRegression } from "./meters/branch.ts";
import { meanOverHeads, shareAbove } from "./meters/head.ts";
import { LayerMeter } from "./meters/layer.ts";
import {
  type MeasurementSource,
  SINK_MEASUREMENT_SCHEMA,
  type SinkMeasurement,
} from "./measurement.ts";
import type { AttentionMeasurement, LayerMeasurement } from "./measurement/layer.ts";
import { DEFAULT_SINK_SETTINGS, type SinkSettings } from "./measurement/settings.ts";
import {
  checkSettings,
  compareEarly,
  type Numbers,
  quartilesOf,
  thinnedPositions,
} from "./numbers.ts";
import { checkLayerGradients, checkLayerStates, checkTrace } from "./trace_check.ts";
import { layerSinkLogits } from "./sink_logit.ts";
import { layerValve } from "./valve.ts";

/** Options of {@linkcode SinkMeter}. */
export interface SinkMeterOptions {
  readonly config: LlamaConfig;
  /** T of all batches. */
  readonly context: number;
  /**
   * Each layer's θ, one for each value head; needed if V-scale is learned. V-scale's constant is
   * proportional to exp θ. The entries of layers without attention are ignored.
   */
  readonly theta?: readonly (ArrayLike<number> | undefined)[] | undefined;
  /**
   * Each layer's sink logits, one for each query head; needed if they are learned. The entries of
   * layers without attention are ignored.
   */
  readonly sinks?: readonly (ArrayLike<number> | undefined)[] | undefined;
  /**
   * Whether the traces' gradients come from the precise form of attention's backward pass. If
   * queries give almost all of their weight to the measured position, this form loses fewer digits
   * of that key's gradient and of the queries' gradients. Default: false.
   */
  readonly precise?: boolean | undefined;
  /** Settings that differ from {@linkcode DEFAULT_SINK_SETTINGS}. */
  readonly settings?: Partial<SinkSettings> | undefined;
}

/** Data of a batch besides its trace. */
export interface TracedBatchOptions {
  /**
   * [B, T], as from a task's `idleQueries`: 1 for a query without a reason to attend to any
   * particular token.
   */
  readonly idle?: Uint8Array | undefined;
  /** The batch's mean loss, in nats per token. */
  readonly loss?: number | undefined;
  /**
   * The oracle's mean loss on the batch, in nats per token. The oracle is the task's own predictor,
   * which knows how the sequences are made.
   */
  readonly oracleLoss?: number | undefined;
}

/** A mean over all sequences. It is null if any batch's value is undefined. */
class SequenceMean {
  #sum: number | undefined = 0;
  #sequences = 0;

  add(value: number | undefined, sequences: number): void {
    this.#sum = value === undefined || this.#sum === undefined
      ? undefined
      : this.#sum + sequences * value;
    this.#sequences += sequences;
  }

  result(): number | null {
    return this.#sum === undefined ? null : this.#sum / this.#sequences;
  }
}

/**
 * Measures one model's states and gradients, batch by batch, on the CPU in float64. A batch of 32 ×
 * 64 tokens with 3 layers of width 64 takes about 50 ms.
 *
 * @example
 * ```ts
 * import { SinkMeter } from "./meter.ts";
 * import { PLAIN_LLAMA } from "../reference/llama/config.ts";
 *
 * const meter = new SinkMeter({
 *   config: {
 *     vocabulary: 2,
 *     layers: 1,
 *     modelDim: 4,
 *     queryHeads: 1,
 *     keyValueHeads: 1,
 *     headDim: 4,
 *     feedForwardDim: 4,
 *     ...PLAIN_LLAMA,
 *     layersWithoutAttention: [0],
 *   },
 *   context: 2,
 * });
 * const states = Float32Array.from({ length: 8 }, (_, i) => Math.sin(i));
 * const gradients = { input: states, half: states, mlpNorm: states, output: states };
 * const layer = {
 *   input: states,
 *   half: states,
 *   mlpNorm: states,
 *   mlpResidual: states,
 *   output: states,
 * };
 * meter.add({ batch: 1, context: 2, layers: [{ ...layer, attention: undefined, gradients }] });
 * console.log(meter.result().layers[0]?.output.ratio); // token 0's norm / early tokens' norm
 * ```
 */
export class SinkMeter {
  /** The settings in use. */
  readonly settings: SinkSettings;
  readonly #config: LlamaConfig;
  readonly #context: number;
  readonly #precise: boolean;
  readonly #layers: LayerMeter[];
  readonly #loss = new SequenceMean();
  readonly #oracleLoss = new SequenceMean();
  #sequences = 0;

  /**
   * @throws {RangeError} for an impossible configuration or settings
   * @throws {TypeError} if θ or the sink logits are learned, but not given for each head
   */
  constructor(options: SinkMeterOptions) {
    const { config, context, theta, sinks, precise = false, settings } = options;
    checkConfig(config);
    this.settings = { ...DEFAULT_SINK_SETTINGS, ...settings };
    checkSettings(this.settings, context);
    this.#config = config;
    this.#context = context;
    this.#precise = precise;
    this.#layers = Array.from({ length: config.layers }, (_, index) => {
      const attends = !config.layersWithoutAttention.includes(index);
      return new LayerMeter(index, {
        config,
        settings: this.settings,
        context,
        valve: attends ? layerValve(config, theta?.[index]) : undefined,
        sinkLogits: attends ? layerSinkLogits(config, sinks?.[index]) : undefined,
        precise,
      });
    });
  }

  /**
   * Adds a batch.
   *
   * @param trace states and gradients of the batch's mean loss, on the CPU
   * @param options which queries are idle, and the losses
   * @throws {TypeError} if the trace or `idle` does not fit the model
   * @throws {RangeError} that names a NaN or an infinity; do not use the meter afterwards
   */
  add(trace: Trace<Numbers>, options: TracedBatchOptions = {}): void {
    const { batch, context } = trace;
    if (context !== this.#context) {
      throw new TypeError(`sinks: the trace has ${context} positions, wanted ${this.#context}`);
    }
    checkTrace(trace, this.#config);
    trace.layers.forEach((layer, index) => this.#take(index, layer, { ...options, batch }));
    this.addBatch({ ...options, batch });
  }

  /**
   * Adds one layer's states and gradients on a batch, for traces too large for memory. Layers may
   * come in any order. After the last layer of the batch, call {@linkcode addBatch}.
   *
   * @param layer its states, and the gradients of the batch's mean loss, on the CPU
   * @param options `batch`: B; `idle`: as in {@linkcode TracedBatchOptions}
   * @throws {TypeError} if the layer or `idle` does not fit the model
   * @throws {RangeError} that names a NaN or an infinity; do not use the meter afterwards
   */
  addLayer(
    index: number,
    layer: LayerTrace<Numbers>,
    options: { readonly batch: number; readonly idle?: Uint8Array | undefined },
  ): void {
    const check = { config: this.#config, index, batch: options.batch, context: this.#context };
    checkLayerStates(layer, check);
    checkLayerGradients(layer, check);
    this.#take(index, layer, options);
  }

  #take(
    index: number,
    layer: LayerTrace<Numbers>,
    { batch, idle }: { readonly batch: number; readonly idle?: Uint8Array | undefined },
  ): void {
    if (idle !== undefined && idle.length !== batch * this.#context) {
      throw new TypeError(
        `sinks: idle has ${idle.length} elements, wanted ${batch * this.#context}`,
      );
    }
    this.#layers[index]!.add(layer, { batch, idle });
  }

  /**
   * Ends a batch that was added layer by layer.
   *
   * @param options B, and the losses
   * @throws {RangeError} if a loss is not a finite number
   */
  addBatch(options: TracedBatchOptions & { readonly batch: number }): void {
    const { batch, loss, oracleLoss } = options;
    for (const [name, value] of Object.entries({ loss, oracleLoss })) {
      if (value !== undefined && !Number.isFinite(value)) {
        throw new RangeError(`sinks: ${name} is ${value}, wanted a finite number`);
      }
    }
    this.#loss.add(loss, batch);
    this.#oracleLoss.add(oracleLoss, batch);
    this.#sequences += batch;
  }

  /**
   * Returns the measurements over all batches added so far.
   *
   * @param source the model's origin
   * @throws {RangeError} if no batch was added
   */
  result(source: MeasurementSource | null = null): SinkMeasurement {
    if (this.#sequences === 0) {
      throw new RangeError("sinks: no batch was measured, wanted at least one");
    }
    const context = this.#context;
    const { position } = this.settings;
    const positions = thinnedPositions(context, { position });
    const points = thinnedPositions(context, { position, dense: 15 });
    const layers = this.#layers.map((layer) => layer.result({ positions, points }));
    return {
      schema: SINK_MEASUREMENT_SCHEMA,
      source,
      config: this.#config,
      settings: this.settings,
      ...this.#precise ? { precise: true } : {},
      data: { sequences: this.#sequences, context },
      loss: this.#loss.result(),
      oracleLoss: this.#oracleLoss.result(),
      positions,
      layers,
      summary: this.#summary(layers, positions),
      quantization: null,
      theory: null,
    };
  }

  #summary(
    layers: readonly LayerMeasurement[],
    positions: readonly number[],
  ): SinkMeasurement["summary"] {
    const attending = layers.flatMap(({ attention }) => attention ?? []);
    const heads = attending.flatMap((attention) => attention.heads);
    const scores = heads.map(({ score }) => score);
    const idleScores = heads.map(({ idleScore }) => idleScore);
    const { threshold } = this.settings;
    const ratios = (read: (attention: AttentionMeasurement) => number | null) =>
      quartilesOf(attending.flatMap((attention) => read(attention) ?? []));
    const meanOverLayers = (read: (attention: AttentionMeasurement) => number) =>
      attending.reduce((sum, attention) => sum + read(attention), 0) / attending.length;
    const path = (name: "query" | "key" | "value") => {
      const meters = this.#layers.flatMap(({ attention }) => attention?.gradients[name] ?? []);
      const summed = meters.map((meter) => meter.summed());
      const mean = Array.from(
        { length: this.#context },
        (_, t) => summed.reduce((sum, norms) => sum + norms[t]!, 0) / summed.length,
      );
      return { mean: positions.map((t) => mean[t]!), paths: compareEarly(mean, this.settings) };
    };
    const paths = attending.length === 0
      ? undefined
      : { query: path("query"), key: path("key"), value: path("value") };
    const fits = { attention: new CompressRegression(), mlp: new CompressRegression() };
    for (const layer of this.#layers) {
      if (layer.attention !== undefined) fits.attention.join(layer.attention.branch.regression);
      fits.mlp.join(layer.mlpRegression);
    }
    const uniform = this.#layers.find(({ attention }) => attention !== undefined)?.attention
      ?.uniform();
    const knowIdle = idleScores.length > 0 && !idleScores.includes(null);
    return {
      gradientSink: ratios(({ gradientSink }) => gradientSink.ratio),
      singleGradientSink: ratios(({ singleGradientSink }) => singleGradientSink.ratio),
      sinkRate: shareAbove(scores, threshold),
      idleSinkRate: shareAbove(idleScores, threshold),
      sequenceSinkRate: meanOverHeads(heads.map(({ sinkRate = null }) => sinkRate)),
      idleSequenceSinkRate: meanOverHeads(heads.map(({ idleSinkRate = null }) => idleSinkRate)),
      uniformScore: uniform?.score ?? null,
      uniformIdleScore: uniform?.idleScore ?? null,
      largestScore: scores.length === 0 ? null : Math.max(...scores),
      largestIdleScore: knowIdle ? Math.max(...idleScores as number[]) : null,
      ...attending.length === 0 ? {} : {
        keyGradientFloor: meanOverLayers(({ keyGradientFloor = 0 }) => keyGradientFloor),
        queryGradientFloor: meanOverLayers(({ queryGradientFloor = 0 }) => queryGradientFloor),
      },
      pathGradients: paths === undefined
        ? null
        : { query: paths.query.mean, key: paths.key.mean, value: paths.value.mean },
      paths: paths === undefined
        ? null
        : { query: paths.query.paths, key: paths.key.paths, value: paths.value.paths },
      compressFit: { attention: fits.attention.fit(), mlp: fits.mlp.fit() },
    };
  }
}
