/** The parts of a Llama-like model in float64 that the API's `reference` does not have. */
import { matmul } from "../matmul.ts";
import { type ReferenceTensor, tensor, zeros } from "../tensor.ts";
import { ropeFrequencies, type RopeOptions } from "./rope.ts";

export interface Linear {
  /** [N, inputs] */
  readonly input: ReferenceTensor;
  /** [outputs, inputs] */
  readonly weight: ReferenceTensor;
}

/** Y = X Wᵀ: [N, outputs]. */
export function linearForward({ input, weight }: Linear): ReferenceTensor {
  return matmul({ left: input, right: weight, transposeRight: true }).product;
}

/** For Y = X Wᵀ and G = ∂L/∂Y: ∂L/∂X = G W and ∂L/∂W = Gᵀ X. */
export function linearBackward(
  { input, weight, outputGradient }: Linear & { readonly outputGradient: ReferenceTensor },
): { inputGradient: ReferenceTensor; weightGradient: ReferenceTensor } {
  return {
    inputGradient: matmul({ left: outputGradient, right: weight }).product,
    weightGradient: matmul({ left: outputGradient, right: input, transposeLeft: true }).product,
  };
}

/** Y + b, the same vector added to every row. */
export function addBias(rows: ReferenceTensor, bias: ReferenceTensor): ReferenceTensor {
  const width = bias.data.length;
  return { data: rows.data.map((x, i) => x + bias.data[i % width]!), shape: rows.shape };
}

/** ∂L/∂b = Σ over rows of ∂L/∂(Y + b): [width]. */
export function biasBackward(outputGradient: ReferenceTensor): ReferenceTensor {
  const width = outputGradient.shape.at(-1)!;
  const gradient = zeros([width]);
  outputGradient.data.forEach((x, i) => gradient.data[i % width]! += x);
  return gradient;
}

/** How rows are split into heads. */
export interface HeadLayout {
  /** B, the number of sequences. */
  readonly batch: number;
  /** T, the number of tokens in a sequence. */
  readonly context: number;
  /** H, the number of heads. */
  readonly heads: number;
  /** D, the width of a head. */
  readonly headDim: number;
  /** RoPE's base and scaling; undefined for no RoPE. */
  readonly rope: Omit<RopeOptions, "headDim"> | undefined;
}

/**
 * Splits rows [B T, H D] into heads [B, H, T, D] and applies RoPE. Columns i and i + D/2 of a head
 * are the coordinates of a point. At position t, RoPE turns this point by the angle t times
 * frequency i. Hugging Face's Llama pairs the same columns.
 *
 * Source: Su et al., arXiv 2104.09864.
 */
export function splitHeads(rows: ReferenceTensor, layout: HeadLayout): ReferenceTensor {
  const { batch, context, heads, headDim } = layout;
  const output = zeros([batch, heads, context, headDim]);
  const frequencies = frequenciesOf(layout);
  forEachHead(layout, ({ t, row, head }) => {
    turn(frequencies, { from: rows.data, start: row, to: output.data, end: head, t });
  });
  return output;
}

/**
 * Joins heads along the last dimension and undoes RoPE's rotation. This is the inverse of
 * {@linkcode splitHeads}. It also takes the gradient back through `splitHeads`, because the
 * transpose of a rotation is its inverse.
 */
export function mergeHeads(perHead: ReferenceTensor, layout: HeadLayout): ReferenceTensor {
  const { batch, context, heads, headDim } = layout;
  const output = zeros([batch * context, heads * headDim]);
  const frequencies = frequenciesOf(layout);
  forEachHead(layout, ({ t, row, head }) => {
    turn(frequencies, { from: perHead.data, start: head, to: output.data, end: row, t: -t });
  });
  return output;
}

/**
 * Calls `visit` for each head at each position. `row` is the offset of the head's D elements in
 * rows [B T, H D], `head` their offset in heads [B, H, T, D].
 */
function forEachHead(
  { batch, context, heads, headDim }: HeadLayout,
  visit: (at: { t: number; row: number; head: number }) => void,
): void {
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let t = 0; t < context; t++) {
        const row = ((b * context + t) * heads + h) * headDim;
        visit({ t, row, head: ((b * heads + h) * context + t) * headDim });
      }
    }
  }
}

/** [D/2]; all 0 without RoPE. */
function frequenciesOf({ headDim, rope }: HeadLayout): Float64Array {
  return rope === undefined ? new Float64Array(headDim / 2) : ropeFrequencies({ headDim, ...rope });
}

/** Copies one head's D elements and rotates them by RoPE's angles at position t; −t undoes this. */
function turn(
  frequencies: Float64Array,
  { from, start, to, end, t }: {
    readonly from: Float64Array;
    readonly start: number;
    readonly to: Float64Array;
    readonly end: number;
    readonly t: number;
  },
): void {
  const half = frequencies.length;
  for (let i = 0; i < half; i++) {
    const angle = t * frequencies[i]!;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const [x, y] = [from[start + i]!, from[start + i + half]!];
    to[end + i] = x * cos - y * sin;
    to[end + i + half] = y * cos + x * sin;
  }
}

/** The logistic function. */
function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** SwiGLU's two inputs, g (`gate`) and u (`up`), of equal shape. */
export interface Gated {
  readonly gate: ReferenceTensor;
  readonly up: ReferenceTensor;
}

/** m = g σ(g) u, element by element. Source: Shazeer, arXiv 2002.05202. */
export function swigluForward({ gate, up }: Gated): ReferenceTensor {
  const data = gate.data.map((g, i) => g * sigmoid(g) * up.data[i]!);
  return { data, shape: gate.shape };
}

/** For m = g σ(g) u, G = ∂L/∂m and σ = σ(g): ∂L/∂u = G g σ and ∂L/∂g = G u σ (1 + g (1 − σ)). */
export function swigluBackward(
  { gate, up, outputGradient }: Gated & { readonly outputGradient: ReferenceTensor },
): { gateGradient: ReferenceTensor; upGradient: ReferenceTensor } {
  const gateGradient = zeros(gate.shape);
  const upGradient = zeros(up.shape);
  gate.data.forEach((g, i) => {
    const s = sigmoid(g);
    const by = outputGradient.data[i]!;
    gateGradient.data[i] = by * up.data[i]! * s * (1 + g * (1 - s));
    upGradient.data[i] = by * g * s;
  });
  return { gateGradient, upGradient };
}

export interface GatedHeads {
  /** y of all heads, joined along the last dimension: [N, Hq D] */
  readonly input: ReferenceTensor;
  /**
   * The gates' logits: [N, G]. A gate multiplies a whole head if G is Hq, one element if G is Hq D.
   */
  readonly logits: ReferenceTensor;
}

/** y′ = σ(x) y, where x is the gate's logit. Source: Qiu et al., NeurIPS 2025. */
export function attentionGateForward(
  { input, logits }: GatedHeads,
): { output: ReferenceTensor; opening: ReferenceTensor } {
  const width = input.data.length / logits.data.length;
  const opening = { data: logits.data.map(sigmoid), shape: logits.shape };
  const data = input.data.map((y, i) => opening.data[Math.floor(i / width)]! * y);
  return { output: { data, shape: input.shape }, opening };
}

/**
 * For y′ = σ(x) y and G = ∂L/∂y′: ∂L/∂y = σ(x) G and ∂L/∂x = σ(x) σ(−x) Σ G y. The sum runs over
 * the elements of y that the gate x multiplies.
 */
export function attentionGateBackward(
  { input, logits, outputGradient }: GatedHeads & { readonly outputGradient: ReferenceTensor },
): { inputGradient: ReferenceTensor; logitsGradient: ReferenceTensor } {
  const width = input.data.length / logits.data.length;
  const inputGradient = zeros(input.shape);
  const logitsGradient = zeros(logits.shape);
  outputGradient.data.forEach((by, i) => {
    const gate = Math.floor(i / width);
    const logit = logits.data[gate]!;
    inputGradient.data[i] = sigmoid(logit) * by;
    logitsGradient.data[gate]! += sigmoid(logit) * sigmoid(-logit) * by * input.data[i]!;
  });
  return { inputGradient, logitsGradient };
}

/** Copies the table's row for each token: [N, d]. */
export function embed(table: ReferenceTensor, tokens: ArrayLike<number>): ReferenceTensor {
  const width = table.shape[1]!;
  const output = zeros([tokens.length, width]);
  for (let i = 0; i < tokens.length; i++) {
    const start = tokens[i]! * width;
    output.data.set(table.data.subarray(start, start + width), i * width);
  }
  return output;
}

/** Adds row i of the output gradient to the row of `tableGradient` that belongs to token i. */
export function embedBackward(
  tableGradient: ReferenceTensor,
  { tokens, outputGradient }: {
    readonly tokens: ArrayLike<number>;
    readonly outputGradient: ReferenceTensor;
  },
): void {
  const width = tableGradient.shape[1]!;
  for (let i = 0; i < tokens.length; i++) {
    for (let j = 0; j < width; j++) {
      tableGradient.data[tokens[i]! * width + j]! += outputGradient.data[i * width + j]!;
    }
  }
}

/**
 * L = −mean_i log softmax(z_i)[target_i], in nats, and ∂L/∂z_i = (softmax(z_i) − e_target) / N.
 *
 * @param logits [N, V]
 * @param targets N tokens
 */
export function crossEntropy(
  logits: ReferenceTensor,
  targets: ArrayLike<number>,
): { loss: number; logitGradient: ReferenceTensor } {
  const [rows, width] = logits.shape as [number, number];
  const logitGradient = zeros(logits.shape);
  let total = 0;
  for (let i = 0; i < rows; i++) {
    const row = logits.data.subarray(i * width, (i + 1) * width);
    const largest = row.reduce((most, z) => Math.max(most, z), -Infinity);
    let sum = 0;
    for (const z of row) sum += Math.exp(z - largest);
    const logSumExp = largest + Math.log(sum);
    total += logSumExp - row[targets[i]!]!;
    for (let j = 0; j < width; j++) {
      const share = Math.exp(row[j]! - logSumExp);
      logitGradient.data[i * width + j] = (share - (j === targets[i] ? 1 : 0)) / rows;
    }
  }
  return { loss: total / rows, logitGradient };
}

export function sum(a: ReferenceTensor, b: ReferenceTensor): ReferenceTensor {
  return { data: a.data.map((x, i) => x + b.data[i]!), shape: a.shape };
}

/** A vector of one number repeated. */
export function constantVector(length: number, value: number): ReferenceTensor {
  return tensor(new Float64Array(length).fill(value), [length]);
}
