import fc from "fast-check";
import * as reference from "../../src/reference/mod.ts";
import { scaledDifference } from "../support/rows/identities.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { distance, inner, norm } from "../support/vectors.ts";
import { checkProperty, normal, uniform } from "./cases.ts";

const { rmsNormForward, rmsNormBackward, tensor } = reference;

const description = fc.record({
  rows: fc.integer({ min: 1, max: 4 }),
  width: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 17 })),
  epsilon: fc.constantFrom(undefined, 0, 1e-5, 0.3),
  size: fc.constantFrom(1e-3, 1, 300),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
});
type Description = typeof description extends fc.Arbitrary<infer D> ? D : never;

function draw({ rows, width, size, seed }: Description) {
  return {
    input: normal([rows, width], { seed, size }),
    gain: uniform([width], { seed: seed + 1, minimum: -2, maximum: 2 }),
    outputGradient: normal([rows, width], { seed: seed + 2 }),
  };
}

Deno.test("rmsNormForward() gives the values of a case worked by hand", () => {
  const input = tensor([1, 7, 0, 0], [2, 2]);
  const gain = tensor([1, 2], [2]);
  const { output, inverseRms } = rmsNormForward({ input, gain, epsilon: 0.25 });
  // The mean squares are 25 and 0.
  assert(distance(inverseRms.data, [25.25 ** -0.5, 2]) < 1e-15);
  assert(distance(output.data, [25.25 ** -0.5, 14 * 25.25 ** -0.5, 0, 0]) < 1e-15);
});

Deno.test("rmsNormForward() and rmsNormBackward() take any rank and default epsilon to 1e-5", () => {
  const gain = normal([3], { seed: 1 });
  for (const [shape, leading] of [[[3], [1]], [[2, 3], [2]], [[2, 1, 4, 3], [2, 1, 4]]] as const) {
    const input = normal(shape, { seed: 2, size: 0.01 });
    const { output, inverseRms } = rmsNormForward({ input, gain });
    assertEquals(output.shape, [...shape]);
    assertEquals(inverseRms.shape, [...leading]);
    assertEquals(rmsNormForward({ input, gain, epsilon: 1e-5 }).output, output);
    const outputGradient = normal(shape, { seed: 3 });
    const gradients = rmsNormBackward({ input, gain, inverseRms, outputGradient });
    assertEquals(gradients.inputGradient.shape, [...shape]);
    assertEquals(gradients.gainGradient.shape, [3]);
  }
});

Deno.test("rmsNormBackward() agrees with finite differences in random directions", () => {
  checkProperty(description, {
    seed: 201,
    runs: 300,
    check(drawn, tolerances) {
      const { input, gain, outputGradient } = draw(drawn);
      const { epsilon } = drawn;
      const { inverseRms } = rmsNormForward({ input, gain, epsilon });
      const gradients = rmsNormBackward({ input, gain, inverseRms, outputGradient });
      const at = { input, gain };
      const loss = (point: typeof at) =>
        inner(rmsNormForward({ ...point, epsilon }).output.data, outputGradient.data);
      for (const name of ["input", "gain"] as const) {
        const unscaled = normal(at[name].shape, { seed: drawn.seed + 9 });
        // A step must move each row by less than the row's length, and some rows may be much
        // shorter than others. So each row of the direction is half as long as the row it moves.
        const direction = tensor(unscaled.data, unscaled.shape);
        const width = drawn.width;
        for (let start = 0; start < direction.data.length; start += width) {
          const row = direction.data.subarray(start, start + width);
          const size = norm(at[name].data.subarray(start, start + width)) / norm(row) / 2;
          row.forEach((x, i) => row[i] = x * size);
        }
        const gradient = gradients[`${name}Gradient`].data;
        const estimate = reference.directionalDerivative(loss, {
          at,
          direction: { [name]: direction },
          step: 0.5,
        });
        const magnitude = norm(outputGradient.data) * norm(gain.data) * width;
        const tolerance = 10 * estimate.error + 2 ** -53 * 20 * magnitude;
        tolerances.within(Math.abs(estimate.value - inner(gradient, direction.data)), {
          tolerance,
          what: name,
        });
        // The comparison must detect an error of a millionth of the terms' magnitude.
        assert(tolerance < 1e-6 * magnitude, `${name}: tolerance ${tolerance} is no test`);
        assert(norm(gradient) > 0 || (name === "input" && width === 1), `${name}: no gradient`);
      }
    },
  });
});

Deno.test("rmsNormBackward() agrees with complex steps in every element", () => {
  checkProperty(description, {
    seed: 202,
    runs: 200,
    check(drawn, tolerances) {
      const { input, gain, outputGradient } = draw({ ...drawn, rows: 1 });
      const epsilon = drawn.epsilon ?? 1e-5;
      const { inverseRms } = rmsNormForward({ input, gain, epsilon });
      const gradients = rmsNormBackward({ input, gain, inverseRms, outputGradient });
      for (const name of ["input", "gain"] as const) {
        const derivatives = Array.from(gain.data, (_, i) => {
          const direction = Array.from(gain.data, (_, j) => i === j ? 1 : 0);
          return reference.complexStepDerivative((h) => {
            const output = reference.complexNumbers.rmsNormRow(
              reference.moveComplex(input.data, {
                direction: name === "input" ? direction : undefined,
                h,
              }),
              {
                gain: reference.moveComplex(gain.data, {
                  direction: name === "gain" ? direction : undefined,
                  h,
                }),
                epsilon,
              },
            );
            return {
              re: 0,
              im: output.reduce((sum, y, j) => sum + y.im * outputGradient.data[j]!, 0),
            };
          });
        });
        // With u = γ ⊙ g and r = rms(x), the input gradient's terms are at most ‖u‖/r, and the gain
        // gradient's at most ‖g‖ ‖x‖/r. The tolerance allows for the rounding of sums of d
        // elements.
        const u = norm(gain.data.map((x, i) => x * outputGradient.data[i]!)) * inverseRms.data[0]!;
        const gx = norm(outputGradient.data) * norm(input.data) * inverseRms.data[0]!;
        tolerances.within(distance(derivatives, gradients[`${name}Gradient`].data), {
          tolerance: 2 ** -53 * (4 * drawn.width + 20) * (name === "input" ? u : gx),
          what: name,
        });
      }
    },
  });
});

Deno.test("rmsNormForward() and rmsNormBackward() obey the scaling laws", () => {
  // With ε = 0, RMSNorm(c x) = RMSNorm(x), 1/rms(c x) = 1/(c rms(x)) and J(c x) = J(x)/c (N4). Any
  // other ε must be scaled by c² with x.
  checkProperty(description, {
    seed: 203,
    runs: 200,
    check(drawn, tolerances) {
      const { input, gain, outputGradient } = draw(drawn);
      const epsilon = drawn.epsilon ?? 1e-5;
      const factor = uniform([1], { seed: drawn.seed + 9, minimum: 0.01, maximum: 50 }).data[0]!;
      const scaled = tensor(input.data.map((x) => factor * x), input.shape);
      const run = (x: reference.ReferenceTensor, eps: number) => {
        const forward = rmsNormForward({ input: x, gain, epsilon: eps });
        const { inverseRms } = forward;
        return { ...forward, ...rmsNormBackward({ input: x, gain, inverseRms, outputGradient }) };
      };
      const before = run(input, epsilon);
      const after = run(scaled, epsilon * factor ** 2);
      const tolerance = 2 ** -53 * (2 * drawn.width + 20);
      const laws = { output: 1, inverseRms: 1 / factor, gainGradient: 1 };
      for (const name of ["output", "inverseRms", "gainGradient"] as const) {
        // A gain gradient sums over rows, and its terms may cancel. So allow for rounding relative
        // to the terms, not to the sum.
        const condition = name === "gainGradient"
          ? norm(outputGradient.data) * Math.sqrt(drawn.width * drawn.rows) /
            Math.max(...before[name].data.map(Math.abs))
          : 1;
        const violation = scaledDifference(after[name].data, before[name].data, {
          factor: laws[name],
        });
        tolerances.holds(violation, { tolerance: tolerance * condition, what: name });
      }
      // The two terms of an input gradient are at most ‖u‖/rms(x), with u = γ ⊙ g. They cancel
      // where u is parallel to x, so the tolerance is relative to the terms.
      const largest = 2 * 2 * norm(outputGradient.data) * Math.max(...before.inverseRms.data);
      tolerances.within(
        distance(after.inputGradient.data.map((x) => factor * x), before.inputGradient.data),
        { tolerance: tolerance * largest, what: "inputGradient" },
      );
    },
  });
});

Deno.test("rmsNormForward() and rmsNormBackward() keep NaN and Inf in their rows", () => {
  const clean = draw({ rows: 3, width: 4, epsilon: 1e-5, size: 1, seed: 5 });
  const run = ({ input, gain, outputGradient }: typeof clean) => {
    const forward = rmsNormForward({ input, gain });
    const { inverseRms } = forward;
    const backward = rmsNormBackward({ input, gain, inverseRms, outputGradient });
    return { ...forward, ...backward };
  };
  const wanted = run(clean);
  for (const bad of [NaN, Infinity]) {
    for (const name of ["input", "outputGradient"] as const) {
      const dirty = { ...clean, [name]: tensor(clean[name].data, clean[name].shape) };
      dirty[name].data[5] = bad;
      const actual = run(dirty);
      const results = name === "input"
        ? ["output", "inputGradient"] as const
        : ["inputGradient"] as const;
      for (const result of results) {
        for (const row of [0, 2]) {
          const of = ({ data }: reference.ReferenceTensor) => data.subarray(row * 4, row * 4 + 4);
          assertEquals(of(actual[result]), of(wanted[result]));
        }
        assert(actual[result].data.subarray(4, 8).some((x) => !Number.isFinite(x)));
      }
    }
  }
});
