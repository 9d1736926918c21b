/**
 * Attention's barrier-free forward kernel passes the properties of the portable one. A large tile
 * takes seconds to compile, so the mutants and Dawn use a small one.
 */
import type { AttentionBarrierFreeOptions } from "../../../kernels/attention/barrier_free_tile.ts";
import {
  attentionForwardBarrierFree,
} from "../../../kernels/attention/forward_barrier_free.wgsl.ts";
import { BARRIER_FREE_ROWS, FORWARD_TILE } from "../../../src/ops/attention/barrier_free.ts";
import { assertEquals } from "../../support/assert/assert.ts";
import { BACKWARD_ONLY, describeEach, FULL } from "../../support/attention/cases.ts";
import { checkVariant, type KernelProperty, testMutants } from "../../support/forced_kernels.ts";
import { onEachRuntime, testGpu } from "../../support/gpu.ts";
import {
  attentionForwardIsCausal,
  attentionRepeatsItself,
} from "../../support/properties/attention/bits.ts";
import { lawsOfAttention } from "../../support/properties/attention/of_variants.ts";
import { attentionForwardPassesNonFinite } from "../../support/properties/attention/non_finite.ts";
import { attentionForwardMatchesTwin } from "../../support/properties/attention/twin.ts";

const forwardKernel = "attention/forward_barrier_free.wgsl.ts";
const smallTile: AttentionBarrierFreeOptions = { lanes: 16, rows: 4, columns: 4 };

const cases = describeEach([
  { batch: 2, keyHeads: 2, group: 2, length: 69, headDim: 12, seed: 301 },
  { keyHeads: 2, length: 97, headDim: 20, seed: 302, vScale: FULL },
  { batch: 2, length: 33, headDim: 12, seed: 203, vScale: BACKWARD_ONLY },
  { length: 130, headDim: 8, seed: 304, scale: -0.4, pattern: "hundreds" },
  { length: 64, headDim: 12, seed: 305, pattern: "sink" },
  { length: 1, headDim: 12, seed: 306 },
]);
const only = { examples: cases, runs: 0 };
const one = { examples: cases.slice(2, 3), runs: 0 };

const variant = "barrier-free";
const rewrites = { [forwardKernel]: () => attentionForwardBarrierFree(smallTile) };

const forwardTwin: KernelProperty = (gpu) => attentionForwardMatchesTwin(gpu, only);
const forwardNonFinite: KernelProperty = (gpu) => attentionForwardPassesNonFinite(gpu, one);

Deno.test('attention "barrier-free" has the properties of the portable kernels [deno]', async () => {
  await checkVariant(await testGpu("deno"), {
    variant,
    kernels: [forwardKernel],
    properties: [
      forwardTwin,
      (gpu) => attentionForwardIsCausal(gpu, only),
      (gpu) => attentionRepeatsItself(gpu, only),
      ...lawsOfAttention(12),
    ],
  });
});

onEachRuntime('attention "barrier-free" agrees with the twin', async (gpu) => {
  await checkVariant(gpu, {
    variant,
    kernels: [forwardKernel],
    rewrites,
    properties: [forwardTwin],
  });
}, { runtimes: ["dawn"] });

Deno.test("barrier-free tiles have the rows that a workgroup is planned for", () => {
  for (const { lanes, rows } of [FORWARD_TILE, smallTile]) {
    assertEquals(lanes * rows, BARRIER_FREE_ROWS);
  }
});

testMutants(variant, rewrites, [
  [forwardKernel, forwardTwin, {
    "a masked key counts": [/<= vec4u\(position(\d)\)/g, "<= vec4u(position$1 + 1u)"],
    "the output is not rescaled": [/= correction3 \* output/g, "= output"],
    "V-scale's factor is forgotten": [/= v\.x \/ \(v\.x \+ v\.y\);/g, "= 1.0;"],
    "logSumExp is left in base 2": [/ \* LN_2;/g, ";"],
    "queries share a key head": [/workgroup\.y \/ groupSize/g, "0u"],
  }],
  [forwardKernel, forwardNonFinite, {
    "masked values are multiplied by zero": [/u <= position(\d)\)/g, "u <= position$1 + 64u)"],
  }],
]);
