/** The operators of training at the ends of float32's range. */
import { fakeQuantize, type Gpu, planAdamW, planGradientNorm } from "../../../../mod.ts";
import { assertEquals } from "../../assert/assert.ts";
import { absoluteMaximumOf, drawUniform } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { FLUSH, U } from "../../tolerance.ts";
import { account, numbersOf } from "./account.ts";

/** Magnitudes from subnormal numbers to numbers whose squares overflow. */
export const MAGNITUDES = [1e-38, 1e-22, 1e-20, 1, 1e19, 3e38] as const;

/** The largest finite float32. */
const LARGEST = 2 ** 128 - 2 ** 104;

/** The distance between neighboring subnormal float32 numbers. */
const SPACING = 2 ** -149;

/**
 * gradientNorm is right for gradients of any magnitude. A norm beyond float32 is Infinity, and the
 * factor that clips the gradients is then NaN.
 */
export function gradientNormHoldsInRange(gpu: Gpu): Promise<Report> {
  return account(gpu, "gradientNorm in float32's range", async function* (arena, tally) {
    const mixtures = MAGNITUDES.flatMap((a) => [[a], ...MAGNITUDES.map((b) => [a, b, 0])]);
    for (const magnitudes of mixtures) {
      for (const length of [1, 4097]) {
        const drawn = magnitudes.map((scale, seed) =>
          scale === 0
            ? { data: new Float32Array(length), shape: [length] }
            : drawUniform({ seed: seed + length, shape: [length], scale })
        );
        const elements = drawn.flatMap(({ data }) => [...data]);
        const largest = Math.max(...elements.map(Math.abs));
        // Float64 holds the squares of these numbers.
        const norm = Math.sqrt(elements.reduce((sum, x) => sum + x * x, 0));
        const gradients = drawn.map((numbers) => arena.upload(numbers));
        for (const maximum of [0.5 * norm, 1, 3e38]) {
          if (maximum < FLUSH || maximum > LARGEST) continue;
          const { plan, clipping } = planGradientNorm(gpu, { gradients, maximum });
          gpu.run(arena.keep(plan));
          const [actual, factor] = await numbersOf(arena, clipping) as unknown as [number, number];
          if (norm > LARGEST) {
            assertEquals([actual, factor], [Infinity, NaN], `${magnitudes} of ${length}`);
            continue;
          }
          tally.within("gradientNorm", {
            actual: [actual],
            expected: [norm],
            // If squares leave float32's range, one lane alone adds those of up to `length`
            // elements (sum_squares.wgsl). Subnormal elements may be flushed.
            bound: [(length + 300) * U * norm + FLUSH * Math.sqrt(elements.length)],
          });
          const wanted = Math.min(1, maximum / norm);
          if (wanted < 1.001 * FLUSH) assertEquals(factor, NaN);
          else {
            tally.within("gradientNorm's factor", {
              actual: [factor],
              expected: [wanted],
              // If the norm is close to the maximum, rounding decides which is larger. Either way,
              // the factor is within this bound of 1. A subnormal norm may be flushed.
              bound: [(length + 310) * U * wanted + FLUSH * elements.length / largest],
            });
          }
        }
        yield;
      }
    }
  });
}

/**
 * A step of AdamW changes nothing if the gradients contain a NaN or infinity, or if their norm is
 * so large that the factor that clips them is subnormal.
 */
export function adamWStops(gpu: Gpu): Promise<Report> {
  return account(gpu, "adamW after a norm that is not finite", async function* (arena, tally) {
    const settings = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };
    for (const length of [64, 71]) {
      for (const bad of [NaN, Infinity, -Infinity, 3e38, undefined]) {
        const start = ["parameter", "firstMoment", "secondMoment"].map((_, seed) =>
          drawUniform({ seed, shape: [length], mean: 2 })
        );
        const [parameter, firstMoment, secondMoment] = start.map((each) => arena.upload(each)) as [
          ReturnType<typeof arena.upload>,
          ReturnType<typeof arena.upload>,
          ReturnType<typeof arena.upload>,
        ];
        const healthy = drawUniform({ seed: 7, shape: [length] });
        const other = drawUniform({ seed: 8, shape: [5000] });
        if (bad !== undefined) other.data[4321] = bad;
        const gradient = arena.upload(healthy);
        const { plan: norm, clipping } = planGradientNorm(gpu, {
          gradients: [gradient, arena.upload(other)],
          maximum: 1,
        });
        arena.keep(clipping);
        const { plan } = planAdamW(gpu, {
          parameter,
          gradient,
          firstMoment,
          secondMoment,
          step: arena.keep(gpu.tensor([0.01, 10, 20], [3])),
          clipping,
          ...settings,
        });
        gpu.run([arena.keep(norm), arena.keep(plan)]);
        for (const [i, tensor] of [parameter, firstMoment, secondMoment].entries()) {
          const actual = await tensor.read();
          if (bad !== undefined) {
            tally.sameBits(`adamW after ${bad}`, { actual, expected: start[i]!.data });
          } else assertEquals(actual.some((x, j) => x === start[i]!.data[j]), false);
        }
        yield;
      }
    }
  });
}

/**
 * An element of the gradient whose square overflows float32 turns only the same element of the
 * parameter and the moments into NaN. Tiny gradients still move their parameters.
 */
export function adamWHoldsInRange(gpu: Gpu): Promise<Report> {
  return account(gpu, "adamW in float32's range", async function* (arena, tally) {
    const [beta1, beta2] = [0.75, 0.5]; // exact
    const epsilon = Math.fround(1e-12), weightDecay = 0;
    for (const length of [64, 71]) {
      const drawn = drawUniform({ seed: length, shape: [length], mean: 1, scale: 0.25 });
      const gradient = drawn.data.map((x, i) =>
        x * [1e-38, 1e-20, 1, 1e19, 1e20, 3e38][i % 6]! / 1.5
      );
      const overflows = Array.from(gradient, (g) => 0.5 * Math.fround(g) ** 2 > LARGEST / 2);
      const zeros = () => arena.keep(gpu.tensor(new Float32Array(length), [length]));
      const [parameter, firstMoment, secondMoment] = [zeros(), zeros(), zeros()] as const;
      const { plan } = planAdamW(gpu, {
        parameter,
        gradient: arena.upload({ data: gradient, shape: [length] }),
        firstMoment,
        secondMoment,
        step: arena.keep(gpu.tensor([0.5, 4, 2], [3])),
        clipping: arena.keep(gpu.tensor([1, 1], [2])),
        beta1,
        beta2,
        epsilon,
        weightDecay,
      });
      gpu.run(arena.keep(plan));
      const actual = await parameter.read();
      for (const tensor of [parameter, firstMoment, secondMoment]) {
        assertEquals([...await tensor.read()].map(Number.isNaN), overflows);
      }
      const kept = overflows.flatMap((overflow, i) => overflow ? [] : [i]);
      tally.within("adamW's parameter", {
        actual: kept.map((i) => actual[i]!),
        expected: kept.map((i) => -0.5 * gradient[i]! / (Math.abs(gradient[i]!) + epsilon)),
        // The square of a gradient of 10⁻²⁰ may be flushed. Then 10⁻²⁰, the root of the square, is
        // missing beside ε = 10⁻¹², which is a relative change of 10⁻⁸.
        bound: kept.map((i) =>
          40 * U + 2 * Math.sqrt(2 * FLUSH) / epsilon * Number(gradient[i]! < 1e-18)
        ),
      });
      yield;
    }
  });
}

export function fakeQuantizeHoldsInRange(gpu: Gpu): Promise<Report> {
  return account(gpu, "fakeQuantize in float32's range", async function* (arena, tally) {
    for (const scale of [...MAGNITUDES, 1e-30, 2e-37]) {
      const [rows, columns] = [5, 70];
      const input = drawUniform({ seed: 3, shape: [rows, columns], scale });
      if (scale === 3e38) input.data[0] = LARGEST;
      const uploaded = arena.upload(input);
      const whole = absoluteMaximumOf(input.data);
      for (const maximum of [undefined, arena.keep(gpu.tensor([whole], [1]))]) {
        const options = maximum === undefined ? {} : { maximum };
        const { output } = fakeQuantize(gpu, { input: uploaded, ...options });
        const actual = await numbersOf(arena, output);
        const largest = Float64Array.from(input.data, (_, i) => {
          const first = columns * Math.floor(i / columns);
          return maximum ? whole : absoluteMaximumOf(input.data.subarray(first, first + columns));
        });
        tally.within("fakeQuantize", {
          actual,
          expected: input.data,
          // An output is off by half a step, plus rounding, plus what flushing takes from a
          // subnormal number.
          bound: largest.map((most) => most * (0.5 / 127 + 20 * U) + 2 * FLUSH),
        });
        // Each output is a whole number of steps, up to rounding in float32. With another step size
        // most outputs would lie between two steps.
        const steps = largest.map((most) => most / 127);
        tally.within("fakeQuantize's grid", {
          actual,
          expected: actual.map((x, i) => steps[i]! * Math.round(x / steps[i]!)),
          bound: largest.map((most) => most * 20 * U + 2 * SPACING),
        });
      }
      yield;
    }
    const odd = arena.upload({ data: Float32Array.of(NaN, 1, -2, Infinity), shape: [4] });
    for (const [given, wanted] of [[127, [NaN, 1, -2, 127]], [-127, []], [NaN, []]] as const) {
      const maximum = arena.keep(gpu.tensor([given], [1]));
      const actual = await numbersOf(arena, fakeQuantize(gpu, { input: odd, maximum }).output);
      tally.sameBits(`fakeQuantize under a maximum of ${given}`, {
        actual: Float32Array.from(actual, Math.round),
        expected: Float32Array.from(actual, (_, i) => wanted[i] ?? NaN),
      });
    }
  });
}
