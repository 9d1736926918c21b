import fc from "fast-check";
import * as reference from "../../src/reference/mod.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { distance, inner, norm } from "../support/vectors.ts";
import { checkProperty, normal, uniform } from "./cases.ts";

const { vScaleForward, vScaleBackward, tensor } = reference;

const description = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  heads: fc.integer({ min: 1, max: 3 }),
  length: fc.integer({ min: 1, max: 5 }),
  headDim: fc.integer({ min: 1, max: 8 }),
  // The ratio of C to ‖v‖²: from open valves to shut ones (C ≫ ‖v‖²).
  stiffness: fc.constantFrom(1e-3, 0.1, 1, 30, 1e4),
  size: fc.constantFrom(1e-4, 1, 100),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
});
type Description = typeof description extends fc.Arbitrary<infer D> ? D : never;

function draw({ batch, heads, length, headDim, stiffness, size, seed }: Description) {
  const shape = [batch, heads, length, headDim];
  const typical = stiffness * headDim * size ** 2;
  return {
    value: normal(shape, { seed, size }),
    constant: uniform([heads], { seed: seed + 1, minimum: typical / 2, maximum: 2 * typical }),
    scaledValueGradient: normal(shape, { seed: seed + 2 }),
  };
}

Deno.test("vScaleForward() gives the values of a case worked by hand", () => {
  // Rows with ‖v‖² = 25 are multiplied by 25 / (25 + C): by 1/2 with C = 25, by 1/5 with C = 100.
  const value = tensor([3, 4, 0, 0, 3, 4, -5, 0], [1, 2, 2, 2]);
  const constant = tensor([25, 100], [2]);
  const { scaledValue } = vScaleForward({ value, constant });
  assert(distance(scaledValue.data, [1.5, 2, 0, 0, 0.6, 0.8, -1, 0]) < 1e-15);
  assertEquals(scaledValue.shape, [1, 2, 2, 2]);
});

Deno.test("vScaleBackward() agrees with finite differences in random directions", () => {
  checkProperty(description, {
    seed: 301,
    runs: 300,
    check(drawn, tolerances) {
      const { value, constant, scaledValueGradient } = draw(drawn);
      const gradients = vScaleBackward({ value, constant, scaledValueGradient });
      const at = { value, constant };
      const loss = (point: typeof at) =>
        inner(vScaleForward(point).scaledValue.data, scaledValueGradient.data);
      for (const name of ["value", "constant"] as const) {
        const unscaled = normal(at[name].shape, { seed: drawn.seed + 9 });
        const direction = tensor(unscaled.data, unscaled.shape);
        // A step of 1 along the direction changes each row, and each constant, by a quarter of its
        // size.
        const width = name === "value" ? drawn.headDim : 1;
        for (let start = 0; start < direction.data.length; start += width) {
          const row = direction.data.subarray(start, start + width);
          const size = norm(at[name].data.subarray(start, start + width)) / (4 * norm(row));
          row.forEach((x, i) => row[i] = x * size);
        }
        const gradient = gradients[`${name}Gradient`].data;
        const estimate = reference.directionalDerivative(loss, {
          at,
          direction: { [name]: direction },
          step: 1,
        });
        const { scaledValue } = vScaleForward(at);
        const magnitude = norm(scaledValueGradient.data) * norm(scaledValue.data);
        const tolerance = 10 * estimate.error + 2 ** -53 * 100 * magnitude;
        tolerances.within(Math.abs(estimate.value - inner(gradient, direction.data)), {
          tolerance,
          what: name,
        });
        // Where C is small, doubling C changes the output by only 1e-3 of itself. The comparison
        // must detect far less than that.
        assert(tolerance < 1e-8 * magnitude, `${name}: tolerance ${tolerance} is no test`);
        assert(norm(gradient) > 0, `${name}: no gradient`);
      }
    },
  });
});

Deno.test("vScaleBackward() agrees with complex steps in every element", () => {
  checkProperty(description, {
    seed: 302,
    runs: 200,
    check(drawn, tolerances) {
      const { value, constant, scaledValueGradient } = draw({
        ...drawn,
        batch: 1,
        heads: 1,
        length: 1,
      });
      const gradients = vScaleBackward({ value, constant, scaledValueGradient });
      const derivative = (directions: { value?: number[]; constant?: number[] }) =>
        reference.complexStepDerivative((h) => {
          const row = reference.complexNumbers.vScaleRow(
            reference.moveComplex(value.data, { direction: directions.value, h }),
            reference.moveComplex(constant.data, { direction: directions.constant, h })[0]!,
          );
          return {
            re: 0,
            im: row.reduce((sum, y, i) => sum + y.im * scaledValueGradient.data[i]!, 0),
          };
        });
      const wanted = Array.from(
        value.data,
        (_, i) => derivative({ value: Array.from(value.data, (_, j) => i === j ? 1 : 0) }),
      );
      const r = inner(value.data, value.data);
      const c = constant.data[0]!;
      const along = norm(value.data) * norm(scaledValueGradient.data);
      const rounding = 2 ** -53 * (4 * drawn.headDim + 30);
      tolerances.within(distance(gradients.valueGradient.data, wanted), {
        tolerance: rounding * reference.lambdaParallel(r, c) * norm(scaledValueGradient.data) *
          Math.sqrt(drawn.headDim),
        what: "value",
      });
      tolerances.within(
        Math.abs(gradients.constantGradient.data[0]! - derivative({ constant: [1] })),
        { tolerance: rounding * r / (r + c) ** 2 * along, what: "constant" },
      );
    },
  });
});

Deno.test("vScaleForward() and vScaleBackward() map a zero value to zero, with finite gradients", () => {
  const value = tensor([0, 0, 3, 4], [1, 1, 2, 2]);
  const constant = tensor([1e-30], [1]);
  const scaledValueGradient = tensor([1, 1, 1, 1], [1, 1, 2, 2]);
  const { valueGradient, constantGradient } = vScaleBackward({
    value,
    constant,
    scaledValueGradient,
  });
  assertEquals([...vScaleForward({ value, constant }).scaledValue.data], [0, 0, 3, 4]);
  assertEquals([...valueGradient.data.subarray(0, 2)], [0, 0]);
  assert(distance(valueGradient.data.subarray(2), [1, 1]) < 1e-15);
  assert(Math.abs(constantGradient.data[0]! + 7 / 25) < 1e-15);
});

Deno.test("vScaleForward() and vScaleBackward() keep NaN and Inf in their rows", () => {
  const clean = draw({
    batch: 1,
    heads: 2,
    length: 2,
    headDim: 3,
    stiffness: 1,
    size: 1,
    seed: 5,
  });
  const wanted = { ...vScaleForward(clean), ...vScaleBackward(clean) };
  for (const bad of [NaN, Infinity]) {
    const dirty = { ...clean, value: tensor(clean.value.data, clean.value.shape) };
    dirty.value.data[4] = bad;
    const actual = { ...vScaleForward(dirty), ...vScaleBackward(dirty) };
    for (const result of ["scaledValue", "valueGradient"] as const) {
      wanted[result].data.forEach((x, i) => {
        if (Math.floor(i / 3) !== 1) assertEquals(actual[result].data[i], x);
      });
      assert(Number.isNaN(actual[result].data[4]));
    }
    assertEquals(actual.constantGradient.data[1], wanted.constantGradient.data[1]);
    assert(Number.isNaN(actual.constantGradient.data[0]));
  }
});
