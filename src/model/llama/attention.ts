/**
 * Plans the forward and backward pass of a layer's attention on the GPU, from the attention norm to
 * what attention adds to the residual stream.
 */
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { planAttentionBackward, planAttentionForward } from "../../ops/attention.ts";
import type { AttentionVScale } from "../../ops/attention/shape.ts";
import { planAdd } from "../../ops/arithmetic/add.ts";
import { planCopy } from "../../ops/arithmetic/copy.ts";
import { planAddBias } from "../../ops/arithmetic/add_bias.ts";
import {
  planAttentionGateBackward,
  planAttentionGateForward,
} from "../../ops/model/attention_gate.ts";
import { planHeadNormBackward, planHeadNormForward } from "../../ops/model/head_norm.ts";
import { planMergeHeads, planSplitHeads } from "../../ops/model/heads.ts";
import {
  planLearnedConstantBackward,
  planLearnedConstantForward,
} from "../../ops/v_scale/learned_constant.ts";
import { planMergeProjections, planSplitProjections } from "../../ops/model/projections.ts";
import { planRmsNormForward } from "../../ops/rms_norm.ts";
import { attentionGates, vScaleConstant } from "../../reference/llama/config.ts";
import { layerParameterNames } from "../../reference/llama/parameters.ts";
import type { AttentionTrace } from "../../reference/llama/trace.ts";
import { gradientOf, linear, linearBackward, type LlamaBuild, parameterOf } from "./build.ts";

/** The tensors of attention's forward pass that its backward pass and `Llama.trace` need. */
export interface AttentionState extends Omit<AttentionTrace<Tensor>, "gradients"> {
  readonly inverseRms: Tensor;
  /**
   * The joint projection before the query and key norms, and 1 / rms of each query and key head;
   * undefined without these norms.
   */
  readonly headNorm: { readonly projections: Tensor; readonly inverseRms: Tensor } | undefined;
  /** y, the heads' outputs, joined along the last dimension: [B, T, Hq D] */
  readonly merged: Tensor;
  readonly gate: GateState | undefined;
  readonly vScale: AttentionVScale | undefined;
  /**
   * One more logit for each query head's softmax: [Hq]. This logit takes weight, but has no value
   * vector. Undefined in a model without sink logits.
   */
  readonly sinkLogit: Tensor | undefined;
}

interface GateState {
  /** [B, T, Hq] with a gate for each head, [B, T, Hq D] with a gate for each element */
  readonly logits: Tensor;
  /** The gates' values, in the logits' shape. */
  readonly opening: Tensor;
  /** y′, the heads' outputs after their gates: [B, T, Hq D] */
  readonly output: Tensor;
}

function variantOf(name: string | undefined): { readonly variant?: string } {
  return name === undefined ? {} : { variant: name };
}

// With a single head there is nothing to split: [B, T, D] and [B, 1, T, D] have the same layout.
function split(
  { workspace, config }: LlamaBuild,
  plans: Plan[],
  input: Tensor,
): Tensor {
  const { queryHeads: heads } = config;
  const [batch, context, width] = input.shape as [number, number, number];
  return heads === 1
    ? workspace.view(input, [batch, 1, context, width])
    : workspace.add(plans, planSplitHeads(workspace.gpu, { input, heads })).output;
}

function merge({ workspace }: LlamaBuild, plans: Plan[], input: Tensor): Tensor {
  const [batch, heads, context, headDim] = input.shape as [number, number, number, number];
  return heads === 1
    ? workspace.view(input, [batch, context, headDim])
    : workspace.add(plans, planMergeHeads(workspace.gpu, { input })).output;
}

function planVScale(
  build: LlamaBuild,
  plans: Plan[],
  layer: number,
): AttentionVScale | undefined {
  const { workspace, config, constant } = build;
  if (config.vScale === "none") return undefined;
  if (constant !== undefined) {
    return { constant, mode: config.vScale === "backward-only" ? "backward-only" : "full" };
  }
  const theta = parameterOf(build, layerParameterNames(layer).theta);
  const learned = workspace.add(
    plans,
    planLearnedConstantForward(workspace.gpu, { theta, base: vScaleConstant(config) }),
  );
  return { constant: learned.constant, mode: "full" };
}

/** Plans attention's forward pass. `input` is the layer's input, [B, T, d]. */
export function planAttentionBlockForward(
  build: LlamaBuild,
  plans: Plan[],
  { layer, input }: { readonly layer: number; readonly input: Tensor },
): AttentionState {
  const { workspace, config, angles, kernels, linearInput = (_, __, tensor) => tensor } = build;
  const { gpu } = workspace;
  const { queryHeads, keyValueHeads } = config;
  const names = layerParameterNames(layer);
  const { output: norm, inverseRms } = workspace.add(
    plans,
    planRmsNormForward(gpu, {
      input,
      gain: parameterOf(build, names.attentionNorm),
      epsilon: config.normEpsilon,
    }),
  );
  const projected = linearInput(plans, names.query, norm);
  const { projections, headNorm } = planProjections(build, plans, { layer, input: projected });
  const { query, key, value } = workspace.add(
    plans,
    planSplitProjections(gpu, { projections, queryHeads, keyValueHeads, angles }),
  );
  const vScale = planVScale(build, plans, layer);
  const sinkLogit = config.sinkLogit === "learned"
    ? parameterOf(build, names.sinks)
    : build.sinkLogit;
  const { output, logSumExp } = workspace.add(
    plans,
    planAttentionForward(gpu, {
      query,
      key,
      value,
      ...vScale === undefined ? {} : { vScale },
      ...sinkLogit === undefined ? {} : { sinkLogit },
      ...variantOf(kernels.attentionForward),
    }),
  );
  const merged = merge(build, plans, output);
  const gate = planGate(build, plans, { name: names.attentionGate, input: projected, merged });
  const mixed = linearInput(plans, names.attentionOutput, gate?.output ?? merged);
  const product = linear(build, plans, mixed, names.attentionOutput);
  const residual = config.attentionOutputBias
    ? planBias(build, plans, { input: product, name: names.attentionOutputBias })
    : product;
  return {
    norm,
    inverseRms,
    headNorm,
    query,
    key,
    value,
    output,
    logSumExp,
    ...gate === undefined ? {} : { opening: gate.opening },
    merged,
    gate,
    residual,
    vScale,
    sinkLogit,
  };
}

/** Plans the gates on the heads' outputs. The logits of the gates are computed from `input`. */
function planGate(
  build: LlamaBuild,
  plans: Plan[],
  { name, input, merged }: {
    readonly name: string;
    readonly input: Tensor;
    readonly merged: Tensor;
  },
): GateState | undefined {
  const { workspace, config } = build;
  if (attentionGates(config) === 0) return undefined;
  const logits = linear(build, plans, input, name);
  const { output, opening } = workspace.add(
    plans,
    planAttentionGateForward(workspace.gpu, { input: merged, logits }),
  );
  return { logits, opening, output };
}

/**
 * Plans the joint projection to query, key and value, with biases and with query and key norms if
 * the model has them.
 */
function planProjections(
  build: LlamaBuild,
  plans: Plan[],
  { layer, input }: { readonly layer: number; readonly input: Tensor },
): { readonly projections: Tensor; readonly headNorm: AttentionState["headNorm"] } {
  const { workspace, config } = build;
  const { gpu } = workspace;
  const names = layerParameterNames(layer);
  const products = linear(build, plans, input, names.query);
  const projections = config.projectionBiases
    ? planBias(build, plans, { input: products, name: names.queryBias })
    : products;
  if (!config.queryKeyNorm) return { projections, headNorm: undefined };
  const { output, inverseRms } = workspace.add(
    plans,
    planHeadNormForward(gpu, {
      ...headNormOptions(build, layer),
      projections,
      epsilon: config.normEpsilon,
    }),
  );
  return { projections: output, headNorm: { projections, inverseRms } };
}

function planBias(
  build: LlamaBuild,
  plans: Plan[],
  { input, name }: { readonly input: Tensor; readonly name: string },
): Tensor {
  const { workspace } = build;
  const bias = parameterOf(build, name);
  return workspace.add(plans, planAddBias(workspace.gpu, { input, bias })).output;
}

function headNormOptions(build: LlamaBuild, layer: number) {
  const { queryHeads, keyValueHeads } = build.config;
  const names = layerParameterNames(layer);
  const queryGain = parameterOf(build, names.queryNorm);
  const keyGain = parameterOf(build, names.keyNorm);
  return { queryHeads, keyValueHeads, queryGain, keyGain };
}

/**
 * Plans attention's backward pass, down to its norm's output. `residualGradient` is the loss's
 * gradient with respect to what attention adds to the residual stream, [B, T, d].
 *
 * @returns the loss's gradients with respect to the layer's attention states
 */
export function planAttentionBlockBackward(
  build: LlamaBuild,
  plans: Plan[],
  { layer, attention, residualGradient }: {
    readonly layer: number;
    readonly attention: AttentionState;
    readonly residualGradient: Tensor;
  },
): AttentionTrace<Tensor>["gradients"] {
  const { workspace, config, angles, kernels, precisePosition: position } = build;
  const { gpu } = workspace;
  const names = layerParameterNames(layer);
  const { norm, headNorm, query, key, value, output, logSumExp, merged, gate, vScale } = attention;
  const { sinkLogit } = attention;
  const gatedGradient = linearBackward(build, plans, {
    name: names.attentionOutput,
    input: gate?.output ?? merged,
    outputGradient: residualGradient,
  });
  const gates = gate && workspace.add(
    plans,
    planAttentionGateBackward(gpu, {
      input: merged,
      logits: gate.logits,
      outputGradient: gatedGradient,
    }),
  );
  const mergedGradient = gates?.inputGradient ?? gatedGradient;
  const outputGradient = split(build, plans, mergedGradient);
  const {
    queryGradient,
    keyGradient,
    valueGradient,
    constantGradient,
    sinkLogitGradient,
  } = workspace.add(
    plans,
    planAttentionBackward(gpu, {
      query,
      key,
      value,
      output,
      logSumExp,
      outputGradient,
      ...vScale === undefined ? {} : { vScale },
      ...sinkLogit === undefined ? {} : { sinkLogit },
      ...position === undefined ? {} : { precise: { position } },
      ...variantOf(kernels.attentionBackward),
    }),
  );
  if (config.sinkLogit === "learned" && sinkLogitGradient !== undefined) {
    const copied = gradientOf(build, names.sinks);
    workspace.add(plans, planCopy(gpu, { source: sinkLogitGradient, copied }));
  }
  if (config.vScale === "learned" && vScale !== undefined && constantGradient !== undefined) {
    const thetaGradient = gradientOf(build, names.theta);
    workspace.add(
      plans,
      planLearnedConstantBackward(gpu, {
        constant: vScale.constant,
        constantGradient,
        thetaGradient,
      }),
    );
  }
  const { projectionsGradient } = workspace.add(
    plans,
    planMergeProjections(gpu, { queryGradient, keyGradient, valueGradient, angles }),
  );
  const plainGradient = headNorm === undefined ? projectionsGradient : workspace.add(
    plans,
    planHeadNormBackward(gpu, {
      ...headNormOptions(build, layer),
      ...headNorm,
      outputGradient: projectionsGradient,
    }),
  ).projectionsGradient;
  const pathGradient = linearBackward(build, plans, {
    name: names.query,
    input: norm,
    outputGradient: plainGradient,
  });
  const inner = {
    query: queryGradient,
    key: keyGradient,
    value: valueGradient,
    output: outputGradient,
  };
  if (gates === undefined) return { norm: pathGradient, ...inner };
  const throughGates = linearBackward(build, plans, {
    name: names.attentionGate,
    input: norm,
    outputGradient: gates.logitsGradient,
  });
  const { sum } = workspace.add(plans, planAdd(gpu, { terms: [pathGradient, throughGates] }));
  return { norm: sum, ...inner, gated: gatedGradient };
}
