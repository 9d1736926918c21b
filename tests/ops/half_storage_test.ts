/** Matrix products that store in f16 round correctly, add in f32, and run only when named. */
import { type Gpu, matmul, openGpu, reference } from "../../mod.ts";
import { matmulHalfVariants, matmulVariants } from "../../src/ops/matmul/variants.ts";
import { chooseVariant } from "../../src/ops/shared/variants.ts";
import { randomNormal } from "../../src/random.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { siblingGpu, testGpu } from "../support/gpu.ts";

const U = 2 ** -24; // of float32
const HALF_U = 2 ** -11; // of float16
const MATMUL = "tiled-32-f16";

const lacking = await openGpu().then((gpu) => {
  gpu.dispose();
  return gpu.info.features.includes("shader-f16") ? undefined : "the adapter has no f16";
});

function halfTest(name: string, run: (gpu: Gpu) => Promise<void>): void {
  Deno.test({
    name: lacking === undefined ? name : `${name} [${lacking}]`,
    ignore: lacking !== undefined,
    fn: async () => await run(await testGpu("deno")),
  });
}

function toHalf(data: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return data.map((x) => Math.f16round(x));
}

async function product(gpu: Gpu, left: Float32Array, right: Float32Array, inner: number) {
  using l = gpu.tensor(left, [left.length / inner, inner]);
  using r = gpu.tensor(right, [right.length / inner, inner]);
  using p = matmul(gpu, { left: l, right: r, transposeRight: true, variant: MATMUL }).product;
  return await p.read();
}

// The product of a matrix and the identity is the matrix as the kernel stores it. The check
// compares it bit for bit with the matrix rounded to f16. Some numbers lie halfway between two f16
// numbers.
async function checkRounding(gpu: Gpu): Promise<void> {
  const inner = 37;
  const left = randomNormal({ seed: 501, length: 41 * inner, standardDeviation: 1 });
  left.set([1 + HALF_U, 1 + 3 * HALF_U, -1 - HALF_U, 2048.5, 2049, 65519, 1e-3, 3e-5, 0.1]);
  const identity = new Float32Array(inner * inner);
  for (let i = 0; i < inner; i++) identity[i * inner + i] = 1;
  const actual = await product(gpu, left, identity, inner);
  assertEquals(actual, toHalf(left));
  assert(actual.some((x, i) => x !== left[i]), "nothing was rounded");
}

halfTest('matmul "…-f16" rounds its operands to the nearest f16', checkRounding);

halfTest('matmul "…-f16" adds in f32', async (gpu) => {
  const inner = 90;
  const left = randomNormal({ seed: 502, length: 67 * inner, standardDeviation: 1 });
  const right = randomNormal({ seed: 503, length: 35 * inner, standardDeviation: 1 });
  const actual = await product(gpu, left, right, inner);
  const twin = (data: readonly Float32Array[]) =>
    reference.matmul({
      left: reference.tensor(data[0]!, [67, inner]),
      right: reference.tensor(data[1]!, [35, inner]),
      transposeRight: true,
    }).product.data;
  const expected = twin([toHalf(left), toHalf(right)]);
  // Operands rounded to f16 are exact in float32, so the bound for float32 operands holds (Higham,
  // section 3.1).
  const magnitude = twin([toHalf(left).map(Math.abs), toHalf(right).map(Math.abs)]);
  const worst = Math.max(
    ...expected.map((x, i) => Math.abs(actual[i]! - x) / ((inner + 1) * U * magnitude[i]!)),
  );
  console.log(`    ${actual.length} numbers, ${worst.toFixed(2)} of the tolerance used`);
  assert(worst <= 1, `${worst} of the tolerance`);
});

function broken(gpu: Gpu, find: RegExp, replace: string): Gpu {
  const sibling = siblingGpu(gpu, {});
  sibling.pipelines.rewrite = ({ source }) => source.replace(find, replace);
  return sibling;
}

async function survives(check: (gpu: Gpu) => Promise<void>, gpu: Gpu): Promise<boolean> {
  const survived = await check(gpu).then(() => true, () => false);
  await gpu.sync(); // the mutant compiled
  return survived;
}

halfTest("mutants of the f16 kernels are caught", async (gpu) => {
  const unrounded = broken(gpu, /alias InTile = vec4h/, "alias InTile = vec4f");
  assert(!await survives(checkRounding, unrounded), "matmul does not round");
});

Deno.test("f16 kernels are never chosen, unless named", () => {
  const gpu = (features: readonly string[]) => ({
    info: {
      ...{ software: false, runtime: "deno", vendor: "amd", architecture: "", description: "" },
      features,
    },
    variants: new Map([["matmul any", MATMUL]]),
    device: {
      features: new Set(features),
      limits: {
        maxBufferSize: 2 ** 28,
        maxStorageBufferBindingSize: 2 ** 28,
        maxComputeInvocationsPerWorkgroup: 256,
        maxComputeWorkgroupStorageSize: 16384,
        maxComputeWorkgroupsPerDimension: 65535,
      },
    },
  } as unknown as Gpu);
  const strides = { outer: 64, inner: 1, batch: 0 };
  const shape = { batches: 1, rows: 64, columns: 64, inner: 64, left: strides, right: strides };
  const choose = (features: readonly string[], wanted?: string) =>
    chooseVariant(gpu(features), matmulVariants, {
      operator: "matmul",
      shapeClass: "any",
      shape,
      wanted,
      namedOnly: matmulHalfVariants,
    }).name;
  assertEquals(choose(["shader-f16"]), "tiled-32");
  assertEquals(choose(["shader-f16"], MATMUL), MATMUL);
  assertThrows(() => choose([], MATMUL), RangeError, "the adapter has no f16");
});
