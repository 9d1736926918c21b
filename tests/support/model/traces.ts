/** Traces of small models by the float64 twin, for tests of the measurements on them. */
import { randomNormal } from "../../../src/random.ts";
import { llamaGradients } from "../../../src/reference/llama.ts";
import { type LlamaConfig, PLAIN_LLAMA } from "../../../src/reference/llama/config.ts";
import {
  EMBEDDING,
  initialValues,
  layerParameterNames,
  listParameters,
} from "../../../src/reference/llama/parameters.ts";
import type { AttentionTrace, LayerTrace, Trace } from "../../../src/reference/llama/trace.ts";
import type { Numbers } from "../../../src/sinks/numbers.ts";

/** A model small enough for the twin, with grouped heads and one layer without attention. */
export const SMALL: LlamaConfig = {
  vocabulary: 11,
  layers: 3,
  modelDim: 12,
  queryHeads: 4,
  keyValueHeads: 2,
  headDim: 4,
  feedForwardDim: 16,
  ...PLAIN_LLAMA,
  layersWithoutAttention: [1],
};

export interface TracedModel {
  readonly config: LlamaConfig;
  readonly trace: Trace<Float64Array>;
  readonly gains: { readonly attention: Float64Array | undefined; readonly mlp: Float64Array }[];
  readonly theta: (Float64Array | undefined)[];
  readonly sinks: (Float64Array | undefined)[];
  readonly loss: number;
}

/**
 * A model far from its initial state: attention prefers some tokens, and gains and θ have changed.
 */
export function tracedModel(options: {
  readonly config?: Partial<LlamaConfig>;
  readonly batch?: number;
  readonly context?: number;
  readonly seed?: number;
  /**
   * A factor on the initial weights, except for those of values. With 25, attention prefers some
   * tokens; with 80, some attention weights underflow in float32.
   */
  readonly scale?: number;
  /** A factor on token 0's embedding. */
  readonly massive?: number;
} = {}): TracedModel {
  const { batch = 3, context = 10, seed = 1, scale = 25, massive = 1 } = options;
  const config = { ...SMALL, ...options.config };
  const parameters = new Map(
    listParameters(config).map((parameter) => {
      const values = Float64Array.from(initialValues(parameter, { seed }));
      const noise = randomNormal({ seed: seed + values.length, length: values.length });
      return [
        parameter.name,
        values.map((value, i) =>
          parameter.initial !== "normal"
            ? value + 0.3 * noise[i]!
            // With such values, V-scale's valve is half open.
            : parameter.name.includes("v_proj")
            ? 1.5 * value
            : scale * value
        ),
      ];
    }),
  );
  parameters.get(EMBEDDING)!.subarray(0, config.modelDim).forEach((value, i, row) => {
    row[i] = massive * value;
  });
  const tokens = Array.from(
    { length: batch * (context + 1) },
    (_, i) => (7 * i + 3 * (i * i % 5) + seed) % config.vocabulary,
  );
  const at = (i: number, shift: number) =>
    tokens[Math.floor(i / context) * (context + 1) + i % context + shift]!;
  const places = Array.from({ length: batch * context }, (_, i) => i);
  const { trace, loss } = llamaGradients({
    config,
    parameters,
    batch: {
      batch,
      context,
      inputs: places.map((i) => at(i, 0)),
      targets: places.map((i) => at(i, 1)),
    },
  });
  const layers = Array.from({ length: config.layers }, (_, layer) => layerParameterNames(layer));
  return {
    config,
    trace,
    loss,
    gains: layers.map((names) => ({
      attention: parameters.get(names.attentionNorm),
      mlp: parameters.get(names.mlpNorm)!,
    })),
    theta: layers.map((names) => parameters.get(names.theta)),
    sinks: layers.map((names) => parameters.get(names.sinks)),
  };
}

/** Applies a function to every list of numbers in a trace. */
export function mapTrace<In, Out>(
  trace: Trace<In>,
  change: (numbers: In, name: string, layer: number) => Out,
): Trace<Out> {
  const mapped = (record: object, layer: number, prefix = ""): unknown =>
    Object.fromEntries(
      Object.entries(record).map(([name, value]: [string, unknown]) => {
        const path = prefix + name;
        if (value === undefined) return [name, undefined];
        return [
          name,
          name === "attention" || name === "gradients"
            ? mapped(value as object, layer, `${path}.`)
            : change(value as In, path, layer),
        ];
      }),
    );
  return {
    ...trace,
    layers: trace.layers.map((layer, index) => mapped(layer, index) as LayerTrace<Out>),
  };
}

/** The trace rounded to float32, as a GPU returns it. */
export function rounded(trace: Trace<Float64Array>): Trace<Float32Array> {
  return mapTrace(trace, (numbers) => Float32Array.from(numbers));
}

/** A trace of one layer, d = D = 4, one head. States not given are zero, except logSumExp. */
export function handTrace(options: {
  readonly batch: number;
  readonly context: number;
  readonly layer?: Partial<Omit<LayerTrace<Numbers>, "attention" | "gradients">>;
  readonly gradients?: Partial<LayerTrace<Numbers>["gradients"]>;
  readonly attention?: Partial<Omit<AttentionTrace<Numbers>, "gradients">>;
  readonly attentionGradients?: Partial<AttentionTrace<Numbers>["gradients"]>;
}): { readonly config: LlamaConfig; readonly trace: Trace<Numbers> } {
  const { batch, context } = options;
  const zeros = () => new Float64Array(batch * context * 4);
  const config: LlamaConfig = {
    ...SMALL,
    layers: 1,
    modelDim: 4,
    queryHeads: 1,
    keyValueHeads: 1,
    headDim: 4,
    layersWithoutAttention: [],
  };
  // The logSumExp of logits that are all 0.
  const logSumExp = Float64Array.from(
    { length: batch * context },
    (_, i) => Math.log(i % context + 1),
  );
  return {
    config,
    trace: {
      batch,
      context,
      layers: [{
        input: zeros(),
        half: zeros(),
        mlpNorm: zeros(),
        mlpResidual: zeros(),
        output: zeros(),
        ...options.layer,
        gradients: {
          input: zeros(),
          half: zeros(),
          mlpNorm: zeros(),
          output: zeros(),
          ...options.gradients,
        },
        attention: {
          norm: zeros(),
          query: zeros(),
          key: zeros(),
          value: zeros(),
          output: zeros(),
          logSumExp,
          residual: zeros(),
          ...options.attention,
          gradients: {
            norm: zeros(),
            query: zeros(),
            key: zeros(),
            value: zeros(),
            output: zeros(),
            ...options.attentionGradients,
          },
        },
      }],
    },
  };
}

/** Rows [B, T, 4] that are zero except for the given first elements, so their norms are |first|. */
export function rows(...firsts: readonly number[]): Float64Array {
  return Float64Array.from(
    { length: 4 * firsts.length },
    (_, i) => i % 4 === 0 ? firsts[i / 4]! : 0,
  );
}
