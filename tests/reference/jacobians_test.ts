/**
 * RMSNorm as a compressor and V-scale as a valve: the twin obeys the statements in parts N and V of
 * src/reference/theory.md.
 */
import fc from "fast-check";
import { EigenvalueDecomposition, Matrix, SingularValueDecomposition } from "ml-matrix";
import * as reference from "../../src/reference/mod.ts";
import * as rows from "../support/rows/identities.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { distance, inner, norm } from "../support/vectors.ts";
import { checkProperty, normal, uniform } from "./cases.ts";

const { lambdaParallel, lambdaPerpendicular, rmsNormJacobian, tensor, vScaleJacobian } = reference;

function matrixOf({ data, shape }: reference.ReferenceTensor): Matrix {
  return Matrix.from1DArray(shape[0]!, shape[1]!, Array.from(data));
}

function spectralNorm(matrix: reference.ReferenceTensor): number {
  return Math.max(...new SingularValueDecomposition(matrixOf(matrix)).diagonal);
}

const normDescription = fc.record({
  width: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 12 })),
  epsilon: fc.constantFrom(0, 1e-5, 0.3),
  size: fc.constantFrom(1e-3, 1, 300),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
});
type NormDescription = typeof normDescription extends fc.Arbitrary<infer D> ? D : never;

function drawNorm({ width, epsilon, size, seed }: NormDescription, count = 3) {
  const shape = [count, width];
  const input = normal(shape, { seed, size });
  const gain = uniform([width], { seed: seed + 1, minimum: -2, maximum: 2 });
  const outputGradient = normal(shape, { seed: seed + 2 });
  return normNumbers({ input, gain, outputGradient, epsilon });
}

function normNumbers(tensors: {
  input: reference.ReferenceTensor;
  gain: reference.ReferenceTensor;
  outputGradient: reference.ReferenceTensor;
  epsilon: number;
}) {
  const { inverseRms } = reference.rmsNormForward(tensors);
  return { ...tensors, inverseRms, ...reference.rmsNormBackward({ ...tensors, inverseRms }) };
}

const firstRow = ({ data, shape }: reference.ReferenceTensor) =>
  tensor(data.subarray(0, shape[shape.length - 1]), [shape[shape.length - 1]!]);

Deno.test("rmsNormBackward() applies the transpose of rmsNormJacobian() and obeys N1 to N4", () => {
  checkProperty(normDescription, {
    seed: 601,
    runs: 200,
    check(description, tolerances) {
      const numbers = drawNorm(description);
      // Allows for the rounding of sums of d terms, relative to the terms' magnitudes.
      const tolerance = 2 ** -53 * (4 * description.width + 30);
      tolerances.holds(rows.rmsNormIsItsJacobian(numbers), { tolerance, what: "N1" });
      tolerances.holds(rows.rmsNormRadialGradient(numbers), { tolerance, what: "N4" });
      tolerances.holds(rows.rmsNormBound(numbers), { tolerance, what: "N2" });
    },
  });
});

Deno.test("rmsNormJacobian() is the derivative of rmsNormForward() by complex steps", () => {
  checkProperty(normDescription, {
    seed: 602,
    runs: 100,
    check(description, tolerances) {
      const { width, epsilon } = description;
      const drawn = drawNorm(description);
      const input = firstRow(drawn.input);
      const jacobian = rmsNormJacobian({ input, gain: drawn.gain, epsilon }).data;
      const gain = reference.moveComplex(drawn.gain.data, { h: { re: 0, im: 0 } });
      const r = Math.sqrt(inner(input.data, input.data) / width + epsilon);
      for (let i = 0; i < width; i++) {
        const row = Array.from({ length: width }, (_, j) =>
          reference.complexStepDerivative((h) => {
            const direction = Array.from({ length: width }, (_, k) => k === j ? 1 : 0);
            const moved = reference.moveComplex(input.data, { direction, h });
            return reference.complexNumbers.rmsNormRow(moved, { gain, epsilon })[i]!;
          }));
        tolerances.within(distance(row, jacobian.subarray(i * width, (i + 1) * width)), {
          tolerance: 2 ** -53 * (4 * width + 20) * 2 * Math.abs(drawn.gain.data[i]!) / r,
          what: "row",
        });
      }
    },
  });
});

Deno.test("rmsNormJacobian() has a spectral norm of at most ‖γ‖_∞/r (N2)", () => {
  let closest = 0;
  checkProperty(normDescription, {
    seed: 603,
    runs: 150,
    check(description, tolerances) {
      const drawn = drawNorm(description);
      const input = firstRow(drawn.input);
      const { width, epsilon } = description;
      const r = Math.sqrt(inner(input.data, input.data) / width + epsilon);
      const bound = Math.max(...drawn.gain.data.map(Math.abs)) / r;
      const size = spectralNorm(rmsNormJacobian({ input, gain: drawn.gain, epsilon }));
      closest = Math.max(closest, size / bound);
      // Rounding changes a singular value by a few d · 2⁻⁵³ ‖J‖.
      tolerances.within(size / bound - 1, {
        tolerance: 2 ** -53 * (10 * width + 30),
        what: "‖J‖",
      });
    },
  });
  assert(closest > 0.99, `the bound was never closer than ${closest}`);
});

Deno.test("rmsNormBackward() keeps the gradient below a target if r is large enough (N3)", () => {
  const description = fc.record({
    norm: normDescription,
    target: fc.constantFrom(1e-4, 1, 1e3),
    margin: fc.constantFrom(1, 1.5, 0.5),
  });
  let compared = 0, left = 0;
  checkProperty(description, {
    seed: 604,
    runs: 200,
    check({ norm: norms, target, margin }, tolerances) {
      // With ε = 0, scale one row so that its root mean square is r = margin × (‖γ‖_∞/τ) ‖g‖, where
      // τ is the target. A margin of at least 1 keeps the input gradient within the target.
      const drawn = drawNorm({ ...norms, epsilon: 0 }, 1);
      const largest = Math.max(...drawn.gain.data.map(Math.abs));
      const wanted = margin * (1 + 1e-12) * largest / target * norm(drawn.outputGradient.data);
      const factor = wanted * drawn.inverseRms.data[0]!;
      const input = tensor(drawn.input.data.map((x) => x * factor), drawn.input.shape);
      const violation = rows.rmsNormMeetsTarget(normNumbers({ ...drawn, input }), { target });
      assertEquals(violation.compared, margin >= 1 ? 1 : 0);
      compared += violation.compared;
      left += 1 - violation.compared;
      if (violation.compared > 0) {
        tolerances.within(violation.worst, {
          tolerance: 2 ** -53 * (4 * norms.width + 30),
          what: "N3",
        });
      }
    },
  });
  assert(compared > 50 && left > 30, `${compared} rows were compared, ${left} were not`);
});

Deno.test("rmsNormJacobian() with ε = 0 is J(x)/c at c x, and maps x to 0 (N4)", () => {
  checkProperty(normDescription, {
    seed: 605,
    runs: 150,
    check({ width, size, seed }, tolerances) {
      const { input: all, gain } = drawNorm({ width, size, seed, epsilon: 0 });
      const input = firstRow(all);
      const factor = uniform([1], { seed: seed + 9, minimum: 0.01, maximum: 50 }).data[0]!;
      const scaled = tensor(input.data.map((x) => factor * x), input.shape);
      const before = rmsNormJacobian({ input, gain, epsilon: 0 });
      const after = rmsNormJacobian({ input: scaled, gain, epsilon: 0 });
      const r = norm(input.data) / Math.sqrt(width);
      const largest = Math.max(...gain.data.map(Math.abs)) / r;
      const rounding = 2 ** -53 * (4 * width + 30);
      tolerances.within(distance(after.data.map((x) => factor * x), before.data), {
        tolerance: rounding * width * largest,
        what: "J(c x)",
      });
      const image = gain.data.map((_, i) =>
        inner(before.data.subarray(i * width, (i + 1) * width), input.data)
      );
      tolerances.within(norm(image), {
        tolerance: rounding * largest * norm(input.data),
        what: "J(x) x",
      });
    },
  });
});

const valveDescription = fc.record({
  headDim: fc.integer({ min: 1, max: 10 }),
  // r/C with r = ‖v‖². At 1e-6 the valve is shut, at 1e5 open. At 3 the Jacobian's eigenvalue along
  // v is largest.
  ratio: fc.constantFrom(1e-6, 0.01, 0.5, 3, 20, 1e5),
  constant: fc.constantFrom(1e-3, 1, 52.4288),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
});
type ValveDescription = typeof valveDescription extends fc.Arbitrary<infer D> ? D : never;

/** A value row with ‖v‖² = ratio C, up to rounding. */
function drawValue(
  { headDim, ratio, constant, seed }: ValveDescription,
): reference.ReferenceTensor {
  const { data } = normal([headDim], { seed });
  const factor = Math.sqrt(ratio * constant) / norm(data);
  return tensor(data.map((x) => factor * x), [headDim]);
}

Deno.test("vScaleJacobian() has the eigenvalues λ⊥ and λ∥, the latter along the value (V1)", () => {
  checkProperty(valveDescription, {
    seed: 606,
    runs: 200,
    check(description, tolerances) {
      const { headDim, constant } = description;
      const value = drawValue(description);
      const jacobian = vScaleJacobian({ value, constant });
      const r = inner(value.data, value.data);
      const parallel = lambdaParallel(r, constant);
      const perpendicular = lambdaPerpendicular(r, constant);
      const tolerance = 2 ** -53 * (10 * headDim + 30) * parallel;
      const { realEigenvalues } = new EigenvalueDecomposition(matrixOf(jacobian), {
        assumeSymmetric: true,
      });
      const sorted = realEigenvalues.toSorted((a, b) => a - b);
      const wanted = Array.from({ length: headDim }, (_, i) => i ? perpendicular : parallel)
        .toSorted((a, b) => a - b);
      tolerances.within(distance(sorted, wanted), { tolerance, what: "eigenvalues" });
      const image = value.data.map((_, i) =>
        inner(jacobian.data.subarray(i * headDim, (i + 1) * headDim), value.data)
      );
      tolerances.within(distance(image, value.data.map((x) => parallel * x)), {
        tolerance: tolerance * norm(value.data),
        what: "J v = λ∥ v",
      });
      // λ∥ is never the smaller eigenvalue, so it is the spectral norm.
      assert(parallel >= perpendicular);
      tolerances.within(Math.abs(spectralNorm(jacobian) - parallel), { tolerance, what: "‖J‖" });
    },
  });
});

Deno.test("vScaleJacobian() is the derivative of vScaleForward() by complex steps (V1)", () => {
  checkProperty(valveDescription, {
    seed: 607,
    runs: 150,
    check(description, tolerances) {
      const { headDim, constant } = description;
      const value = drawValue(description);
      const jacobian = vScaleJacobian({ value, constant }).data;
      const r = inner(value.data, value.data);
      for (let j = 0; j < headDim; j++) {
        const direction = Array.from({ length: headDim }, (_, k) => k === j ? 1 : 0);
        const column = Array.from(
          { length: headDim },
          (_, i) =>
            reference.complexStepDerivative((h) =>
              reference.complexNumbers.vScaleRow(
                reference.moveComplex(value.data, { direction, h }),
                { re: constant, im: 0 },
              )[i]!
            ),
        );
        const wanted = column.map((_, i) => jacobian[i * headDim + j]!);
        tolerances.within(distance(column, wanted), {
          tolerance: 2 ** -53 * (4 * headDim + 30) * lambdaParallel(r, constant),
          what: "column",
        });
      }
    },
  });
});

Deno.test("vScaleBackward() obeys V1 to V3", () => {
  checkProperty(valveDescription, {
    seed: 608,
    runs: 200,
    check(description, tolerances) {
      const { headDim, seed } = description;
      const row = drawValue(description);
      // Head 0 has the drawn row and its negative. Head 1 has a row three times as long, and the
      // drawn row under another constant.
      const data = [row.data, row.data.map((x) => -x), row.data.map((x) => 3 * x), row.data];
      const shape = [1, 2, 2, headDim];
      const value = tensor(data.flatMap((x) => Array.from(x)), shape);
      const constant = tensor([description.constant, 7 * description.constant], [2]);
      const scaledValueGradient = normal(shape, { seed: seed + 1 });
      const gradients = reference.vScaleBackward({ value, constant, scaledValueGradient });
      const numbers = { value, constant, scaledValueGradient, ...gradients };
      const tolerance = 2 ** -53 * (6 * headDim + 40);
      tolerances.holds(rows.vScaleIsItsEigenvalues(numbers), { tolerance, what: "V1" });
      tolerances.holds(rows.vScaleConstantGradient(numbers), { tolerance, what: "V3" });
      for (const [what, violation] of Object.entries(rows.vScaleBounds(numbers))) {
        tolerances.holds(violation, { tolerance, what: `V2 ${what}` });
      }
      // ∂L/∂θ = C ∂L/∂C for C = exp θ, by finite differences in θ.
      const theta = reference.richardsonDerivative((h) => {
        const moved = tensor(constant.data.map((c) => c * Math.exp(h)), [2]);
        const { scaledValue } = reference.vScaleForward({ value, constant: moved });
        return inner(scaledValue.data, scaledValueGradient.data);
      });
      const { scaledValue } = reference.vScaleForward({ value, constant });
      tolerances.within(
        Math.abs(theta.value - inner(gradients.constantGradient.data, constant.data)),
        {
          tolerance: 10 * theta.error +
            1e-13 * norm(scaledValue.data) * norm(scaledValueGradient.data),
          what: "V3 θ",
        },
      );
    },
  });
});

Deno.test("lambdaParallel() is at most 9/8, attained at r = 3 C and nowhere else, and at most 3r/C (V2)", () => {
  for (const constant of [1e-6, 0.5, 1, 52.4288, 1e9]) {
    let largest = 0, place = 0;
    for (let power = -12; power <= 12; power += 1 / 512) {
      const ratio = 10 ** power;
      const gain = lambdaParallel(ratio * constant, constant);
      assert(gain <= 9 / 8 * (1 + 4 * Number.EPSILON), `λ∥(${ratio} C) is ${gain}`);
      assert(gain <= 3 * ratio * (1 + 8 * Number.EPSILON), `λ∥(${ratio} C) is ${gain}`);
      // For r ≪ C the gain is 3r/C up to terms of order (r/C)².
      if (ratio < 1e-3) assert(gain > 3 * ratio * (1 - 2 * ratio));
      if (gain > largest) [largest, place] = [gain, ratio];
      const across = lambdaPerpendicular(ratio * constant, constant);
      assert(across < 1 && across <= gain);
    }
    assert(Math.abs(place / 3 - 1) < 0.005, `the largest gain is at r = ${place} C`);
    assert(Math.abs(lambdaParallel(3 * constant, constant) - 9 / 8) <= 4 * Number.EPSILON);
    // The derivative vanishes at the maximum, but not 1 % beside it.
    const slope = (ratio: number) =>
      reference.richardsonDerivative((h) => lambdaParallel((ratio + h) * constant, constant)).value;
    assert(Math.abs(slope(3)) < 1e-12);
    assert(slope(2.97) > 1e-4 && slope(3.03) < -1e-4);
  }
});
