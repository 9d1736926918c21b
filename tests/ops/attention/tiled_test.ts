/**
 * Attention's tiled kernels for GPUs pass the properties of the portable ones. Every registered
 * tile is compared with the twin. The other properties and the mutants use a small tile, which
 * compiles faster. On Dawn the kernels are only compiled.
 */
import { type Gpu, openGpu } from "../../../mod.ts";
import {
  attentionHalfTiles,
  attentionTiles,
  unfitTiled,
} from "../../../src/ops/attention/tiled.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import {
  BACKWARD_ONLY,
  describeAttention,
  describeEach,
  FULL,
} from "../../support/attention/cases.ts";
import {
  compileVariant,
  gpuWithRegisters,
  jointKernels,
  partedKernels,
  SMALL_TILE_VARIANT,
  smallTile,
  tiledKernels,
  tiledRewrites,
} from "../../support/attention/small_tile.ts";
import { checkVariant, type KernelProperty, testMutants } from "../../support/forced_kernels.ts";
import { onEachRuntime, testGpu } from "../../support/gpu.ts";
import {
  attentionBackwardIsCausal,
  attentionForwardIsCausal,
  attentionRepeatsItself,
} from "../../support/properties/attention/bits.ts";
import { attentionObeysItsIdentities } from "../../support/properties/attention/laws.ts";
import {
  attentionWithSinksMatchesTwin,
  sinkExamples,
  sinksHaveLimits,
} from "../../support/properties/attention/sinks.ts";
import { lawsOfAttention } from "../../support/properties/attention/of_variants.ts";
import {
  attentionBackwardPassesNonFinite,
  attentionForwardPassesNonFinite,
} from "../../support/properties/attention/non_finite.ts";
import {
  attentionBackwardMatchesTwin,
  attentionForwardMatchesTwin,
} from "../../support/properties/attention/twin.ts";

const { forward: forwardKernel, query: queryKernel, key: keyKernel, value: valueKernel } =
  tiledKernels;
const variant = SMALL_TILE_VARIANT;
const rewrites = tiledRewrites(smallTile);

const cases = describeEach([
  { batch: 2, keyHeads: 2, group: 2, length: 69, seed: 401 },
  { keyHeads: 2, length: 97, seed: 402, vScale: FULL },
  { batch: 2, length: 33, seed: 203, vScale: BACKWARD_ONLY },
  { length: 97, seed: 404, scale: -0.4, pattern: "hundreds" },
  { length: 64, seed: 405, pattern: "sink" },
  { length: 1, seed: 406 },
], { headDim: smallTile.headDim });
const only = { examples: cases, runs: 0 };
const one = { examples: cases.slice(2, 3), runs: 0 };
const forwardTwin: KernelProperty = (gpu) => attentionForwardMatchesTwin(gpu, only);
const backwardTwin: KernelProperty = (gpu) => attentionBackwardMatchesTwin(gpu, only);
const sinkTwin: KernelProperty = (gpu) =>
  attentionWithSinksMatchesTwin(gpu, { examples: sinkExamples.slice(0, 1), runs: 0 });
const forwardNonFinite: KernelProperty = (gpu) => attentionForwardPassesNonFinite(gpu, one);
const backwardNonFinite: KernelProperty = (gpu) => attentionBackwardPassesNonFinite(gpu, one);

// Replaces each exponent of exp2 by the smaller of the exponent and 0, so that a NaN becomes 0.
const losingNotANumber = (source: string) => {
  const losing = rewrites[forwardKernel]!(source)
    .replace(/exp2\((exponent\w+)\)/g, "exp2(min($1, vec4f()))");
  assert(losing.includes("exp2(min("));
  return losing;
};

// Tests the registered tiles with head dimensions that are no multiple of a tile's step. Lavapipe
// takes minutes to compile loops that are unrolled for GPUs, so only the usual tile keeps them
// unrolled.
for (const [name, tile] of Object.entries(attentionTiles)) {
  const headDim = name === "tiled-32x32" ? 36 : 20;
  const examples = [
    describeAttention({ keyHeads: 2, group: 2, length: 133, headDim, seed: 407 }),
    describeAttention({ length: 65, headDim, seed: 408, vScale: FULL }),
  ];
  Deno.test(`attention "${name}" agrees with the twin [deno]`, async () => {
    await checkVariant(await testGpu("deno"), {
      variant: name,
      kernels: partedKernels,
      rewrites: name === "tiled-64x64-4x4"
        ? {}
        : tiledRewrites({ ...tile, headDim, writtenOut: 16 }),
      properties: [
        (gpu) => attentionForwardMatchesTwin(gpu, { examples, runs: 0 }),
        (gpu) => attentionBackwardMatchesTwin(gpu, { examples, runs: 0 }),
      ],
    });
  });
}

Deno.test("attention in tiles has the properties of the portable kernels [deno]", async () => {
  await checkVariant(await gpuWithRegisters(), {
    variant,
    kernels: jointKernels,
    rewrites,
    properties: [
      forwardTwin,
      backwardTwin,
      (gpu) => attentionForwardIsCausal(gpu, only),
      (gpu) => attentionBackwardIsCausal(gpu, only),
      (gpu) => attentionRepeatsItself(gpu, only),
      ...lawsOfAttention(smallTile.headDim),
    ],
  });
});

Deno.test("attention in tiles has those properties with separate kernels for dK and dV [deno]", async () => {
  await checkVariant(await testGpu("deno"), {
    variant,
    kernels: partedKernels,
    rewrites,
    properties: [
      backwardTwin,
      (gpu) => attentionBackwardIsCausal(gpu, only),
      (gpu) => attentionRepeatsItself(gpu, only),
      ...lawsOfAttention(smallTile.headDim),
    ],
  });
});

Deno.test("attention in tiles passes NaN where exp2 loses it, as some drivers' does [deno]", async () => {
  await checkVariant(await testGpu("deno"), {
    variant,
    kernels: [forwardKernel],
    rewrites: { ...rewrites, [forwardKernel]: losingNotANumber },
    properties: [forwardNonFinite],
  });
});

// Dawn's WGSL compiler guards every memory access, and lavapipe then takes a minute to compile. So
// this test stops at SPIR-V and runs nothing.
onEachRuntime("attention's tiled kernels compile", async (gpu) => {
  for (const variant of Object.keys({ ...attentionTiles, ...attentionHalfTiles })) {
    await compileVariant(gpu, variant);
  }
}, { runtimes: ["dawn"] });

Deno.test("unfitTiled() says what an adapter or a shape lacks", async () => {
  using gpu = await openGpu();
  const shape = { batches: 1, queryHeads: 1, keyValueHeads: 1, sequenceLength: 64, headDim: 64 };
  const limited = (limits: Partial<Record<keyof GPUSupportedLimits, number>>) => ({
    device: {
      limits: {
        maxComputeInvocationsPerWorkgroup: 256,
        maxComputeWorkgroupStorageSize: 16384,
        maxComputeWorkgroupsPerDimension: 65535,
        ...limits,
      },
    },
  } as unknown as Gpu);
  const tile = attentionTiles["tiled-64x32"]!;
  assertEquals(unfitTiled(gpu, shape, tile), undefined);
  assertEquals(unfitTiled(limited({}), shape, tile), undefined); // the portable limits
  assertEquals(
    unfitTiled(limited({ maxComputeInvocationsPerWorkgroup: 32 }), shape, tile),
    "it needs 64 invocations in a workgroup",
  );
  assert(
    unfitTiled(limited({}), shape, attentionTiles["tiled-64x64"]!)?.includes("workgroup memory"),
  );
  assertEquals(
    unfitTiled(limited({}), { ...shape, headDim: 256 }, tile),
    "the head dimension is 256, wanted at most 128",
  );
  assertEquals(
    unfitTiled(limited({ maxComputeWorkgroupsPerDimension: 1 }), shape, tile),
    "the sequence has too many tiles",
  );
});

testMutants(variant, rewrites, [
  [forwardKernel, forwardTwin, {
    "a masked key counts": [/u\)\) <= position(\d)/g, "u)) <= position$1 + vec4u(1u)"],
    "the last run of columns that all rows see is lost": [
      /column \+ 3u <= position0/g,
      "column + 7u <= position0",
    ],
    "masked columns follow runs too early": [/select\(i, i \+ skipped/g, "select(i, i"],
    "no barriers": [/workgroupBarrier\(\);/g, ""],
  }],
  [forwardKernel, forwardNonFinite, {
    "masked values are multiplied by zero": [
      /(column \+ \du\)) <= position(\d)/g,
      "$1 <= position$2 + vec4u(64u)",
    ],
  }],
  [queryKernel, backwardTwin, {
    "no barriers": [/workgroupBarrier\(\);/g, ""],
  }],
  [queryKernel, (gpu) => attentionObeysItsIdentities(gpu, one), {
    "the first query's gradient is what two sums differ by": [
      /logSumExp\d \+= select\([^;]*;/g,
      "",
    ],
  }],
  [forwardKernel, sinkTwin, {
    "every invocation of a row adds the sink": [
      /firstSum\(workgroup\.y\), x == 0u/g,
      "firstSum(workgroup.y), true",
    ],
  }],
  [forwardKernel, (gpu) => sinksHaveLimits(gpu, { examples: sinkExamples.slice(0, 1), runs: 0 }), {
    "a sink near the end of f32 is the first head's": [/ % parameters\.queryHeads/g, " % 1u"],
  }],
  [keyKernel, backwardTwin, {
    "V-scale's factor is lost": [/(weightGradient\d_\d_\d\.[xyzw]) \*= factor;/g, ""],
  }],
  [valueKernel, backwardNonFinite, {
    "masked queries are multiplied": [
      /(column \+ \du)\) >= position/g,
      "$1 + 64u) >= position",
    ],
  }],
  [valueKernel, backwardTwin, {
    "V-scale's product lacks a share": [/product\d = product\d \+ partial\[2u\][^;]*;/g, ""],
  }],
]);

testMutants(variant, { ...rewrites, [forwardKernel]: losingNotANumber }, [
  [forwardKernel, forwardNonFinite, {
    "a NaN that exp2 loses is lost": [/passNotANumber\((sum\d \* \w+), exponents\d\)/g, "$1"],
  }],
]);
