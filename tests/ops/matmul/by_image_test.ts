/** Matrix products of a tensor and an image, with the tiles that the operator itself chooses. */
import type { planMatmul } from "../../../mod.ts";
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { planImageMatmul, suitsImage } from "../../../src/ops/matmul/by_image.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { onEachFitRuntime } from "../../support/gpu.ts";
import { gpuInfo } from "../../support/gpu/info.ts";
import { describeMatmul, matmulContainsNonFinite, matmulMatchesTwin } from "./properties.ts";
import { imageOf, unfitForSubgroups, withImage } from "./subgroup_cases.ts";

// Tensors of at most 4,096 elements, whose numbers the CPU keeps.
const examples = [
  describeMatmul({ rows: 33, columns: 40, inner: 72, transposeRight: true, seed: 1 }),
  describeMatmul({ leading: [3], rows: 7, columns: 76, inner: 40, shared: true, seed: 2 }),
  describeMatmul({ rows: 3, columns: 68, inner: 13, seed: 3 }),
];

const plan: typeof planMatmul = (gpu, { left, right, transposeRight = false }) => {
  const image = imageOf(gpu, right);
  return withImage(planImageMatmul(gpu, { left, right: image, transposeRight }), image);
};

await onEachFitRuntime("a product by an image agrees with the float64 twin", async (gpu) => {
  const planner = { name: "by image", plan };
  await matmulMatchesTwin(gpu, planner, { examples, runs: 0 });
  await matmulContainsNonFinite(gpu, planner, { examples, runs: 0 });
}, { unfit: unfitForSubgroups });

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
