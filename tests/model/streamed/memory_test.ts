import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { openWeights, type WeightSource } from "../../../src/model/pretrained/weights.ts";
import { StreamedLlama } from "../../../src/model/streamed.ts";
import { streamedMemory } from "../../../src/model/streamed/memory.ts";
import { type LlamaConfig, PLAIN_LLAMA } from "../../../src/reference/llama/config.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { onEachRuntime } from "../../support/gpu.ts";
import { familyFolder } from "../../support/pretrained/families.ts";
import { gpuInfo } from "../../support/gpu/info.ts";

const LLAMA_3_2_1B: LlamaConfig = {
  vocabulary: 128_256,
  layers: 16,
  modelDim: 2048,
  queryHeads: 32,
  keyValueHeads: 8,
  headDim: 64,
  feedForwardDim: 8192,
  ...PLAIN_LLAMA,
  ropeBase: 500_000,
  tiedHead: true,
  ropeScaling: {
    type: "llama3",
    factor: 32,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalPositions: 8192,
  },
};

const QWEN_3_0_6B: LlamaConfig = {
  ...LLAMA_3_2_1B,
  vocabulary: 151_936,
  layers: 28,
  modelDim: 1024,
  queryHeads: 16,
  headDim: 128,
  feedForwardDim: 3072,
  ropeBase: 1e6,
  ropeScaling: undefined,
  queryKeyNorm: true,
};

/** WebGPU's default limits, which every adapter has: bindings of 128 MiB, buffers of 256 MiB. */
const limits = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupsPerDimension: 65_535,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupStorageSize: 16_384,
  maxStorageBuffersPerShaderStage: 8,
  minStorageBufferOffsetAlignment: 256,
};

function sourceOf(config: LlamaConfig): WeightSource {
  // Planning reads no weights.
  const types: WeightSource["types"] = new Map();
  return { architecture: { config }, types } as WeightSource;
}

for (const [name, config] of Object.entries({ LLAMA_3_2_1B, QWEN_3_0_6B })) {
  for (const software of [false, true]) {
    const where = software ? "an adapter on the CPU" : "a GPU";
    Deno.test(`StreamedLlama takes less than 2 GB in bindings of 128 MiB on ${where}: ${name}`, () => {
      const info = gpuInfo({
        vendor: "mesa",
        software,
        features: software ? ["subgroups"] : [],
        limits,
        ...software ? { subgroupSize: { minimum: 8, maximum: 8 } } : {},
      });
      using gpu = createDryGpu(info);
      const source = sourceOf(config);
      for (const [batch, context] of [[1, 128], [1, 1024], [4, 256]] as const) {
        const { total, model, transfers } = streamedMemory(gpu, { source, batch, context });
        assert(total < 2e9, `${batch} × ${context} takes ${total} bytes`);
        assertEquals(total, model + transfers);
        // The model needs at least the weights of one layer's MLP and every layer's input.
        const least = 4 * (3 * config.modelDim * config.feedForwardDim +
          config.layers * batch * context * config.modelDim);
        assert(model > least, `${model} bytes are fewer than the ${least} of weights and states`);
      }
      assertEquals(gpu.memory.bytes, 0);
    });
  }
}

onEachRuntime("streamedMemory() counts the allocated bytes", async (gpu) => {
  using source = await openWeights(familyFolder("qwen3"));
  for (const [batch, context] of [[1, 16], [3, 40]] as const) {
    const { model } = streamedMemory(gpu, { source, batch, context });
    const before = gpu.memory.bytes;
    using _ = new StreamedLlama(gpu, { source, batch, context });
    assertEquals(model, gpu.memory.bytes - before);
  }
}, { runtimes: ["deno"], permissions: ["read"] });
