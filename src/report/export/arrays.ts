/** The arrays that an export can hold: a layer's states, and the gradients with respect to them. */
import type { LlamaConfig } from "../../reference/llama/config.ts";
import type { LayerTrace } from "../../reference/llama/trace.ts";

/** One array of every layer. */
export interface ExportedArray {
  /** The array's symbol in the notation of src/reference/theory.md, and a few words about it. */
  readonly meaning: string;
  /** The names of its dimensions. */
  readonly axes: readonly string[];
  /** The lengths of all dimensions but the first, whose length is the number of texts. */
  readonly shape: (config: LlamaConfig, context: number) => readonly number[];
  /** Whether only layers with attention have this array. */
  readonly attention: boolean;
  /** Reads the array from a layer's trace. Returns undefined if the layer lacks this array. */
  readonly read: (layer: LayerTrace<Float32Array>) => Float32Array | undefined;
  /**
   * Whether the array is a gradient. The export scales gradients to the mean loss over all texts.
   */
  readonly gradient: boolean;
}

type Read = ExportedArray["read"];

function residual(
  meaning: string,
  read: Read,
  { attention = false } = {},
): ExportedArray {
  return {
    attention,
    meaning,
    axes: ["text", "position", "dimension"],
    shape: ({ modelDim }, context) => [context, modelDim],
    read,
    gradient: false,
  };
}

function heads(kind: "query" | "value", meaning: string, read: Read): ExportedArray {
  return {
    attention: true,
    meaning,
    axes: ["text", `${kind} head`, "position", "dimension"],
    shape: ({ queryHeads, keyValueHeads, headDim }, context) => [
      kind === "query" ? queryHeads : keyValueHeads,
      context,
      headDim,
    ],
    read,
    gradient: false,
  };
}

/**
 * Describes the loss's gradient with respect to one state. `also` names another gradient that is
 * equal to this one.
 */
function gradient(array: ExportedArray, also?: string): ExportedArray {
  const meaning = `${array.meaning}, the loss's gradient with respect to the state` +
    (also === undefined ? "" : `; it equals ${also}`);
  return { ...array, meaning, gradient: true };
}

/** All arrays by name. */
export const ARRAYS = {
  input: residual("h, the layer's input", ({ input }) => input),
  attention_norm: residual(
    "h̃, the RMSNorm output that feeds attention",
    ({ attention }) => attention?.norm,
    { attention: true },
  ),
  query: heads("query", "q after RoPE", ({ attention }) => attention?.query),
  key: heads("value", "k after RoPE", ({ attention }) => attention?.key),
  value: heads("value", "v, before V-scale", ({ attention }) => attention?.value),
  attention_output: heads(
    "query",
    "y, the heads' output",
    ({ attention }) => attention?.output,
  ),
  log_sum_exp: {
    attention: true,
    meaning: "log Σ_j e^z_tj of the scaled logits, natural",
    axes: ["text", "query head", "position"],
    shape: ({ queryHeads }, context) => [queryHeads, context],
    read: ({ attention }) => attention?.logSumExp,
    gradient: false,
  },
  attention_residual: residual(
    "r_attn, what attention adds",
    ({ attention }) => attention?.residual,
    { attention: true },
  ),
  half: residual("h^½ = h + r_attn", ({ half }) => half),
  mlp_norm: residual("h̃^½, the RMSNorm output that feeds the MLP", ({ mlpNorm }) => mlpNorm),
  mlp_residual: residual("r_mlp, what the MLP adds", ({ mlpResidual }) => mlpResidual),
  output: residual("h′ = h^½ + r_mlp, the layer's output", ({ output }) => output),
  input_gradient: gradient(residual("∇h", ({ gradients }) => gradients.input)),
  attention_norm_gradient: gradient(
    residual("∇h̃", ({ attention }) => attention?.gradients.norm, { attention: true }),
  ),
  query_gradient: gradient(heads("query", "∇q", ({ attention }) => attention?.gradients.query)),
  key_gradient: gradient(heads("value", "∇k", ({ attention }) => attention?.gradients.key)),
  value_gradient: gradient(heads("value", "∇v", ({ attention }) => attention?.gradients.value)),
  attention_output_gradient: gradient(
    heads("query", "∇y", ({ attention }) => attention?.gradients.output),
  ),
  half_gradient: gradient(residual("∇h^½", ({ gradients }) => gradients.half), "∇r_attn"),
  mlp_norm_gradient: gradient(residual("∇h̃^½", ({ gradients }) => gradients.mlpNorm)),
  output_gradient: gradient(residual("∇h′", ({ gradients }) => gradients.output), "∇r_mlp"),
} as const satisfies Readonly<Record<string, ExportedArray>>;

/** The name of an array. */
export type ArrayName = keyof typeof ARRAYS;

/** In the order of computation. */
export const ARRAY_NAMES = Object.keys(ARRAYS) as readonly ArrayName[];

/** Arrays that an export holds by default. */
export const DEFAULT_ARRAYS: readonly ArrayName[] = ["output", "attention_norm_gradient"];

/**
 * Looks up an array whose name is known only at run time. Each array has a type of its own; the
 * returned type fits all of them.
 */
export function arrayOf(name: ArrayName): ExportedArray {
  return ARRAYS[name];
}

/** The arrays that have a norm for each token: those whose last axis is named `dimension`. */
export const NORMED: readonly ArrayName[] = ARRAY_NAMES.filter((name) =>
  arrayOf(name).axes.at(-1) === "dimension"
);

/**
 * The Euclidean norm of each token's elements, over all heads together: [B, T].
 *
 * @param values one batch of a {@linkcode NORMED} array
 * @param size B, T and the array's number of heads, 1 without heads
 */
export function tokenNorms(
  values: Float32Array,
  { batch, context, heads }: {
    readonly batch: number;
    readonly context: number;
    readonly heads: number;
  },
): Float64Array {
  const width = values.length / (batch * heads * context);
  const squares = new Float64Array(batch * context);
  for (let row = 0; row < batch * heads * context; row++) {
    let sum = 0;
    for (let i = row * width; i < (row + 1) * width; i++) sum += values[i]! ** 2;
    const text = Math.floor(row / (heads * context));
    squares[text * context + row % context]! += sum;
  }
  return squares.map(Math.sqrt);
}
