/** Properties of the matrix product that every kernel must have. */
import fc from "fast-check";
import { type Gpu, planMatmul, reference } from "../../../mod.ts";
import { randomNormal } from "../../../src/random.ts";
import { assert } from "../../support/assert/assert.ts";
import { checkCases, type PropertyOptions } from "../../support/check_cases.ts";
import { type Numbers, onGpuPlanned } from "../../support/on_gpu.ts";
import type { Report, Tally } from "../../support/report.ts";
import { FLUSH, U } from "../../support/tolerance.ts";
import { inner } from "../../support/vectors.ts";

export interface MatmulDescription {
  /** The leading dimensions. */
  readonly leading: readonly number[];
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly transposeLeft: boolean;
  readonly transposeRight: boolean;
  /** Whether all batches share the right operand, which then has no leading dimensions. */
  readonly shared: boolean;
  /** The standard deviation of the operands. */
  readonly size: number;
  readonly seed: number;
  /** Whether all numbers of the right operand are exact in bfloat16. Default: false. */
  readonly rightInBfloat16?: boolean;
}

// A length is a whole number of tiles of 16, 32 or 64, one more or less than that, or any up to
// 100.
const length = fc.oneof(
  fc.constantFrom(1, 2, 15, 16, 17, 32, 33, 63, 64, 65, 96, 128, 129),
  fc.integer({ min: 1, max: 100 }),
);

const matmulDescription: fc.Arbitrary<MatmulDescription> = fc.record({
  leading: fc.constantFrom<readonly number[]>([], [], [1], [2], [3], [2, 3]),
  rows: length,
  columns: length,
  inner: fc.oneof(fc.constantFrom(1, 2, 3, 4, 5, 15, 16, 17, 64), fc.integer({ min: 1, max: 90 })),
  transposeLeft: fc.boolean(),
  transposeRight: fc.boolean(),
  shared: fc.boolean(),
  size: fc.constantFrom(1, 1, 1e-15, 1e15),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
});

/** A description with defaults for missing fields. */
export function describeMatmul(
  changes: Partial<MatmulDescription> & Pick<MatmulDescription, "rows" | "columns" | "inner">,
): MatmulDescription {
  return {
    leading: [],
    transposeLeft: false,
    transposeRight: false,
    shared: false,
    size: 1,
    seed: 1,
    ...changes,
  };
}

const allTranspositions = [[false, false], [false, true], [true, false], [true, true]] as const;

/**
 * Cases for every kernel: each operand contiguous along K or not, on exact tiles and on tiles that
 * reach past every end.
 */
const examples: readonly MatmulDescription[] = [
  // Rows of whole vectors of four, but no whole tiles.
  describeMatmul({ rows: 37, columns: 36, inner: 8, transposeRight: true }),
  ...allTranspositions.flatMap(([transposeLeft, transposeRight]) => [
    describeMatmul({ rows: 128, columns: 128, inner: 20, transposeLeft, transposeRight }),
    describeMatmul({
      leading: [2],
      rows: 67,
      columns: 35,
      inner: 19,
      transposeLeft,
      transposeRight,
      shared: transposeRight,
    }),
    describeMatmul({ rows: 1, columns: 1, inner: 1, transposeLeft, transposeRight }),
  ]),
];

/** The operands of a description. */
export function drawMatmul(
  description: MatmulDescription,
): { readonly left: Numbers; readonly right: Numbers } {
  const { leading, rows, columns, inner, transposeLeft, transposeRight, shared, seed, size } =
    description;
  const { rightInBfloat16 = false } = description;
  const draw = (shape: readonly number[], seed: number): Numbers => ({
    data: randomNormal({ seed, length: reference.elementCount(shape), standardDeviation: size }),
    shape,
  });
  const right = draw([
    ...shared ? [] : leading,
    ...transposeRight ? [columns, inner] : [inner, columns],
  ], seed + 1);
  if (rightInBfloat16) {
    const bits = new Uint32Array(right.data.buffer);
    bits.forEach((word, i) => bits[i] = word & 0xffff0000);
  }
  return {
    left: draw([...leading, ...transposeLeft ? [inner, rows] : [rows, inner]], seed),
    right,
  };
}

interface Operands {
  readonly left: Numbers;
  readonly right: Numbers;
  readonly transposeLeft?: boolean;
  readonly transposeRight?: boolean;
}

function twin({ left, right, transposeLeft, transposeRight }: Operands): reference.ReferenceTensor {
  return reference.matmul({
    left: reference.tensor(left.data, left.shape),
    right: reference.tensor(right.data, right.shape),
    transposeLeft,
    transposeRight,
  }).product;
}

/**
 * Bounds the error of each number of a float32 product. Each term l r is rounded once by the
 * multiplication, and at most K times by additions, in any order. So the error is at most
 * γ_n Σ|l r|, with n = K + 1 roundings and γ_n = n u / (1 − n u) (Higham, Accuracy and Stability of
 * Numerical Algorithms, section 3.1). Each of 2 K operations may also flush a subnormal result to
 * zero, which adds up to 2^-126.
 */
function bound(operands: Operands, inner: number): Float64Array {
  const magnitude = ({ data, shape }: Numbers): Numbers => ({ data: data.map(Math.abs), shape });
  const { left, right } = operands;
  const sums = twin({ ...operands, left: magnitude(left), right: magnitude(right) });
  const gamma = (inner + 1) * U / (1 - (inner + 1) * U);
  return sums.data.map((sum) => gamma * sum + 2 * inner * FLUSH);
}

/** A variant's name, or a test's own planner with a name. */
export type MatmulPlanner = string | { readonly name: string; readonly plan: typeof planMatmul };

type Property = (
  gpu: Gpu,
  variant: MatmulPlanner,
  options?: PropertyOptions<MatmulDescription>,
) => Promise<Report>;

function nameOf(variant: MatmulPlanner): string {
  return typeof variant === "string" ? variant : variant.name;
}

function plannerOf(variant: MatmulPlanner): typeof planMatmul {
  if (typeof variant !== "string") return variant.plan;
  return (gpu, options) => planMatmul(gpu, { ...options, variant });
}

/**
 * The product differs from the float64 twin's by at most its error bounds. Every run of the plan
 * writes every number, with the same bits.
 */
export const matmulMatchesTwin: Property = (gpu, variant, options = {}) =>
  checkCases(gpu, {
    name: `matmul "${nameOf(variant)}" vs twin`,
    arbitrary: matmulDescription,
    examples,
    seed: 741,
    runs: 40,
    async check(description, tally) {
      const { transposeLeft, transposeRight, inner } = description;
      const operands = { ...drawMatmul(description), transposeLeft, transposeRight };
      const planner = plannerOf(variant);
      const [first, second] = await onGpuPlanned(gpu, planner, { args: operands, runs: 2 });
      const expected = twin(operands);
      tally.sameBits("shape", { actual: first!.product.shape, expected: expected.shape });
      tally.within("product", {
        actual: first!.product.data,
        expected: expected.data,
        bound: bound(operands, inner),
      });
      tally.sameBits("the product of a second run", {
        actual: second!.product.data,
        expected: first!.product.data,
      });
    },
  }, options);

async function multiply(
  gpu: Gpu,
  { variant, ...operands }: Operands & { variant: MatmulPlanner },
): Promise<Numbers> {
  const [result] = await onGpuPlanned(gpu, plannerOf(variant), { args: operands, runs: 1 });
  return result!.product;
}

/**
 * A NaN in `left` changes only its row of the product, an infinity in `right` only its column. All
 * other numbers keep their bits.
 */
export const matmulContainsNonFinite: Property = (gpu, variant, options = {}) =>
  checkCases(gpu, {
    name: `matmul "${nameOf(variant)}" contains non-finite numbers`,
    arbitrary: matmulDescription,
    examples: examples.filter(({ rows }) => rows > 1),
    seed: 742,
    runs: 15,
    async check(description, tally) {
      const { rows, columns, inner, transposeLeft, transposeRight, seed } = description;
      const operands = { ...drawMatmul(description), transposeLeft, transposeRight, variant };
      const clean = await multiply(gpu, operands);
      const spoilt = {
        left: { ...operands.left, data: operands.left.data.slice() },
        right: { ...operands.right, data: operands.right.data.slice() },
      };
      // Past the end of the rows, columns or k, kernels read the last row, column or k again. So
      // the test often puts the NaN and the infinity into the last row, column and k.
      const m = seed % 2 === 0 ? rows - 1 : seed % rows;
      const n = seed % 3 === 0 ? columns - 1 : seed % columns;
      const k = seed % 5 === 0 ? inner - 1 : seed % inner;
      spoilt.left.data[transposeLeft ? k * rows + m : m * inner + k] = NaN;
      spoilt.right.data[transposeRight ? n * inner + k : k * columns + n] = Infinity;
      const product = await multiply(gpu, { ...operands, ...spoilt });
      const expected = Array.from(clean.data);
      // The spoiled elements lie in the first batch. A shared right operand brings its infinity to
      // all batches.
      const batches = clean.data.length / rows / columns;
      for (let batch = 0; batch < batches; batch++) {
        const start = batch * rows * columns;
        for (let j = 0; batch === 0 && j < columns; j++) expected[start + m * columns + j] = NaN;
        for (let i = 0; (batch === 0 || description.shared) && i < rows; i++) {
          const cell = start + i * columns + n;
          if (!Number.isFinite(product.data[cell])) expected[cell] = product.data[cell]!;
        }
      }
      tally.sameBits("product", { actual: product.data, expected });
      // Every element of the infinity's column must be infinite or NaN.
      for (let i = 0; i < rows; i++) {
        const number = product.data[i * columns + n]!;
        assert(!Number.isFinite(number), `row ${i} of column ${n} is ${number} after an infinity`);
      }
    },
  }, options);

function checkAdjoint(
  tally: Tally,
  { what, pairs, bounds }: {
    readonly what: string;
    readonly pairs: readonly [Numbers, Numbers][];
    /** The error bounds of each pair's first matrix. Each pair's second matrix is exact. */
    readonly bounds: readonly Float64Array[];
  },
): void {
  const values = pairs.map(([a, b]) => inner(a.data, b.data));
  const allowed = pairs.map(([, b], i) => inner(bounds[i]!, b.data.map(Math.abs)));
  tally.within(what, {
    actual: [values[0]!],
    expected: [values[1]!],
    bound: [allowed[0]! + allowed[1]!],
  });
}

/**
 * For P = L R and P's gradient G, training computes the gradients G Rᵀ and Lᵀ G. They must satisfy
 * ⟨P, G⟩ = ⟨G Rᵀ, L⟩ = ⟨Lᵀ G, R⟩. The property also checks that Pᵀ = Rᵀ Lᵀ.
 */
export const matmulIsAdjoint: Property = (gpu, variant, options = {}) =>
  checkCases(gpu, {
    name: `matmul "${nameOf(variant)}" is adjoint to its gradients`,
    arbitrary: matmulDescription,
    examples: [describeMatmul({ leading: [2], rows: 45, columns: 70, inner: 33, seed: 5 })],
    seed: 743,
    runs: 8,
    async check(drawn, tally) {
      const description = { ...drawn, transposeLeft: false, transposeRight: false, shared: false };
      const { leading, rows, columns, inner: depth } = description;
      const { left, right } = drawMatmul(description);
      const gradient = drawMatmul({
        ...description,
        inner: columns,
        seed: description.seed + 2,
      }).left;
      const forward = { left, right };
      const forLeft = { left: gradient, right, transposeRight: true };
      const forRight = { left, right: gradient, transposeLeft: true };
      const swapped = { left: right, right: left, transposeLeft: true, transposeRight: true };
      const product = await multiply(gpu, { ...forward, variant });
      const leftGradient = await multiply(gpu, { ...forLeft, variant });
      const rightGradient = await multiply(gpu, { ...forRight, variant });
      checkAdjoint(tally, {
        what: "⟨P, G⟩ and ⟨G Rᵀ, L⟩",
        pairs: [[product, gradient], [leftGradient, left]],
        bounds: [bound(forward, depth), bound(forLeft, columns)],
      });
      checkAdjoint(tally, {
        what: "⟨P, G⟩ and ⟨Lᵀ G, R⟩",
        pairs: [[product, gradient], [rightGradient, right]],
        bounds: [bound(forward, depth), bound(forRight, rows)],
      });
      const transposed = await multiply(gpu, { ...swapped, variant });
      const turned = new Float64Array(product.data.length);
      for (let batch = 0; batch < reference.elementCount(leading); batch++) {
        const start = batch * rows * columns;
        for (let m = 0; m < rows; m++) {
          for (let n = 0; n < columns; n++) {
            turned[start + m * columns + n] = transposed.data[start + n * rows + m]!;
          }
        }
      }
      tally.within("Pᵀ and Rᵀ Lᵀ", {
        actual: product.data,
        expected: turned,
        bound: bound(forward, depth).map((limit) => 2 * limit),
      });
    },
  }, options);
