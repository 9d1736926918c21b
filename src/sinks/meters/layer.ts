/** Makes all measurements of one layer, over all batches that are added. */
import { attentionGates, type LlamaConfig } from "../../reference/llama/config.ts";
import type { AttentionTrace, LayerTrace } from "../../reference/llama/trace.ts";
import { tensor } from "../../reference/tensor.ts";
import { vScaleForward } from "../../reference/v_scale.ts";
import { BranchMeter, type CompressRegression } from "./branch.ts";
import { attentionColumn, type AttentionShape } from "../attention_column.ts";
import { GradientMeter, gradientSinkRatio, type StateShape } from "./gradient.ts";
import { GateMeter } from "./gate.ts";
import { GradientFloors } from "./gradient_floors.ts";
import { HeadMeter, meanOverHeads, shareAbove } from "./head.ts";
import type { AttentionMeasurement, LayerMeasurement } from "../measurement/layer.ts";
import type { SinkSettings } from "../measurement/settings.ts";
import { compareEarly, type Numbers } from "../numbers.ts";
import { MassiveMeter, NormMeter } from "./norm.ts";
import { SinkLogitMeter } from "./sink_logit.ts";
import type { LayerValve } from "../valve.ts";

export interface LayerMeterOptions {
  readonly config: LlamaConfig;
  readonly settings: SinkSettings;
  /** T */
  readonly context: number;
  /** This layer's V-scale: mode, θ and constants; undefined without V-scale. */
  readonly valve: LayerValve | undefined;
  /** The sink logit of each query head; undefined if the model has none. */
  readonly sinkLogits: readonly number[] | undefined;
  /**
   * Whether attention's backward pass used its precise form. If queries give almost all of their
   * weight to `settings.position`, this form loses fewer digits of that key's gradient and of the
   * queries' gradients. Default: false.
   */
  readonly precise?: boolean;
}

/** The positions that a result keeps. */
export interface KeptPositions {
  readonly positions: readonly number[];
  readonly points: readonly number[];
}

const GRADIENTS = ["norm", "query", "key", "value", "output"] as const;

/** Measures one layer's attention over batches. */
export class AttentionMeter {
  readonly branch: BranchMeter;
  /** The gradient meter of each inner state. */
  readonly gradients: Readonly<Record<typeof GRADIENTS[number], GradientMeter>>;
  readonly #options: LayerMeterOptions;
  readonly #heads: HeadMeter;
  readonly #gates: GateMeter | undefined;
  readonly #sinkLogits: SinkLogitMeter | undefined;
  readonly #floors: GradientFloors;
  readonly #value: NormMeter;
  readonly #usedValue: NormMeter;
  readonly #residual: NormMeter;

  constructor(options: LayerMeterOptions) {
    const { config, settings, context, sinkLogits, precise = false } = options;
    const { modelDim, queryHeads, keyValueHeads, headDim } = config;
    const residual = { heads: 1, context, width: modelDim };
    const query = { heads: queryHeads, context, width: headDim };
    const value = { heads: keyValueHeads, context, width: headDim };
    this.#options = options;
    this.branch = new BranchMeter(residual);
    this.gradients = {
      norm: new GradientMeter(residual),
      query: new GradientMeter(query),
      key: new GradientMeter(value),
      value: new GradientMeter(value),
      output: new GradientMeter(query),
    };
    this.#heads = new HeadMeter(queryHeads, settings);
    this.#gates = attentionGates(config) === 0
      ? undefined
      : new GateMeter({ queryHeads, context }, settings);
    this.#sinkLogits = sinkLogits && new SinkLogitMeter(sinkLogits, { context, settings });
    this.#floors = new GradientFloors({ position: settings.position, sinkLogits, precise });
    this.#value = new NormMeter(value);
    this.#usedValue = new NormMeter(value);
    this.#residual = new NormMeter(residual);
  }

  add(
    layer: LayerTrace<Numbers>,
    options: { readonly batch: number; readonly idle: Uint8Array | undefined },
  ): void {
    const attention = layer.attention as AttentionTrace<Numbers>;
    const { batch, idle } = options;
    const { config, context, valve } = this.#options;
    const shape: AttentionShape = { ...config, batch, context };
    const { position } = this.#options.settings;
    const column = attentionColumn(attention, { shape, position });
    this.#heads.add(column, { shape, idle });
    this.#sinkLogits?.add(attention.logSumExp, { batch, idle });
    if (attention.opening !== undefined) this.#gates?.add(attention.opening, { batch, idle });
    for (const name of GRADIENTS) this.gradients[name].add(attention.gradients[name], batch);
    this.#value.add(attention.value, batch);
    const usedValue = valve === undefined || valve.mode === "backward-only"
      ? attention.value
      : vScaleForward({
        value: tensor(attention.value, [batch, shape.keyValueHeads, context, shape.headDim]),
        constant: tensor(valve.constants, [shape.keyValueHeads]),
      }).scaledValue.data;
    this.#usedValue.add(usedValue, batch);
    this.#floors.add(
      { ...attention, column, value: usedValue, outputGradient: attention.gradients.output },
      shape,
    );
    this.#residual.add(attention.residual, batch);
    this.branch.add({
      input: layer.input,
      inputGradient: layer.gradients.input,
      normGradient: attention.gradients.norm,
      outputGradient: layer.gradients.half,
    }, batch);
  }

  /** The scores of uniform attention over the same queries as the heads' scores. */
  uniform(): ReturnType<HeadMeter["uniform"]> {
    return this.#heads.uniform();
  }

  result(kept: KeptPositions): AttentionMeasurement {
    const { config, settings, valve } = this.#options;
    const at = (values: readonly number[]) => kept.positions.map((t) => values[t]!);
    const gates = this.#gates?.result();
    const sinkLogits = this.#sinkLogits?.result();
    const heads = this.#heads.result().map((head, i) => ({
      ...head,
      ...sinkLogits === undefined ? {} : { sinkLogit: sinkLogits[i]! },
      ...gates === undefined ? {} : { gate: gates[i]! },
    }));
    const summed = this.gradients.norm.summed(), single = this.gradients.norm.single();
    return {
      heads,
      valueHeads: Array.from({ length: config.keyValueHeads }, (_, head) => ({
        head,
        value: compareEarly(this.#value.head(head), settings),
        usedValue: compareEarly(this.#usedValue.head(head), settings),
        theta: valve?.theta[head] ?? null,
        constant: valve?.constants[head] ?? null,
      })),
      sinkRate: shareAbove(heads.map(({ score }) => score), settings.threshold)!,
      idleSinkRate: shareAbove(heads.map(({ idleScore }) => idleScore), settings.threshold),
      sequenceSinkRate: meanOverHeads(heads.map(({ sinkRate }) => sinkRate))!,
      idleSequenceSinkRate: meanOverHeads(heads.map(({ idleSinkRate }) => idleSinkRate)),
      gradientSink: gradientSinkRatio(summed, settings),
      singleGradientSink: gradientSinkRatio(single, settings),
      gradients: {
        norm: at(summed),
        query: at(this.gradients.query.summed()),
        key: at(this.gradients.key.summed()),
        value: at(this.gradients.value.summed()),
        output: at(this.gradients.output.summed()),
      },
      keyGradientFloor: this.#floors.key,
      queryGradientFloor: this.#floors.query,
      singleNormGradient: at(single),
      value: compareEarly(this.#value.all(), settings),
      residual: compareEarly(this.#residual.all(), settings),
      branch: this.branch.result(settings, kept),
    };
  }
}

/** Measures one layer over batches. */
export class LayerMeter {
  /** undefined in a layer without attention. */
  readonly attention: AttentionMeter | undefined;
  readonly #mlp: BranchMeter;
  readonly #mlpGradient: GradientMeter;
  readonly #norms: Readonly<Record<"input" | "half" | "output" | "mlpResidual", NormMeter>>;
  readonly #massive: MassiveMeter;
  readonly #options: LayerMeterOptions;
  readonly #index: number;

  constructor(index: number, options: LayerMeterOptions) {
    const { config, settings, context } = options;
    const residual = { heads: 1, context, width: config.modelDim };
    this.#index = index;
    this.#options = options;
    this.attention = config.layersWithoutAttention.includes(index)
      ? undefined
      : new AttentionMeter(options);
    this.#mlp = new BranchMeter(residual);
    this.#mlpGradient = new GradientMeter(residual);
    this.#norms = {
      input: new NormMeter(residual),
      half: new NormMeter(residual),
      output: new NormMeter(residual),
      mlpResidual: new NormMeter(residual),
    };
    this.#massive = new MassiveMeter(settings.position);
  }

  /** The sums over this layer's MLP branch, to join into a fit of Compress over all layers. */
  get mlpRegression(): CompressRegression {
    return this.#mlp.regression;
  }

  add(
    layer: LayerTrace<Numbers>,
    options: { readonly batch: number; readonly idle: Uint8Array | undefined },
  ): void {
    const { batch } = options;
    const { config, context } = this.#options;
    this.attention?.add(layer, options);
    this.#mlp.add({
      input: layer.half,
      inputGradient: layer.gradients.half,
      normGradient: layer.gradients.mlpNorm,
      outputGradient: layer.gradients.output,
    }, batch);
    this.#mlpGradient.add(layer.gradients.mlpNorm, batch);
    for (const name of ["input", "half", "output", "mlpResidual"] as const) {
      this.#norms[name].add(layer[name], batch);
    }
    const shape: StateShape = { batch, heads: 1, context, width: config.modelDim };
    this.#massive.add(layer.output, shape);
  }

  result(kept: KeptPositions): LayerMeasurement {
    const { settings } = this.#options;
    const at = (values: readonly number[]) => kept.positions.map((t) => values[t]!);
    const outputs = this.#norms.output.all();
    return {
      layer: this.#index,
      attention: this.attention?.result(kept) ?? null,
      mlp: {
        residual: compareEarly(this.#norms.mlpResidual.all(), settings),
        normGradient: at(this.#mlpGradient.summed()),
        branch: this.#mlp.result(settings, kept),
      },
      input: compareEarly(this.#norms.input.all(), settings),
      half: compareEarly(this.#norms.half.all(), settings),
      output: compareEarly(outputs, settings),
      outputByPosition: at(outputs),
      massive: this.#massive.result(),
    };
  }
}
