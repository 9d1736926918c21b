/**
 * The shape of a Llama-like model: pre-norm decoder, RMSNorm, RoPE, SwiGLU, causal attention with
 * grouped heads.
 */
import { type RopeScaling, ropeScalingProblem } from "./rope.ts";

/** How a model uses V-scale. */
export type VScaleVariant = "none" | "fixed" | "learned" | "backward-only";

/** All ways to use V-scale, in the order in which tables show them. */
export const V_SCALE_VARIANTS: readonly VScaleVariant[] = [
  "none",
  "fixed",
  "learned",
  "backward-only",
];

/**
 * A query head's extra logit, which takes a part of the attention and has no value: none, learned,
 * or fixed at 0 (softmax-off-by-one).
 */
export type SinkLogit = "none" | "learned" | "zero";

/** All kinds of sink logits, in the order in which tables show them. */
export const SINK_LOGITS: readonly SinkLogit[] = ["none", "learned", "zero"];

/** Gates on the outputs of attention's heads: none, one for each head, or one for each element. */
export type AttentionGate = "none" | "head" | "element";

/** All kinds of gates, in the order in which tables show them. */
export const ATTENTION_GATES: readonly AttentionGate[] = ["none", "head", "element"];

/** A model's configuration. The comment of each length begins with its letter, such as D. */
export interface LlamaConfig {
  /** V, the number of tokens in the vocabulary, from 2 to 2²⁴ − 1. */
  readonly vocabulary: number;
  /** L, the number of layers, from 1 to 1024. */
  readonly layers: number;
  /** d, the width of the residual stream; a multiple of 4. */
  readonly modelDim: number;
  /** Hq, the number of query heads, a multiple of Hkv. */
  readonly queryHeads: number;
  /** Hkv, the number of key and value heads. */
  readonly keyValueHeads: number;
  /** D, the width of a head, a multiple of 4 up to 256. */
  readonly headDim: number;
  /** f, the width of the SwiGLU's hidden layer. */
  readonly feedForwardDim: number;
  /** ε of every RMSNorm. */
  readonly normEpsilon: number;
  /** The base of RoPE's angles, `rope_theta` in Hugging Face's configuration. */
  readonly ropeBase: number;
  /** Whether the output head computes logits with the embedding's matrix, not one of its own. */
  readonly tiedHead: boolean;
  /** The kind of V-scale, which shrinks short value vectors. */
  readonly vScale: VScaleVariant;
  /** The layers, counted from 0, that have no attention: their MLP reads the layer's input. */
  readonly layersWithoutAttention: readonly number[];
  /**
   * The gates σ(W_G h̃) that multiply the heads' outputs before W_O: none, one for each head, or
   * one for each element of a head. h̃ is the output of the RMSNorm before attention. Default:
   * none.
   */
  readonly attentionGate?: AttentionGate | undefined;
  /** The extra logit, without a value, of each query head: none, learned or 0. Default: none. */
  readonly sinkLogit?: SinkLogit | undefined;
  /** How RoPE's frequencies are stretched. Default: unstretched. */
  readonly ropeScaling?: RopeScaling | undefined;
  /** Whether W_Q, W_K and W_V have biases, as in Qwen2. Default: false. */
  readonly projectionBiases?: boolean | undefined;
  /** Whether W_O has a bias, as in Hugging Face's Llama with `attention_bias`. Default: false. */
  readonly attentionOutputBias?: boolean | undefined;
  /**
   * Whether an RMSNorm normalizes the D elements of each head's query and key before RoPE, as in
   * Qwen3. Queries and keys have separate gains. Default: false.
   */
  readonly queryKeyNorm?: boolean | undefined;
}

/**
 * The fields of a plain Llama that do not depend on its size. It has a separate head matrix, no
 * V-scale, and attention in every layer.
 */
export const PLAIN_LLAMA = {
  normEpsilon: 1e-5,
  ropeBase: 10_000,
  tiedHead: false,
  vScale: "none",
  layersWithoutAttention: [],
} as const satisfies Partial<LlamaConfig>;

/** Optional parts that no model trained by this project has. */
const BOOLEAN_PARTS = ["projectionBiases", "attentionOutputBias", "queryKeyNorm"] as const;
const PRETRAINED_FIELDS = ["ropeScaling", ...BOOLEAN_PARTS] as const;

/**
 * Refuses a model with parts that only pretrained models have, such as biases.
 *
 * @param options `operation`: the operation that cannot compute these parts; the message names it
 * @throws {RangeError} that names the first such field
 */
export function refusePretrainedParts(
  config: LlamaConfig,
  { operation }: { readonly operation: string },
): void {
  for (const field of PRETRAINED_FIELDS) {
    if (config[field] === undefined || config[field] === false) continue;
    throw new RangeError(
      `${operation}: ${field} is ${JSON.stringify(config[field])}, which it does not compute`,
    );
  }
}

/**
 * Refuses a model with parts that only this project's models have, such as V-scale.
 *
 * @param options `operation`: the operation that cannot compute these parts; the message names it
 * @throws {RangeError} that names the first such field
 */
export function refuseTrainedParts(
  config: LlamaConfig,
  { operation }: { readonly operation: string },
): void {
  for (const field of ["vScale", "attentionGate", "sinkLogit"] as const) {
    const given = config[field] ?? "none";
    if (given === "none") continue;
    throw new RangeError(`${operation}: ${field} is ${given}, which it does not compute`);
  }
  const { layersWithoutAttention } = config;
  if (layersWithoutAttention.length > 0) {
    throw new RangeError(
      `${operation}: layers ${layersWithoutAttention} have no attention, which it does not compute`,
    );
  }
}

/** The number of gates for each token in a layer with attention: 0, Hq or Hq · D. */
export function attentionGates(
  { attentionGate = "none", queryHeads, headDim }: Pick<
    LlamaConfig,
    "attentionGate" | "queryHeads" | "headDim"
  >,
): number {
  return { none: 0, head: queryHeads, element: queryHeads * headDim }[attentionGate];
}

export function hasSinkLogit({ sinkLogit = "none" }: Pick<LlamaConfig, "sinkLogit">): boolean {
  return sinkLogit !== "none";
}

/**
 * Whether the model has none of this project's parts: no V-scale, sink logits or gates, and
 * attention in every layer.
 */
export function isPlainLlama(config: LlamaConfig): boolean {
  return config.vScale === "none" && config.layersWithoutAttention.length === 0 &&
    attentionGates(config) === 0 && !hasSinkLogit(config);
}

/**
 * Says in a few words how a model's attention differs from Llama's.
 *
 * @returns for example `V-scale learned`, `learned sinks, a gate per head`, or `plain attention`
 */
export function describeInterventions(
  { vScale, sinkLogit = "none", attentionGate = "none" }: Pick<
    LlamaConfig,
    "vScale" | "sinkLogit" | "attentionGate"
  >,
): string {
  const parts = [
    vScale === "none" ? "" : `V-scale ${vScale}`,
    { none: "", learned: "learned sinks", zero: "softmax-off-by-one" }[sinkLogit],
    attentionGate === "none" ? "" : `a gate per ${attentionGate}`,
  ].filter((part) => part !== "");
  return parts.length === 0 ? "plain attention" : parts.join(", ");
}

/** σ of the initial weights N(0, σ²). V-scale's constant uses σ too. */
export const INITIAL_DEVIATION = 0.02;

/**
 * V-scale's constant for θ = 0: `C = d · D · σ²` with σ = {@linkcode INITIAL_DEVIATION}.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771.
 */
export function vScaleConstant(
  { modelDim, headDim }: Pick<LlamaConfig, "modelDim" | "headDim">,
): number {
  return modelDim * headDim * INITIAL_DEVIATION ** 2;
}

/**
 * The least and the greatest value of each field. A value outside this range is a mistake, or comes
 * from a malicious file. The vocabulary is limited because tokens are stored as float32, which
 * represents all integers below 2²⁴ exactly.
 */
const LIMITS = {
  vocabulary: [2, 2 ** 24 - 1],
  layers: [1, 1024],
  modelDim: [4, 2 ** 16],
  queryHeads: [1, 1024],
  keyValueHeads: [1, 1024],
  headDim: [4, 256],
  feedForwardDim: [4, 2 ** 20],
} as const;

/**
 * Refuses a configuration that no model can have.
 *
 * @throws {RangeError} that names the field, the given value and what is wanted
 */
export function checkConfig(config: LlamaConfig): void {
  for (const [field, [least, most]] of Object.entries(LIMITS)) {
    const given = config[field as keyof typeof LIMITS];
    refuseUnless(
      Number.isSafeInteger(given) && given >= least && given <= most,
      field,
      given,
      `an integer from ${least} to ${most}`,
    );
  }
  const { modelDim, queryHeads, keyValueHeads, headDim, feedForwardDim, layers } = config;
  refuseUnless(modelDim % 4 === 0, "modelDim", modelDim, "a multiple of 4");
  refuseUnless(feedForwardDim % 4 === 0, "feedForwardDim", feedForwardDim, "a multiple of 4");
  refuseUnless(headDim % 4 === 0, "headDim", headDim, "a multiple of 4");
  refuseUnless(
    queryHeads % keyValueHeads === 0,
    "queryHeads",
    queryHeads,
    `a multiple of the ${keyValueHeads} key and value heads`,
  );
  const { normEpsilon, ropeBase, tiedHead, vScale, layersWithoutAttention } = config;
  refuseUnless(
    Number.isFinite(normEpsilon) && normEpsilon > 0 && normEpsilon <= 1,
    "normEpsilon",
    normEpsilon,
    "a number above 0, and at most 1",
  );
  refuseUnless(
    Number.isFinite(ropeBase) && ropeBase > 1,
    "ropeBase",
    ropeBase,
    "a finite number above 1",
  );
  refuseUnless(typeof tiedHead === "boolean", "tiedHead", tiedHead, "true or false");
  refuseUnless(
    V_SCALE_VARIANTS.includes(vScale),
    "vScale",
    vScale,
    `one of ${V_SCALE_VARIANTS.join(", ")}`,
  );
  const { attentionGate = "none", sinkLogit = "none" } = config;
  refuseUnless(
    SINK_LOGITS.includes(sinkLogit),
    "sinkLogit",
    sinkLogit,
    `one of ${SINK_LOGITS.join(", ")}`,
  );
  refuseUnless(
    ATTENTION_GATES.includes(attentionGate),
    "attentionGate",
    attentionGate,
    `one of ${ATTENTION_GATES.join(", ")}`,
  );
  refuseUnless(
    Array.isArray(layersWithoutAttention) && layersWithoutAttention.length <= layers &&
      layersWithoutAttention.every((layer, i) =>
        Number.isSafeInteger(layer) && layer >= 0 && layer < layers &&
        layersWithoutAttention.indexOf(layer) === i
      ),
    "layersWithoutAttention",
    layersWithoutAttention,
    `different layers from 0 to ${layers - 1}`,
  );
  for (const field of BOOLEAN_PARTS) {
    const given = config[field] ?? false;
    refuseUnless(typeof given === "boolean", field, given, "true or false");
  }
  const problem = config.ropeScaling === undefined
    ? undefined
    : ropeScalingProblem(config.ropeScaling);
  if (problem !== undefined) refuseUnless(false, problem.field, problem.given, problem.wanted);
}

function refuseUnless(holds: boolean, field: string, given: unknown, wanted: string): void {
  if (!holds) {
    throw new RangeError(`LlamaConfig: ${field} is ${JSON.stringify(given)}, wanted ${wanted}`);
  }
}
