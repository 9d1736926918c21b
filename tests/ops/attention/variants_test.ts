/**
 * Each faster variant of attention passes the properties of the portable one. Every test names its
 * variant and checks that its kernels ran.
 */
import { type Gpu, openGpu } from "../../../mod.ts";
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { attentionBackwardVariants } from "../../../src/ops/attention/backward_variants.ts";
import { attentionForwardVariants } from "../../../src/ops/attention/forward_variants.ts";
import { attentionTiles } from "../../../src/ops/attention/tiled.ts";
import { tunableOperators } from "../../../src/ops/tuning/operators.ts";
import { assertEquals } from "../../support/assert/assert.ts";
import {
  type AttentionDescription,
  BACKWARD_ONLY,
  describeAttention,
  describeEach,
  FULL,
} from "../../support/attention/cases.ts";
import { checkVariant, type KernelProperty, testMutants } from "../../support/forced_kernels.ts";
import { onEachRuntime } from "../../support/gpu.ts";
import {
  attentionForwardIsCausal,
  attentionRepeatsItself,
} from "../../support/properties/attention/bits.ts";
import {
  attentionWithSinksMatchesTwin,
  sinkExamples,
  sinksHaveLimits,
} from "../../support/properties/attention/sinks.ts";
import { lawsOfAttention } from "../../support/properties/attention/of_variants.ts";
import { attentionForwardMatchesTwin } from "../../support/properties/attention/twin.ts";
import { softwareInfo } from "../../support/tuned_choice.ts";

const unfit = await openGpu().then((gpu) => {
  gpu.dispose();
  const size = gpu.info.subgroupSize;
  return size !== undefined && size.minimum === size.maximum && size.maximum <= 8
    ? undefined
    : "wants subgroups of one size, 8 lanes at most";
});

// All of these calls have one head dimension, so that each kernel compiles once. A row's three
// vec4f columns leave some lanes idle.
const small = describeEach([
  { batch: 2, keyHeads: 2, group: 2, length: 69, seed: 201 },
  { keyHeads: 2, length: 97, seed: 202, vScale: FULL, scale: -0.4 },
  { batch: 2, length: 33, seed: 203, vScale: BACKWARD_ONLY },
  { length: 97, seed: 204, pattern: "hundreds" },
  { length: 64, seed: 205, pattern: "sink" },
  { length: 1, seed: 206 },
], { headDim: 12 });
// Each row has nine vec4f columns. So of eight lanes, only the first has a second column.
const wide: readonly AttentionDescription[] = [
  describeAttention({ batch: 2, keyHeads: 2, group: 2, length: 69, headDim: 36, seed: 207 }),
  describeAttention({ keyHeads: 2, length: 41, headDim: 36, seed: 208, vScale: FULL }),
];

function variantTest(
  variant: string,
  properties: readonly KernelProperty[],
  { runtime, kernels }: { readonly runtime: "deno" | "dawn"; readonly kernels: readonly string[] },
): void {
  onEachRuntime(
    `attention "${variant}"`,
    (gpu) => checkVariant(gpu, { variant, kernels, properties }),
    { runtimes: [runtime], unless: unfit },
  );
}

const forwardKernel = "attention/forward_subgroup.wgsl.ts";
const forwardTwin = (examples: readonly AttentionDescription[]) => (gpu: Gpu) =>
  attentionForwardMatchesTwin(gpu, { examples, runs: 0 });

const only = { examples: small, runs: 0 };
for (const rows of [8, 16, 32]) {
  variantTest(`subgroup-${rows}`, [
    forwardTwin([...small, ...wide]),
    (gpu) => attentionForwardIsCausal(gpu, only),
    (gpu) => attentionRepeatsItself(gpu, only),
    ...lawsOfAttention(12),
  ], { runtime: "deno", kernels: [forwardKernel] });
}
variantTest("subgroup-8", [forwardTwin(small)], { runtime: "dawn", kernels: [forwardKernel] });

Deno.test("this file or another tests every attention variant", () => {
  assertEquals(attentionForwardVariants.map(({ name }) => name), [
    "subgroup-32",
    "subgroup-16",
    "subgroup-8",
    "barrier-free",
    ...Object.keys(attentionTiles),
    "portable",
  ]);
  assertEquals(attentionBackwardVariants.map(({ name }) => name), [
    "panels",
    "panels-barrier-free",
    ...Object.keys(attentionTiles),
    "portable",
  ]);
});

Deno.test("attention on a CPU chooses the CPU kernels at every length", () => {
  const lanes = (size: number) =>
    createDryGpu({ ...softwareInfo, subgroupSize: { minimum: size, maximum: size } });
  const chosen = (operator: string, gpu: Gpu, T: number, D = 64) =>
    tunableOperators.get(operator)!.choose(gpu, { B: 1, Hq: 8, Hkv: 1, T, D });
  for (
    const [T, D, forward] of [
      [1, 64, "subgroup-16"],
      [48, 128, "subgroup-16"],
      [49, 128, "subgroup-32"],
      [1023, 96, "subgroup-32"],
      [1023, 132, "subgroup-16"],
    ] as const
  ) {
    assertEquals(chosen("attentionForward", lanes(8), T, D), forward, `T ${T} D ${D}`);
    assertEquals(chosen("attentionBackward", lanes(8), T, D), "panels", `T ${T} D ${D}`);
  }
  // With four lanes, both passes switch kernels at the same length, because a backward must add up
  // the logits in the order of its forward.
  assertEquals(chosen("attentionForward", lanes(4), 63), "portable");
  assertEquals(chosen("attentionBackward", lanes(4), 63), "portable");
  assertEquals(chosen("attentionForward", lanes(4), 64), "barrier-free");
  assertEquals(chosen("attentionBackward", lanes(4), 64), "panels-barrier-free");
});

const sinkKernel = "attention/sink/forward.wgsl";
const withSinks = (property: typeof sinksHaveLimits): KernelProperty => (gpu) =>
  property(gpu, { examples: sinkExamples.slice(0, 3), runs: 0 });

testMutants("subgroup-8", {}, [
  [forwardKernel, forwardTwin(small), {
    "a masked key is scored": [
      /position <= vec4u\(firstRow \+ (\d+)u\)/g,
      "position <= vec4u(firstRow + $1u + 1u)",
    ],
    "the last key of a row is lost": [/firstKey \+ k <= firstRow/g, "firstKey + k < firstRow"],
    "the output is not rescaled": [/running0_3 \*= correction3;/g, ""],
    "a larger maximum is not seen": [/SLACK: f32 = 4\.0/g, "SLACK: f32 = 3e38"],
    "a row's second key has no part in its maximum": [
      /subgroupMax\(maximum\(score3\)\)/g,
      "subgroupMax(score3.x)",
    ],
    "V-scale's factor is forgotten": [/factors\[i\] = v\.x \/ \(v\.x \+ v\.y\);/g, ""],
    "queries share the first key head": [/workgroup\.y \/ groupSize/g, "0u"],
    "logSumExp is left in base 2": [/ \* LN_2;/g, ";"],
  }],
  [forwardKernel, (gpu) => attentionForwardIsCausal(gpu, only), {
    "a row's maximum moves with another row's": [/highest(\d+) - maximum\1 > SLACK/g, "true"],
  }],
  [sinkKernel, withSinks(attentionWithSinksMatchesTwin), {
    "the sink is left in base e": [/SINK_LOG2_E \* clamp\(/g, "clamp("],
    "logSumExp is left in base 2": [/\) \* SINK_LN_2;/g, ");"],
  }],
  [sinkKernel, withSinks(sinksHaveLimits), {
    "a large sink is lost on its way through base 2": [
      /maximum == firstMaximum2\(head\)/g,
      "false",
    ],
  }],
], unfit);
