/**
 * Small calls of two kinds of operators: those that the bench does not measure, and those that can
 * write a tensor of the caller's. measured.ts has the calls of measured operators. A test fails for
 * every `plan…` function of `mod.ts` that is missing from both files.
 */
import {
  type Gpu,
  type Plan,
  planAbsoluteMaximum,
  planAccumulate,
  planAdamW,
  planAdd,
  planAttentionGateBackward,
  planAttentionGateForward,
  planCopy,
  planCrossEntropyBackward,
  planCrossEntropyForward,
  planEmbeddingBackward,
  planEmbeddingForward,
  planFakeQuantize,
  planGradientNorm,
  planLearnedConstantBackward,
  planLearnedConstantForward,
  planMatmul,
  planMergeHeads,
  planMergeProjections,
  planRmsNormBackward,
  planSplitHeads,
  planSplitProjections,
  planSum,
  planSwigluBackward,
  planSwigluForward,
  type Tensor,
} from "../../../mod.ts";
import { randomUniform } from "../../../src/random.ts";

/** A tensor argument: its shape and its elements, row-major. */
export interface Argument {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

export interface OperatorCall {
  /** The operator's name in error messages. */
  readonly operator: string;
  // deno-lint-ignore no-explicit-any
  readonly plan: (gpu: Gpu, options: any) => { readonly plan: Plan };
  /**
   * The tensors that the call reads, by name. A tensor in a list or an object has a name such as
   * `terms[0]` or `vScale.constant`.
   */
  readonly inputs: Readonly<Record<string, Argument>>;
  /** The caller's tensors that the call writes. */
  readonly written: Readonly<Record<string, Argument>>;
  readonly settings: Readonly<Record<string, unknown>>;
}

let seed = 1;

function random(...shape: readonly number[]): Argument {
  const length = shape.reduce((product, size) => product * size, 1);
  return { shape, data: randomUniform({ seed: seed++, length, minimum: -1 }) };
}

function numbers(...data: readonly number[]): Argument {
  return { shape: [data.length], data: Float32Array.from(data) };
}

function call(
  operator: string,
  plan: OperatorCall["plan"],
  { inputs, written = {}, settings = {} }: {
    readonly inputs: OperatorCall["inputs"];
    readonly written?: OperatorCall["written"];
    readonly settings?: OperatorCall["settings"];
  },
): OperatorCall {
  return { operator, plan, inputs, written, settings };
}

const adamW = {
  gradient: random(70),
  step: numbers(0.01, 10, 20),
  clipping: numbers(2, 0.5),
};
const adamWSettings = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };

export const otherCalls: readonly OperatorCall[] = [
  call("absoluteMaximum", planAbsoluteMaximum, {
    inputs: { input: random(7, 10) },
    written: { maximum: numbers(0.25) },
  }),
  call("accumulate", planAccumulate, {
    inputs: { term: random(70) },
    written: { total: random(70) },
  }),
  call("adamW", planAdamW, {
    inputs: adamW,
    written: {
      parameter: random(70),
      firstMoment: random(70),
      secondMoment: { shape: [70], data: new Float32Array(70).fill(0.3) },
    },
    settings: adamWSettings,
  }),
  call("add", planAdd, {
    inputs: { "terms[0]": random(70), "terms[1]": random(70), "terms[2]": random(70) },
    written: { sum: random(70) },
  }),
  call("attentionGateForward", planAttentionGateForward, {
    inputs: { input: random(5, 8), logits: random(5, 2) },
  }),
  call("attentionGateBackward", planAttentionGateBackward, {
    inputs: { input: random(5, 8), logits: random(5, 2), outputGradient: random(5, 8) },
  }),
  call("copy", planCopy, {
    inputs: { source: random(70) },
    written: { copied: random(70) },
    settings: { sourceStart: 3, copiedStart: 1, length: 66 },
  }),
  call("crossEntropyForward", planCrossEntropyForward, {
    inputs: { logits: random(3, 7), targets: numbers(0, 6, 2) },
  }),
  call("crossEntropyBackward", planCrossEntropyBackward, {
    inputs: { logits: random(3, 7), targets: numbers(0, 6, 2), logSumExp: numbers(2, 2.5, 3) },
  }),
  call("embeddingForward", planEmbeddingForward, {
    inputs: { tokens: numbers(4, 0, 4), table: random(5, 6) },
  }),
  call("embeddingBackward", planEmbeddingBackward, {
    inputs: {
      order: numbers(1, 0, 2),
      starts: numbers(0, 1, 1, 1, 1, 3),
      outputGradient: random(3, 6),
    },
    written: { tableGradient: random(5, 6) },
  }),
  call("fakeQuantize", planFakeQuantize, { inputs: { input: random(7, 10) } }),
  call("fakeQuantize", planFakeQuantize, {
    inputs: { input: random(7, 10), maximum: numbers(0.75) },
  }),
  call("gradientNorm", planGradientNorm, {
    inputs: { "gradients[0]": random(7, 10), "gradients[1]": random(5) },
    settings: { maximum: 0.5 },
  }),
  call("learnedConstantForward", planLearnedConstantForward, {
    inputs: { theta: random(3) },
    settings: { base: 0.5 },
  }),
  call("learnedConstantBackward", planLearnedConstantBackward, {
    inputs: { constant: numbers(0.5, 1, 2), constantGradient: random(3) },
    written: { thetaGradient: random(3) },
  }),
  call("matmul", planMatmul, {
    inputs: { left: random(2, 9, 6), right: random(2, 6, 11) },
    written: { product: random(2, 9, 11) },
  }),
  call("mergeHeads", planMergeHeads, { inputs: { input: random(2, 3, 5, 4) } }),
  call("mergeProjections", planMergeProjections, {
    inputs: {
      queryGradient: random(1, 2, 3, 4),
      keyGradient: random(1, 1, 3, 4),
      valueGradient: random(1, 1, 3, 4),
      angles: random(3, 4),
    },
  }),
  call("rmsNormBackward", planRmsNormBackward, {
    inputs: {
      input: random(6, 12),
      gain: random(12),
      inverseRms: random(6),
      outputGradient: random(6, 12),
    },
    written: { gainGradient: random(12) },
  }),
  call("splitHeads", planSplitHeads, {
    inputs: { input: random(2, 3, 8) },
    settings: { heads: 2 },
  }),
  call("splitProjections", planSplitProjections, {
    inputs: { projections: random(1, 3, 16), angles: random(3, 4) },
    settings: { queryHeads: 2, keyValueHeads: 1 },
  }),
  call("sum", planSum, { inputs: { input: random(7, 10) } }),
  call("swigluForward", planSwigluForward, { inputs: { projections: random(5, 8) } }),
  call("swigluBackward", planSwigluBackward, {
    inputs: { projections: random(5, 8), hiddenGradient: random(5, 4) },
  }),
];

/**
 * Joins `settings` and `tensors` into an operator's options. A tensor with a name such as
 * `terms[0]` or `vScale.constant` goes into a list or an object.
 */
export function optionsOf(
  settings: Readonly<Record<string, unknown>>,
  tensors: Readonly<Record<string, Tensor>>,
): Record<string, unknown> {
  const options: Record<string, unknown> = { ...settings };
  for (const [name, tensor] of Object.entries(tensors)) {
    const [, list, field] = /^(\w+)(?:\[\d+\]|\.(\w+))?$/.exec(name)!;
    if (list === name) options[name] = tensor;
    else if (field !== undefined) options[list!] = { ...options[list!] as object, [field]: tensor };
    else options[list!] = [...(options[list!] ?? []) as Tensor[], tensor];
  }
  return options;
}
