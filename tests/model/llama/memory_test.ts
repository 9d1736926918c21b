import { Llama } from "../../../src/model/llama.ts";
import { trainingMemory } from "../../../src/model/llama/memory.ts";
import { AdamW } from "../../../src/model/optimizer.ts";
import { listParameters, parameterLength } from "../../../src/reference/llama/parameters.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { testGpu } from "../../support/gpu.ts";
import { llamaParameters } from "../../support/model/llama.ts";
import { packedLength } from "../../../src/model/parameter_packs.ts";
import { PLAIN_LLAMA } from "../../../src/reference/llama/config.ts";

const study = {
  vocabulary: 64,
  layers: 3,
  modelDim: 64,
  queryHeads: 2,
  keyValueHeads: 2,
  headDim: 32,
  feedForwardDim: 176,
  ...PLAIN_LLAMA,
};

const models = [
  { config: study, batch: 16, context: 64 },
  {
    config: { ...study, vScale: "learned" as const, tiedHead: true, vocabulary: 2048 },
    batch: 2,
    context: 32,
  },
  {
    config: { ...study, queryHeads: 1, keyValueHeads: 1, layersWithoutAttention: [0, 2] },
    batch: 4,
    context: 128,
  },
  { config: { ...study, keyValueHeads: 1 }, batch: 4, context: 64, microBatches: 3 },
  { config: { ...study, attentionGate: "head" as const }, batch: 8, context: 64 },
  {
    config: { ...study, attentionGate: "element" as const, sinkLogit: "zero" as const },
    batch: 2,
    context: 64,
  },
];

for (const { config, ...sizes } of models) {
  Deno.test(`trainingMemory() is within a fifth of the allocated bytes: ${JSON.stringify(sizes)}`, async () => {
    const gpu = await testGpu("deno");
    await gpu.sync();
    const before = gpu.memory.bytes;
    const parameters = llamaParameters(config, { seed: 1 });
    using model = new Llama(gpu, { config, parameters, kernels: "start", ...sizes });
    using _optimizer = new AdamW(gpu, model);
    const allocated = gpu.memory.bytes - before;
    const { total, parameters: own, states, head } = trainingMemory(config, sizes);
    assertEquals(total, own + states + head);
    const ratio = allocated / total;
    assert(ratio > 1 / 1.2 && ratio < 1.2, `allocated ${allocated}, counted ${total}`);
  });
}

Deno.test("packedLength() adds less than 64 numbers per parameter", () => {
  const length = listParameters(study).reduce((sum, each) => sum + parameterLength(each), 0);
  const packed = packedLength(study);
  assert(
    packed >= length && packed < length + 64 * listParameters(study).length,
    `${packed}, ${length}`,
  );
});
