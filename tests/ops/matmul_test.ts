import { type Gpu, matmul, planMatmul } from "../../mod.ts";
import { matmulShapeClass } from "../../src/ops/matmul/shape.ts";
import { matmulVariants } from "../../src/ops/matmul/variants.ts";
import { assertEquals, assertThrows } from "../support/assert/assert.ts";
import { compileOnly } from "../support/gpu/compile_only.ts";
import { onEachFitRuntime, onEachRuntime, siblingGpu } from "../support/gpu.ts";
import {
  describeMatmul,
  matmulContainsNonFinite,
  matmulIsAdjoint,
  matmulMatchesTwin,
} from "./matmul/properties.ts";

const square = { rows: 64, columns: 64, inner: 64, batches: 1 };
const strides = { outer: 64, inner: 1, batch: 0 };

// Dawn's WGSL compiler guards every memory access, and lavapipe then takes 13 s to compile one of
// these variants' kernels. So on Dawn with a CPU's driver, tests only compile these kernels to
// SPIR-V and do not run them. On Deno, tests run them.
function isSlowToCompile({ info }: Gpu, variant: string): boolean {
  return info.runtime === "dawn" && info.software && /^(tiled|barrier-free)/.test(variant);
}

async function compileVariant(gpu: Gpu, variant: string): Promise<void> {
  const hardware = ["amd", ""].map((vendor) => siblingGpu(gpu, { software: false, vendor }));
  for (const each of [gpu, ...hardware]) {
    await compileOnly(each, (on, visit) => {
      for (const [m, k, n] of [[3, 5, 7], [8, 12, 4], [8, 16, 4]] as const) {
        for (const [transposeLeft, transposeRight] of [[false, false], [true, true]] as const) {
          using left = on.empty(transposeLeft ? [k, m] : [m, k]);
          using right = on.empty(transposeRight ? [n, k] : [k, n]);
          const options = { left, right, transposeLeft, transposeRight, variant };
          const { plan, product } = planMatmul(on, options);
          visit(plan);
          plan.dispose();
          product.dispose();
        }
      }
    });
  }
}

for (const variant of matmulVariants) {
  const { name } = variant;
  const cannotRun = (gpu: Gpu) => variant.unfit(gpu, { ...square, left: strides, right: strides });
  const unfit = (gpu: Gpu) =>
    cannotRun(gpu) ?? (isSlowToCompile(gpu, name) ? "too slow to compile, see below" : undefined);
  await onEachFitRuntime(
    `matmul() as "${name}" agrees with the float64 twin`,
    (gpu) => matmulMatchesTwin(gpu, name),
    { unfit },
  );
  await onEachFitRuntime(
    `matmul() as "${name}" keeps a NaN to its row and an infinity to its column`,
    (gpu) => matmulContainsNonFinite(gpu, name),
    { unfit },
  );
  await onEachFitRuntime(
    `matmul() as "${name}" is adjoint to its gradients`,
    (gpu) => matmulIsAdjoint(gpu, name),
    { unfit },
  );
  await onEachFitRuntime(
    `matmul() as "${name}" leaves workgroups without a tile idle`,
    (gpu) => {
      // Pretends that the adapter allows at most 5 workgroups per dimension. For 7 or 14 tiles, a
      // kernel is then dispatched to 5 × 2 or 5 × 3 workgroups, so some workgroups have no tile.
      const small = siblingGpu(gpu, { limits: { maxComputeWorkgroupsPerDimension: 5 } });
      const examples = [false, true].map((transposeLeft) =>
        describeMatmul({
          leading: [7],
          rows: 32,
          columns: 32,
          inner: 12,
          transposeLeft,
          seed: 9,
        })
      );
      return matmulMatchesTwin(small, name, { examples, runs: 0 });
    },
    { unfit, runtimes: ["deno"] },
  );
  await onEachFitRuntime(
    `matmul() as "${name}" compiles`,
    (gpu) => compileVariant(gpu, name),
    { unfit: cannotRun, runtimes: ["dawn"] },
  );
}

// All layouts of operands whose sides are multiples of four. K is 32, which is a whole number of
// the kernels' steps, or 44, which is not.
const layouts = [false, true].flatMap((transposeLeft) =>
  [false, true].flatMap((transposeRight) =>
    [32, 44].map((inner) =>
      describeMatmul({
        leading: [2],
        rows: 68,
        columns: 72,
        inner,
        transposeLeft,
        transposeRight,
        shared: transposeRight,
        seed: 11 + inner,
      })
    )
  )
);

const lying = [...layouts, describeMatmul({ rows: 70, columns: 67, inner: 19, seed: 12 })];

// The first variant's kernel takes steps of 8 along K, the second's steps of 16.
for (const name of ["tiled-128", "tiled-64-4x4"]) {
  onEachRuntime(
    `matmul() as "${name}" agrees with the float64 twin for every layout of operands`,
    (gpu) => matmulMatchesTwin(gpu, name, { examples: lying, runs: 0 }),
    { runtimes: ["deno"] },
  );
}

// This variant's tile has few numbers per invocation, because a CPU's driver takes half a minute to
// compile the kernel of a larger tile. For AMD's GPUs the kernel unrolls all k of a step, because
// these GPUs have enough registers. GPUs of an unknown maker may not, so for them the kernel
// unrolls four k.
for (const [several, vendor] of [["the", "amd"], ["four", ""]] as const) {
  onEachRuntime(
    `matmul() with ${several} k of a step unrolled agrees with the float64 twin for every layout of operands`,
    (gpu) => {
      const hardware = siblingGpu(gpu, { software: false, vendor });
      return matmulMatchesTwin(hardware, "tiled-64-4x4", {
        examples: lying.filter((_, i) => [0, 3, 4, 7, 8].includes(i)),
        runs: 0,
      });
    },
    { runtimes: ["deno"] },
  );
}

onEachRuntime("matmul() multiplies a case worked by hand", async (gpu) => {
  using left = gpu.tensor([1, 2, 3, 4, 5, 6], [3, 2]);
  using right = gpu.tensor([1, 0, -1, 2, 1, 0], [2, 3]);
  using product = matmul(gpu, { left, right }).product;
  assertEquals([...await product.read()], [5, 2, -1, 11, 4, -3, 17, 6, -5]);
  assertEquals(product.shape, [3, 3]);
});

onEachRuntime("matmul() sums a shared operand's gradient over flattened batches", async (gpu) => {
  // Two matrices of shape [2, 1] are multiplied by the same [1, 1] weight. `left` has their four
  // rows, `right` the output's gradient at each row. The weight's gradient is the sum of the four
  // products of a row and its gradient.
  using left = gpu.tensor([1, 2, 3, 4], [4, 1]);
  using right = gpu.tensor([1, 10, 100, 1000], [4, 1]);
  using product = matmul(gpu, { left, right, transposeLeft: true }).product;
  assertEquals([...await product.read()], [4321]);
});

onEachRuntime("planMatmul() counts the least work", (gpu) => {
  using left = gpu.empty([2, 3, 5, 7]);
  using right = gpu.empty([2, 3, 7, 11]);
  using weight = gpu.empty([7, 11]);
  const own = planMatmul(gpu, { left, right });
  assertEquals(own.plan.cost, {
    flops: 2 * 6 * 5 * 7 * 11,
    bytes: 4 * 6 * (5 * 7 + 7 * 11 + 5 * 11),
  });
  const shared = planMatmul(gpu, { left, right: weight });
  assertEquals(shared.plan.cost, {
    flops: own.plan.cost.flops,
    bytes: 4 * (6 * (5 * 7 + 5 * 11) + 7 * 11),
  });
  for (const { plan, product } of [own, shared]) {
    assertEquals(product.shape, [2, 3, 5, 11]);
    plan.dispose();
    product.dispose();
  }
  return Promise.resolve();
});

onEachRuntime("matmul() refuses operands that do not fit, before it allocates anything", (gpu) => {
  using left = gpu.empty([2, 3, 4]);
  using right = gpu.empty([2, 4, 5]);
  using vector = gpu.empty([4]);
  const before = gpu.memory;
  const refuses = (
    changes: Record<string, unknown>,
    kind: typeof TypeError | typeof RangeError,
    message: string,
  ) => assertThrows(() => matmul(gpu, { left, right, ...changes }), kind, message);
  refuses({ left: undefined }, TypeError, "matmul: left is undefined, wanted a Tensor");
  refuses({ right: null }, TypeError, "matmul: right is null, wanted a Tensor");
  refuses({ left: vector }, TypeError, "matmul: left has shape [4], wanted [M, K]");
  refuses(
    { transposeLeft: true },
    TypeError,
    "matmul: right has shape [2, 4, 5], wanted [2, 3, N] as left is [2, 3, 4], transposed",
  );
  refuses({ transposeRight: true }, TypeError, "wanted [2, N, 4] as left is [2, 3, 4]");
  refuses({ right: left }, TypeError, "right has shape [2, 3, 4], wanted [2, 4, N]");
  refuses({ right: vector }, TypeError, "right has shape [4], wanted [2, 4, N]");
  refuses({ transposeLeft: 1 }, TypeError, "matmul: transposeLeft is 1, wanted true or false");
  refuses({ transposeRight: "no" }, TypeError, 'matmul: transposeRight is "no", wanted true or');
  refuses({ variant: "fastest" }, RangeError, 'matmul: variant is "fastest", wanted one of');
  assertThrows(() => matmul(gpu, undefined as never), TypeError, "matmul: the arguments are");
  assertThrows(() => matmul({} as never, { left, right }), TypeError, "wanted an opened Gpu");
  assertEquals(gpu.memory, before);
  return Promise.resolve();
});

Deno.test("matmulShapeClass() tells transpositions and sizes apart", () => {
  const shape = { ...square, left: { outer: 1, inner: 64, batch: 0 }, right: strides };
  assertEquals(matmulShapeClass(shape), "TT M<=64 N<=64 K<=64");
  const odd = { ...shape, rows: 65, columns: 5, inner: 100_000 };
  assertEquals(matmulShapeClass(odd), "TT M<=128 N<=32 K<=4096");
});
