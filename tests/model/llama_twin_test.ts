/** The GPU's model agrees with its float64 twin. */
import type { Gpu } from "../../mod.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { Llama } from "../../src/model/llama.ts";
import { llamaGradients } from "../../src/reference/llama.ts";
import { type LlamaConfig, V_SCALE_VARIANTS } from "../../src/reference/llama/config.ts";
import type { AttentionTrace, LayerTrace } from "../../src/reference/llama/trace.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { onEachRuntime } from "../support/gpu.ts";
import { llamaBatch, llamaParameters, SMALL_LLAMA } from "../support/model/llama.ts";

/**
 * The largest allowed distance of a tensor from the twin's tensor, divided by the norm of the
 * twin's tensor. float32 rounds by 6e-8. After sums of some dozen terms in each of three layers,
 * the largest distance measured is 6.4e-6, in the gradient of layer 0's MLP norm gain. Most are
 * below 2e-6. A wrong term causes a far larger distance.
 */
const TOLERANCE = 1e-5;

const models: Readonly<Record<string, Partial<LlamaConfig>>> = {
  ...Object.fromEntries(V_SCALE_VARIANTS.map((vScale) => [vScale, { vScale }])),
  "tied head, one key head": { tiedHead: true, vScale: "learned", keyValueHeads: 1 },
  "learned sinks": { sinkLogit: "learned" },
  "learned sinks, gates and V-scale": {
    sinkLogit: "learned",
    attentionGate: "element",
    vScale: "learned",
  },
  "softmax-off-by-one": { sinkLogit: "zero" },
  "a gate for each head": { attentionGate: "head" },
  "a gate for each element": { attentionGate: "element" },
  "a gate for the only head": { attentionGate: "head", queryHeads: 1, keyValueHeads: 1 },
  "attention everywhere, all heads alike": { layersWithoutAttention: [], keyValueHeads: 4 },
  "no attention at all": { layersWithoutAttention: [0, 1, 2] },
};

function relativeDistance(found: Float32Array, wanted: Float64Array): number {
  assertEquals(found.length, wanted.length);
  let distance = 0;
  let size = 0;
  wanted.forEach((value, i) => {
    distance += (found[i]! - value) ** 2;
    size += value ** 2;
  });
  return Math.sqrt(distance) / Math.sqrt(size);
}

type Named<Numbers> = [name: string, numbers: Numbers];

function attentionStates<Numbers>(trace: AttentionTrace<Numbers>): Named<Numbers>[] {
  const { gradients, ...states } = trace;
  return [
    ...Object.entries(states),
    ...Object.entries(gradients).map(([name, each]): Named<Numbers> => [`∇${name}`, each]),
  ];
}

function layerStates<Numbers>(layer: number, trace: LayerTrace<Numbers>): Named<Numbers>[] {
  const { attention, gradients, ...states } = trace;
  return [
    ...Object.entries(states as unknown as Record<string, Numbers>),
    ...Object.entries(gradients).map(([name, each]): Named<Numbers> => [`∇${name}`, each]),
    ...(attention === undefined ? [] : attentionStates(attention)
      .map(([name, each]): Named<Numbers> => [`attention ${name}`, each])),
  ].map(([name, each]) => [`layer ${layer} ${name}`, each]);
}

async function compare(gpu: Gpu, config: LlamaConfig, seed: number): Promise<number> {
  const parameters = llamaParameters(config, { seed });
  const batch = llamaBatch(config, { batch: 3, context: 9, seed });
  const twin = llamaGradients({
    config,
    batch,
    parameters: new Map([...parameters].map(([name, each]) => [name, Float64Array.from(each)])),
  });
  using model = new Llama(gpu, { config, batch: 3, context: 9, parameters, kernels: "start" });
  model.setBatch(batch);
  model.computeGradients();
  const wanted = new Map<string, Float64Array>([
    ["loss", Float64Array.of(twin.loss)],
    ...[...twin.gradients].map((
      [name, each],
    ): Named<Float64Array> => [`gradient of ${name}`, each]),
    ...twin.trace.layers.flatMap((layer, i) => layerStates(i, layer)),
  ].filter(([, each]) => each !== undefined) as Named<Float64Array>[]);
  const tensors = new Map<string, Tensor>([
    ["loss", model.meanLoss],
    ...[...model.gradients].map(([name, each]): Named<Tensor> => [`gradient of ${name}`, each]),
    ...model.trace.layers.flatMap((layer, i) => layerStates(i, layer)),
  ]);
  assertEquals([...tensors.keys()].sort(), [...wanted.keys()].sort());
  const names = [...tensors.keys()];
  const found = await Promise.all([...tensors.values()].map((tensor) => tensor.read()));
  let worst = 0;
  names.forEach((name, i) => {
    const target = wanted.get(name)!;
    assert(Math.hypot(...target) > 1e-6, `${name}: the twin's is as good as 0`);
    const distance = relativeDistance(found[i]!, target);
    assert(distance <= TOLERANCE, `${name}: off by ${distance} of the twin's length`);
    worst = Math.max(worst, distance);
  });
  return worst;
}

for (const [name, change] of Object.entries(models)) {
  onEachRuntime(`Llama agrees with its twin in every gradient and state: ${name}`, async (gpu) => {
    const worst = await compare(gpu, { ...SMALL_LLAMA, ...change }, 3);
    assert(worst > 1e-9, "the twin was compared with itself");
  });
}
