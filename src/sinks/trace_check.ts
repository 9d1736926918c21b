/**
 * Checks that a trace (a model's states and gradients on one batch) fits the model and holds finite
 * numbers only.
 */
import { attentionGates, type LlamaConfig } from "../reference/llama/config.ts";
import type { LayerTrace, Trace } from "../reference/llama/trace.ts";
import type { Numbers } from "./numbers.ts";

/** A state or gradient. `width` is the number of elements that one head has at one token. */
interface NamedState {
  readonly name: string;
  readonly data: Numbers;
  readonly heads: number;
  readonly width: number;
}

/** Lists the forward pass's states, in order of computation. */
function statesOf(layer: LayerTrace<Numbers>, config: LlamaConfig): NamedState[] {
  const { attention, input, half, mlpNorm, mlpResidual, output } = layer;
  const { residual, query, value, gates } = shapes(config);
  const opening = gated(attention?.opening, config);
  return [
    { name: "input", data: input, ...residual },
    ...attention === undefined ? [] : [
      { name: "attention.norm", data: attention.norm, ...residual },
      { name: "attention.query", data: attention.query, ...query },
      { name: "attention.key", data: attention.key, ...value },
      { name: "attention.value", data: attention.value, ...value },
      { name: "attention.logSumExp", data: attention.logSumExp, ...query, width: 1 },
      { name: "attention.output", data: attention.output, ...query },
      ...opening === undefined ? [] : [{ name: "attention.opening", data: opening, ...gates }],
      { name: "attention.residual", data: attention.residual, ...residual },
    ],
    { name: "half", data: half, ...residual },
    { name: "mlpNorm", data: mlpNorm, ...residual },
    { name: "mlpResidual", data: mlpResidual, ...residual },
    { name: "output", data: output, ...residual },
  ];
}

/** Lists the backward pass's gradients, in order of computation. */
function gradientsOf(layer: LayerTrace<Numbers>, config: LlamaConfig): NamedState[] {
  const { attention, gradients } = layer;
  const { residual, query, value, merged } = shapes(config);
  const inner = attention?.gradients;
  const byGated = gated(inner?.gated, config);
  return [
    { name: "gradients.output", data: gradients.output, ...residual },
    { name: "gradients.mlpNorm", data: gradients.mlpNorm, ...residual },
    { name: "gradients.half", data: gradients.half, ...residual },
    ...inner === undefined ? [] : [
      ...byGated === undefined
        ? []
        : [{ name: "attention.gradients.gated", data: byGated, ...merged }],
      { name: "attention.gradients.output", data: inner.output, ...query },
      { name: "attention.gradients.query", data: inner.query, ...query },
      { name: "attention.gradients.key", data: inner.key, ...value },
      { name: "attention.gradients.value", data: inner.value, ...value },
      { name: "attention.gradients.norm", data: inner.norm, ...residual },
    ],
    { name: "gradients.input", data: gradients.input, ...residual },
  ];
}

/**
 * The gates' numbers to check; undefined if the model has no gates. If the model has gates but the
 * trace lacks these numbers, the result is an empty array, whose length the check refuses.
 */
function gated(numbers: Numbers | undefined, config: LlamaConfig): Numbers | undefined {
  return attentionGates(config) === 0 ? undefined : numbers ?? new Float64Array();
}

function shapes(config: LlamaConfig) {
  const { modelDim, queryHeads, keyValueHeads, headDim } = config;
  return {
    merged: { heads: 1, width: queryHeads * headDim },
    gates: { heads: 1, width: attentionGates(config) },
    residual: { heads: 1, width: modelDim },
    query: { heads: queryHeads, width: headDim },
    value: { heads: keyValueHeads, width: headDim },
  };
}

export interface LayerCheck {
  readonly config: LlamaConfig;
  /** The layer's index. */
  readonly index: number;
  /** B */
  readonly batch: number;
  /** T */
  readonly context: number;
}

/**
 * Refuses a layer of a trace if it does not fit its model, or if its states hold a NaN or infinity.
 * The error names the first faulty tensor in the order of computation.
 *
 * @throws {TypeError} if attention or a tensor is missing or has the wrong length
 * @throws {RangeError} that names the layer, tensor, sequence and position of the first NaN or
 *   infinity
 */
export function checkLayerStates(layer: LayerTrace<Numbers>, options: LayerCheck): void {
  const { config, index } = options;
  const attends = !config.layersWithoutAttention.includes(index);
  if (attends !== (layer.attention !== undefined)) {
    throw new TypeError(
      `sinks: layer ${index} of the trace is ${
        attends ? "without" : "with"
      } attention, wanted it as in the model`,
    );
  }
  for (const state of statesOf(layer, config)) checkState(state, options);
}

/** As {@linkcode checkLayerStates}, for a layer's gradients. */
export function checkLayerGradients(layer: LayerTrace<Numbers>, options: LayerCheck): void {
  for (const state of gradientsOf(layer, options.config)) checkState(state, options);
}

/**
 * Refuses a trace that does not fit its model, or that holds a NaN or infinity. The error names the
 * first faulty tensor in the order of computation, where the trouble began.
 *
 * @throws {TypeError} if a layer or a tensor is missing or has the wrong length
 * @throws {RangeError} that names the layer, tensor, sequence and position of the first NaN or
 *   infinity
 */
export function checkTrace(trace: Trace<Numbers>, config: LlamaConfig): void {
  const { batch, context, layers } = trace;
  if (layers.length !== config.layers) {
    throw new TypeError(
      `sinks: the trace has ${layers.length} layers, wanted the model's ${config.layers}`,
    );
  }
  layers.forEach((layer, index) => checkLayerStates(layer, { config, index, batch, context }));
  for (let index = layers.length - 1; index >= 0; index--) {
    checkLayerGradients(layers[index]!, { config, index, batch, context });
  }
}

function checkState(
  { name, data, heads, width }: NamedState,
  { index, batch, context }: LayerCheck,
): void {
  const wanted = batch * heads * context * width;
  if (data.length !== wanted) {
    throw new TypeError(
      `sinks: layer ${index}'s ${name} has ${data.length} elements, wanted ${wanted}`,
    );
  }
  const bad = firstNonFinite(data);
  if (bad === undefined) return;
  const row = Math.floor(bad / width);
  throw new RangeError(
    `sinks: layer ${index}'s ${name} holds ${data[bad]} in sequence ${
      Math.floor(row / (heads * context))
    } at position ${row % context}, wanted finite numbers`,
  );
}

function firstNonFinite(data: Numbers): number | undefined {
  // If the sum is finite, so is every element. Otherwise check each element, because a sum of
  // finite elements can overflow.
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i]!;
  if (Number.isFinite(sum)) return undefined;
  const index = data.findIndex((value) => !Number.isFinite(value));
  return index < 0 ? undefined : index;
}
