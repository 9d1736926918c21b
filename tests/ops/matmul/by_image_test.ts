/** Matrix products of a tensor and an image, with the tiles that the operator itself chooses. */
import type { planMatmul } from "../../../mod.ts";
import type { ImageLayout } from "../../../src/gpu/plan/matrix_image.ts";
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { planImageMatmul, suitsImage } from "../../../src/ops/matmul/by_image.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { onEachFitRuntime } from "../../support/gpu.ts";
import { gpuInfo } from "../../support/gpu/info.ts";
import { describeMatmul, matmulContainsNonFinite, matmulMatchesTwin } from "./properties.ts";
import { imageOf, unfitForSubgroups, withImage } from "./subgroup_cases.ts";

// `imageOf` needs the numbers on the CPU. The CPU keeps those of tensors of up to 4,096 elements.
const examples = [
  describeMatmul({ rows: 33, columns: 40, inner: 72, transposeRight: true, seed: 1 }),
  describeMatmul({ leading: [3], rows: 7, columns: 76, inner: 40, shared: true, seed: 2 }),
  describeMatmul({ rows: 3, columns: 68, inner: 13, seed: 3 }),
];

const inBfloat16 = [
  describeMatmul({ rows: 33, columns: 40, inner: 72, transposeRight: true, seed: 4 }),
  describeMatmul({ leading: [3], rows: 7, columns: 136, inner: 15, shared: true, seed: 5 }),
].map((each) => ({ ...each, rightInBfloat16: true }));

const planner = (name: string, layout: ImageLayout) => {
  const plan: typeof planMatmul = (gpu, { left, right, transposeRight = false }) => {
    const image = imageOf(gpu, right, layout);
    return withImage(planImageMatmul(gpu, { left, right: image, transposeRight }), image);
  };
  return { name, plan };
};

await onEachFitRuntime("a product by an image agrees with the float64 twin", async (gpu) => {
  const float32 = planner("by image", { numbers: "f32", blocks: true });
  await matmulMatchesTwin(gpu, float32, { examples, runs: 0 });
  await matmulContainsNonFinite(gpu, float32, { examples, runs: 0 });
  const bfloat16 = planner("by image of bfloat16", { numbers: "bf16", blocks: true });
  await matmulMatchesTwin(gpu, bfloat16, { examples: inBfloat16, runs: 0 });
}, { unfit: unfitForSubgroups });

await onEachFitRuntime(
  "a product may copy its operands to images, but not in a pass",
  async (gpu) => {
    const large = { rows: 256, columns: 96, inner: 288 };
    const examples = [
      describeMatmul({ ...large, seed: 6 }),
      describeMatmul({ ...large, transposeRight: true, seed: 7 }),
    ];
    let copies = 0;
    const plan: typeof planMatmul = (gpu, options) => {
      const planned = planImageMatmul(gpu, options);
      copies += planned.plan.dispatches - 1;
      return planned;
    };
    await matmulMatchesTwin(gpu, { name: "by copies", plan }, { examples, runs: 0 });
    // With four lanes images are no faster.
    assertEquals(copies > 0, gpu.info.software && gpu.info.subgroupSize!.maximum >= 8);
    if (copies === 0) return;
    using left = gpu.empty([256, 288]);
    using right = gpu.empty([288, 96]);
    using planned = planImageMatmul(gpu, { left, right }).plan;
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    assertThrows(() => planned.encode(pass), TypeError, "matmul: the plan copies to images");
    pass.end();
  },
  { unfit: unfitForSubgroups },
);

await onEachFitRuntime("a product by an image refuses wrong operands", (gpu) => {
  using left = gpu.tensor(new Float32Array(8), [2, 4]);
  using right = gpu.tensor(new Float32Array(24), [3, 8]);
  const image = imageOf(gpu, right);
  assertThrows(
    () => planImageMatmul(gpu, { left, right: image, transposeRight: true }),
    TypeError,
    "matmul: ",
  );
  image.dispose();
  assertThrows(
    () => planImageMatmul(gpu, { left, right: image, transposeRight: true }),
    TypeError,
    "right has been disposed of",
  );
  return Promise.resolve();
}, { unfit: unfitForSubgroups });

Deno.test("an image suits weights on CPUs with subgroups of at least eight lanes", () => {
  const suits = (software: boolean, lanes: number, shape: readonly [number, number]) => {
    using gpu = createDryGpu(gpuInfo({
      software,
      features: ["subgroups"],
      subgroupSize: { minimum: lanes, maximum: lanes },
      limits: { maxTextureDimension2D: 8192, maxTextureArrayLayers: 256 },
    }));
    return suitsImage(gpu, shape);
  };
  assertEquals(suits(true, 8, [3072, 576]), true);
  assertEquals(suits(true, 4, [3072, 576]), false);
  assertEquals(suits(false, 8, [3072, 576]), false);
  assertEquals(suits(true, 8, [8193, 576]), false);
  assertEquals(suits(true, 8, [3072, 16_388]), false);
  assertEquals(suits(true, 8, [3072, 577]), false);
});
