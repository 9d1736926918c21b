/** Whether a trace is one of the model that it is said to be of, and holds numbers only. */
import type { LlamaConfig } from "../model/config.ts";
import type { LayerTrace, Trace } from "../model/trace.ts";
import type { Numbers } from "./numbers.ts";

/** A state's or gradient's name, its elements, and how many heads of which width a token has in it. */
interface NamedState {
  readonly name: string;
  readonly data: Numbers;
  readonly heads: number;
  readonly width: number;
}

function* states(
  layer: LayerTrace<Numbers>,
  config: LlamaConfig,
): Generator<NamedState> {
  const { modelDim: d, queryHeads: hq, keyValueHeads: hkv, headDim: dh } = config;
  const state = (name: string, data: Numbers, heads = 1, width = d) => ({
    name,
    data,
    heads,
    width,
  });
  const { attention, gradients } = layer;
  for (const name of ["input", "half", "mlpNorm", "mlpResidual", "output"] as const) {
    yield state(name, layer[name]);
  }
  for (const name of ["input", "half", "mlpNorm", "output"] as const) {
    yield state(`gradients.${name}`, gradients[name]);
  }
  if (attention === undefined) return;
  yield state("attention.norm", attention.norm);
  yield state("attention.query", attention.query, hq, dh);
  yield state("attention.key", attention.key, hkv, dh);
  yield state("attention.value", attention.value, hkv, dh);
  yield state("attention.output", attention.output, hq, dh);
  yield state("attention.logSumExp", attention.logSumExp, hq, 1);
  yield state("attention.residual", attention.residual);
  const by = attention.gradients;
  yield state("attention.gradients.norm", by.norm);
  yield state("attention.gradients.query", by.query, hq, dh);
  yield state("attention.gradients.key", by.key, hkv, dh);
  yield state("attention.gradients.value", by.value, hkv, dh);
  yield state("attention.gradients.output", by.output, hq, dh);
}

/**
 * Refuses a trace that does not fit its model, or that holds something that is no number.
 *
 * @param trace of one batch
 * @param config of the model
 * @throws {TypeError} if a layer or a tensor is missing or has another length than the model gives it
 * @throws {RangeError} naming the first NaN or infinity: the layer, the tensor, the sequence and the position
 */
export function checkTrace(trace: Trace<Numbers>, config: LlamaConfig): void {
  const { batch, context, layers } = trace;
  if (layers.length !== config.layers) {
    throw new TypeError(
      `sinks: the trace has ${layers.length} layers, wanted the model's ${config.layers}`,
    );
  }
  layers.forEach((layer, index) => {
    const attends = !config.layersWithoutAttention.includes(index);
    if (attends !== (layer.attention !== undefined)) {
      throw new TypeError(
        `sinks: layer ${index} of the trace is ${
          attends ? "without" : "with"
        } attention, wanted it as in the model`,
      );
    }
    for (const { name, data, heads, width } of states(layer, config)) {
      const wanted = batch * heads * context * width;
      if (data.length !== wanted) {
        throw new TypeError(
          `sinks: layer ${index}'s ${name} has ${data.length} elements, wanted ${wanted}`,
        );
      }
      const bad = firstNonFinite(data);
      if (bad === undefined) continue;
      const row = Math.floor(bad / width);
      throw new RangeError(
        `sinks: layer ${index}'s ${name} holds ${data[bad]} in sequence ${
          Math.floor(row / (heads * context))
        } at position ${row % context}, wanted finite numbers`,
      );
    }
  });
}

function firstNonFinite(data: Numbers): number | undefined {
  // A sum is not finite if an element is not; it may also overflow, so then each is looked at.
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i]!;
  if (Number.isFinite(sum)) return undefined;
  const index = data.findIndex((value) => !Number.isFinite(value));
  return index < 0 ? undefined : index;
}
