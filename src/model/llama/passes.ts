/** Plans the forward and backward pass of a model from its embedding to its last layer. */
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { planAdd } from "../../ops/arithmetic/add.ts";
import { planEmbeddingBackward, planEmbeddingForward } from "../../ops/model/embedding.ts";
import { EMBEDDING } from "../../reference/llama/parameters.ts";
import type { LayerTrace } from "../../reference/llama/trace.ts";
import type { BatchTensors } from "./batch.ts";
import { gradientOf, type LlamaBuild, parameterOf } from "./build.ts";
import { type LayerState, planLayerBackward, planLayerForward } from "./layer.ts";

/** Plans the forward pass up to the head, from tokens [B, T]. */
export function planStates(
  build: LlamaBuild,
  plans: Plan[],
  tokens: Tensor,
): { readonly embedded: Tensor; readonly layers: readonly LayerState[] } {
  const { workspace, config } = build;
  const table = parameterOf(build, EMBEDDING);
  const embedded =
    workspace.add(plans, planEmbeddingForward(workspace.gpu, { tokens, table })).output;
  const layers: LayerState[] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    const input = layers.at(-1)?.output ?? embedded;
    layers.push(planLayerForward(build, plans, { layer, input }));
  }
  return { embedded, layers };
}

/**
 * Plans the backward pass from the head's gradients to the embedding.
 *
 * @returns each layer's states and their gradients
 */
export function planGradients(
  build: LlamaBuild,
  plans: Plan[],
  { layers, head, inputs }: {
    readonly layers: readonly LayerState[];
    readonly head: { readonly inputGradient: Tensor; readonly headGradient: Tensor };
    readonly inputs: BatchTensors;
  },
): LayerTrace<Tensor>[] {
  const { workspace, config } = build;
  const { gpu } = workspace;
  const traces: LayerTrace<Tensor>[] = [];
  let outputGradient = head.inputGradient;
  for (const [layer, state] of [...layers.entries()].reverse()) {
    const trace = planLayerBackward(build, plans, { layer, state, outputGradient });
    traces.unshift(trace);
    outputGradient = trace.gradients.input;
  }
  const { order, starts } = inputs;
  const embedding = gradientOf(build, EMBEDDING);
  const { tableGradient } = workspace.add(
    plans,
    planEmbeddingBackward(gpu, {
      order,
      starts,
      outputGradient,
      ...config.tiedHead ? {} : { tableGradient: embedding },
    }),
  );
  if (config.tiedHead) {
    const terms = [tableGradient, head.headGradient] as const;
    workspace.add(plans, planAdd(gpu, { terms, sum: embedding }));
  }
  return traces;
}
