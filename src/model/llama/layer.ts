/** One decoder layer on the GPU: plans of its forward and backward pass, and their states. */
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { planAdd } from "../../ops/arithmetic/add.ts";
import { planRmsNormBackward, planRmsNormForward } from "../../ops/rms_norm.ts";
import { planSwigluBackward, planSwigluForward } from "../../ops/model/swiglu.ts";
import { layerParameterNames } from "../../reference/llama/parameters.ts";
import type { LayerTrace } from "../../reference/llama/trace.ts";
import {
  type AttentionState,
  planAttentionBlockBackward,
  planAttentionBlockForward,
} from "./attention.ts";
import { linear, linearBackward, type LlamaBuild, parameterOf, wantedGradientOf } from "./build.ts";

/** The tensors of a layer's forward pass that its backward pass and `Llama.trace` need. */
export interface LayerState {
  /** h, the residual stream before the layer: [B, T, d] */
  readonly input: Tensor;
  readonly attention: AttentionState | undefined;
  /** h^{ℓ+½}, the stream between attention and MLP: [B, T, d] */
  readonly half: Tensor;
  readonly mlp: MlpState;
  /** h^{ℓ+1}, the stream after the layer: [B, T, d] */
  readonly output: Tensor;
}

/** The MLP's tensors that its backward pass and `Llama.trace` need. */
export interface MlpState {
  /** h̃^{ℓ+½}, the RMSNorm output that feeds the MLP: [B, T, d] */
  readonly norm: Tensor;
  readonly inverseRms: Tensor;
  /** Gate and up, joined along the last dimension: [B, T, 2 f] */
  readonly projections: Tensor;
  /** g σ(g) u with the gate g and the up projection u: [B, T, f] */
  readonly hidden: Tensor;
  /** r_mlp, which the MLP adds to the stream: [B, T, d] */
  readonly residual: Tensor;
}

/** Plans a layer's forward pass from its input, [B, T, d]. */
export function planLayerForward(
  build: LlamaBuild,
  plans: Plan[],
  { layer, input }: { readonly layer: number; readonly input: Tensor },
): LayerState {
  const { workspace, config } = build;
  const { gpu } = workspace;
  const attention = config.layersWithoutAttention.includes(layer)
    ? undefined
    : planAttentionBlockForward(build, plans, { layer, input });
  const half = attention === undefined
    ? input
    : workspace.add(plans, planAdd(gpu, { terms: [input, attention.residual] })).sum;
  const mlp = planMlpForward(build, plans, { layer, input: half });
  const output = workspace.add(plans, planAdd(gpu, { terms: [half, mlp.residual] })).sum;
  return { input, attention, half, mlp, output };
}

function planMlpForward(
  build: LlamaBuild,
  plans: Plan[],
  { layer, input }: { readonly layer: number; readonly input: Tensor },
): MlpState {
  const { workspace, config, linearInput = (_, __, tensor) => tensor } = build;
  const { gpu } = workspace;
  const names = layerParameterNames(layer);
  const { output: norm, inverseRms } = workspace.add(
    plans,
    planRmsNormForward(gpu, {
      input,
      gain: parameterOf(build, names.mlpNorm),
      epsilon: config.normEpsilon,
    }),
  );
  const projections = linear(build, plans, linearInput(plans, names.gate, norm), names.gate);
  const { hidden } = workspace.add(plans, planSwigluForward(gpu, { projections }));
  const residual = linear(build, plans, linearInput(plans, names.down, hidden), names.down);
  return { norm, inverseRms, projections, hidden, residual };
}

/**
 * Plans a layer's backward pass from the loss's gradient with respect to the layer's output,
 * [B, T, d].
 *
 * @returns the layer's states and gradients
 */
export function planLayerBackward(
  build: LlamaBuild,
  plans: Plan[],
  { layer, state, outputGradient }: {
    readonly layer: number;
    readonly state: LayerState;
    readonly outputGradient: Tensor;
  },
): LayerTrace<Tensor> {
  const { input, attention, half, mlp, output } = state;
  const mlpNormGradient = planMlpBackward(build, plans, { layer, mlp, outputGradient });
  const names = layerParameterNames(layer);
  const halfGradient = planNormBackward(build, plans, {
    name: names.mlpNorm,
    input: half,
    inverseRms: mlp.inverseRms,
    outputGradient: mlpNormGradient,
    residualGradient: outputGradient,
  });
  let inputGradient = halfGradient;
  let attentionGradients;
  if (attention !== undefined) {
    attentionGradients = planAttentionBlockBackward(build, plans, {
      layer,
      attention,
      residualGradient: halfGradient,
    });
    inputGradient = planNormBackward(build, plans, {
      name: names.attentionNorm,
      input,
      inverseRms: attention.inverseRms,
      outputGradient: attentionGradients.norm,
      residualGradient: halfGradient,
    });
  }
  return {
    input,
    attention: attention === undefined || attentionGradients === undefined ? undefined : {
      norm: attention.norm,
      query: attention.query,
      key: attention.key,
      value: attention.value,
      output: attention.output,
      logSumExp: attention.logSumExp,
      ...attention.opening === undefined ? {} : { opening: attention.opening },
      residual: attention.residual,
      gradients: attentionGradients,
    },
    half,
    mlpNorm: mlp.norm,
    mlpResidual: mlp.residual,
    output,
    gradients: {
      input: inputGradient,
      half: halfGradient,
      mlpNorm: mlpNormGradient,
      output: outputGradient,
    },
  };
}

function planMlpBackward(
  build: LlamaBuild,
  plans: Plan[],
  { layer, mlp, outputGradient }: {
    readonly layer: number;
    readonly mlp: MlpState;
    readonly outputGradient: Tensor;
  },
): Tensor {
  const { workspace } = build;
  const { gpu } = workspace;
  const names = layerParameterNames(layer);
  const { norm, projections, hidden } = mlp;
  const hiddenGradient = linearBackward(build, plans, {
    name: names.down,
    input: hidden,
    outputGradient,
  });
  const { projectionsGradient } = workspace.add(
    plans,
    planSwigluBackward(gpu, { projections, hiddenGradient }),
  );
  return linearBackward(build, plans, {
    name: names.gate,
    input: norm,
    outputGradient: projectionsGradient,
  });
}

/**
 * Plans a norm's backward pass, and adds the gradient that flows around the norm's residual branch.
 *
 * @param options `name`: the gain's name; `residualGradient`: the gradient to add, undefined for
 *   the final norm, which starts no branch
 * @returns the loss's gradient with respect to the norm's input
 */
export function planNormBackward(
  build: LlamaBuild,
  plans: Plan[],
  { name, input, inverseRms, outputGradient, residualGradient }: {
    readonly name: string;
    readonly input: Tensor;
    readonly inverseRms: Tensor;
    readonly outputGradient: Tensor;
    readonly residualGradient: Tensor | undefined;
  },
): Tensor {
  const { workspace } = build;
  const { gpu } = workspace;
  const gainGradient = wantedGradientOf(build, name);
  const { inputGradient } = workspace.add(
    plans,
    planRmsNormBackward(gpu, {
      input,
      gain: parameterOf(build, name),
      inverseRms,
      outputGradient,
      ...gainGradient === undefined ? {} : { gainGradient },
    }),
  );
  return residualGradient === undefined
    ? inputGradient
    : workspace.add(plans, planAdd(gpu, { terms: [residualGradient, inputGradient] })).sum;
}
