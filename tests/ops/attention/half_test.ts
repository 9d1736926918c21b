/**
 * Attention's kernels that keep tiles in f16 are as exact as their error analysis says, for
 * gradients of every size.
 */
import { attentionTiledMemory } from "../../../kernels/attention/tiled/memory.ts";
import type { Gpu } from "../../../mod.ts";
import {
  attentionBackwardHalfVariants,
  attentionBackwardVariants,
} from "../../../src/ops/attention/backward_variants.ts";
import {
  attentionForwardHalfVariants,
  attentionForwardVariants,
} from "../../../src/ops/attention/forward_variants.ts";
import {
  attentionHalfTiles,
  type AttentionTile,
  attentionTiles,
  unfitTiled,
} from "../../../src/ops/attention/tiled.ts";
import { chooseVariant } from "../../../src/ops/shared/variants.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import {
  compileVariant,
  gpuWithRegisters,
  jointKernels,
  SMALL_TILE_VARIANT,
  smallTile,
  tiledKernels,
  tiledRewrites,
} from "../../support/attention/small_tile.ts";
import { checkVariant, type KernelProperty, testMutants } from "../../support/forced_kernels.ts";
import { siblingGpu, testGpu } from "../../support/gpu.ts";
import {
  attentionBackwardIsCausal,
  attentionForwardIsCausal,
  attentionRepeatsItself,
} from "../../support/properties/attention/bits.ts";
import {
  attentionBackwardMatchesTwinInHalf,
  attentionForwardMatchesTwinInHalf,
  describeHalf,
  halfExamples,
  HEAD_DIM,
} from "../../support/properties/attention/half_twin.ts";
import {
  attentionBackwardPassesNonFinite,
  attentionForwardPassesNonFinite,
} from "../../support/properties/attention/non_finite.ts";
import { describeReport } from "../../support/report.ts";

const { forward: forwardKernel, query: queryKernel } = tiledKernels;
const variant = SMALL_TILE_VARIANT;
const rewrites = tiledRewrites({ ...smallTile, headDim: HEAD_DIM, storage: "f16" });
const pinned = { examples: halfExamples, runs: 0 };
const forwardTwin: KernelProperty = (gpu) => attentionForwardMatchesTwinInHalf(gpu, pinned);
const backwardTwin: KernelProperty = (gpu) => attentionBackwardMatchesTwinInHalf(gpu, pinned);

// This test runs only in Deno, because with Dawn the driver takes most of a minute to compile these
// kernels. tiled_test.ts compiles them with Dawn as far as SPIR-V.
Deno.test("attention's f16 kernels meet their error bounds and the properties of the f32 kernels [deno]", async () => {
  const bits = { examples: halfExamples.slice(0, 6), runs: 0 };
  const one = { examples: halfExamples.slice(5, 6), runs: 0 };
  await checkVariant(await gpuWithRegisters(), {
    variant,
    kernels: jointKernels,
    rewrites,
    properties: [
      attentionForwardMatchesTwinInHalf,
      attentionBackwardMatchesTwinInHalf,
      (gpu) => attentionForwardIsCausal(gpu, bits),
      (gpu) => attentionBackwardIsCausal(gpu, bits),
      (gpu) => attentionRepeatsItself(gpu, bits),
      (gpu) => attentionForwardPassesNonFinite(gpu, one),
      (gpu) => attentionBackwardPassesNonFinite(gpu, one),
    ],
  });
});

Deno.test('attention forward "tiled-32x32-f16" agrees with the twin', async () => {
  const report = await attentionForwardMatchesTwinInHalf(await testGpu("deno"), {
    variant: "tiled-32x32-f16",
    examples: [
      describeHalf({ keyHeads: 2, group: 2, length: 77, headDim: 20, seed: 504 }),
      describeHalf({ length: 33, headDim: 20, seed: 505, operands: "rounded" }),
    ],
    runs: 0,
  });
  console.log(`    ${describeReport(report)}`);
});

// This test runs no kernel. Deno compiles the WGSL, and the driver would compile a kernel only when
// it first runs.
Deno.test("attention's variants in f16 plan the kernels that were tested, in half the memory", async () => {
  const gpu = siblingGpu(await testGpu("deno"), {});
  const halves: string[] = [];
  gpu.pipelines.rewrite = ({ file, source }) => {
    if (source.includes("pack2x16float")) halves.push(file);
    return source;
  };
  const names = Object.keys(attentionHalfTiles);
  assertEquals(attentionForwardHalfVariants.map(({ name }) => name), names);
  assertEquals(attentionBackwardHalfVariants.map(({ name }) => name), names);
  for (const variant of names) {
    halves.length = 0;
    await compileVariant(gpu, variant);
    assertEquals(halves.slice(0, 2), [forwardKernel, queryKernel]);
    assert(halves.slice(2).every((file) => Object.values(tiledKernels).includes(file)));
    const tile = attentionHalfTiles[variant]!;
    const { storage: _, ...single } = tile;
    const partial = 16 * tile.across * (tile.down * tile.blocksDown | 1);
    const memory = (tile: AttentionTile) =>
      attentionTiledMemory({ ...tile, headDim: 64 }) - partial;
    assertEquals(memory(tile), memory(single) / 2);
  }
});

Deno.test("unfitTiled() counts f16's smaller storage: the largest tile fits WebGPU's guaranteed memory", () => {
  const gpu = {
    device: {
      limits: {
        maxComputeInvocationsPerWorkgroup: 256,
        maxComputeWorkgroupStorageSize: 16384,
        maxComputeWorkgroupsPerDimension: 65535,
      },
      features: new Set(),
    },
  } as unknown as Gpu;
  const shape = { batches: 1, queryHeads: 1, keyValueHeads: 1, sequenceLength: 64, headDim: 128 };
  assert(unfitTiled(gpu, shape, attentionTiles["tiled-64x64"]!) !== undefined);
  assertEquals(unfitTiled(gpu, shape, attentionHalfTiles["tiled-64x64-f16"]!), undefined);
});

Deno.test("attention's kernels in f16 are never chosen, not even by a tuned choice", async () => {
  const gpu = siblingGpu(await testGpu("deno"), { software: false });
  const shape = { batches: 1, queryHeads: 1, keyValueHeads: 1, sequenceLength: 64, headDim: 64 };
  const name = "tiled-32x32-f16";
  gpu.variants.get = () => name;
  const choice = { operator: "attention", shapeClass: "any", shape };
  const namedOnly = attentionBackwardHalfVariants;
  for (const wanted of [undefined, name]) {
    const forward = chooseVariant(gpu, attentionForwardVariants, {
      ...choice,
      wanted,
      namedOnly: attentionForwardHalfVariants,
    });
    const backward = chooseVariant(gpu, attentionBackwardVariants, {
      ...choice,
      wanted,
      namedOnly,
    });
    assertEquals(
      [forward.name === name, backward.name === name],
      wanted === name ? [true, true] : [false, false],
    );
  }
});

testMutants(variant, rewrites, [
  [forwardKernel, forwardTwin, {
    "weights are shared in another unit than they are read in": [/16384\.0 \* weight/g, "weight"],
  }],
  [queryKernel, backwardTwin, {
    "small gradients of the logits are not enlarged": [
      /(enlargement|reduction)\(logitGradientLargest\d\)/g,
      "vec4f(1.0)",
    ],
    "masked keys decide over the scale of a row": [
      /vec4u\(firstColumn \+ \(x .*?\)\) <= position(\d)/g,
      "position$1 == position$1",
    ],
    "outputGradient and value are rounded": [
      /bitcast<vec2u>\((vec4f\(.*?\))\.(\w+)\)/g,
      "bitcast<vec2u>(fromHalves(toHalves($1)).$2)",
    ],
  }],
]);
