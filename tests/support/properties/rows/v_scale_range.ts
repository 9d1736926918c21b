/** V-scale of rows at the ends of float32's range, with constants of every size. */
import { type Gpu, vScaleBackward, vScaleForward } from "../../../../mod.ts";
import { randomNormal } from "../../../../src/random.ts";
import * as reference from "../../../../src/reference/mod.ts";
import { toTwin } from "../../attention/cases.ts";
import type { Arena } from "../../on_gpu.ts";
import type { Report, Tally } from "../../report.ts";
import { DIVISION, FLUSH, U } from "../../tolerance.ts";
import { account, numbersOf } from "../model/account.ts";

const VALUES = [3e-38, 1e-30, 1e-20, 1e-15, 1e-6, 1, 1e3, 1e9, 1e19, 3e38];
const CONSTANTS = [2e-38, 1e-20, 1e-12, 1, 1e20, 3e38];
// Products of 5e-33 with values of 10⁻⁶ are subnormal, so an adapter may flush them.
const GRADIENTS = [5e-33, 1, 1e19];

/**
 * V-scale agrees with the twin for all normal float32 values and constants. With u as the output's
 * gradient, the bound of a value gradient is relative to the sizes of its two terms, r/(r + C) u
 * and the term along v.
 */
export function vScaleHoldsInRange(
  gpu: Gpu,
  options: { readonly variant?: string } = {},
): Promise<Report> {
  return account(gpu, "vScale in float32's range", async function* (arena, tally) {
    for (const columns of [3, 8, 64]) {
      for (const gradientSize of GRADIENTS) {
        const shape = [1, CONSTANTS.length, VALUES.length, columns];
        const length = reference.elementCount(shape);
        const draw = (seed: number, size: (row: number) => number) => ({
          // Magnitudes lie between half the size and the size, so no number is subnormal.
          data: randomNormal({ seed, length }).map((x, i) =>
            Math.sign(x) * size(Math.floor(i / columns)) * (0.5 + 0.5 * Math.min(1, Math.abs(x)))
          ),
          shape,
        });
        const value = draw(columns, (row) => VALUES[row % VALUES.length]!);
        const gradient = draw(columns + 1, () => gradientSize);
        const constant = { data: Float32Array.from(CONSTANTS), shape: [CONSTANTS.length] };
        const args = {
          value: arena.upload(value),
          constant: arena.upload(constant),
          ...options,
        };
        const twin = {
          value: toTwin(value),
          constant: toTwin(constant),
        };
        const { scaledValue } = vScaleForward(gpu, args);
        const forward = reference.vScaleForward(twin).scaledValue.data;
        // This is the relative error in vScaleForwardBounds(), rounded up, plus the errors of two
        // square roots and a division, for rows that the kernel scales into range.
        const relative = (columns + 20) * U + 4 * DIVISION;
        tally.within("vScaleForward", {
          actual: await numbersOf(arena, scaledValue),
          expected: forward,
          bound: forward.map((x) => Math.abs(x) * relative + 2 * columns * FLUSH),
        });
        const backward = vScaleBackward(gpu, {
          ...args,
          scaledValueGradient: arena.upload(gradient),
        });
        const expected = reference.vScaleBackward({
          ...twin,
          scaledValueGradient: toTwin(gradient),
        });
        const share = Float64Array.from(gradient.data, (_, i) => {
          const row = Math.floor(i / columns), first = row * columns;
          const c = CONSTANTS[Math.floor(row / VALUES.length)]!;
          let r = 0;
          for (const v of value.data.subarray(first, first + columns)) r += v * v;
          const phi = r / (r + c), along = 2 * c / (r + c) * Math.sqrt(r / (r + c));
          const size = gradientSize * Math.sqrt(columns);
          return (phi * gradientSize + along * size * Math.abs(value.data[i]!) / Math.sqrt(r + c)) *
              2 * relative + 2 * columns * FLUSH;
        });
        tally.within("vScaleBackward's valueGradient", {
          actual: await numbersOf(arena, backward.valueGradient),
          expected: expected.valueGradient.data,
          bound: share,
        });
        // Bounds for each head the sum of the magnitudes of constantGradient's terms. A head whose
        // terms may overflow float32 is not compared.
        const terms = CONSTANTS.map((c, head) =>
          VALUES.reduce((sum, _, t) => {
            const first = (head * VALUES.length + t) * columns;
            let r = 0;
            for (const v of value.data.subarray(first, first + columns)) r += v * v;
            return sum + r / (r + c) * Math.sqrt(r / (r + c)) / Math.sqrt(r + c) * gradientSize *
                Math.sqrt(columns);
          }, 0)
        );
        const actual = await numbersOf(arena, backward.constantGradient);
        const kept = terms.flatMap((term, head) => term < 2 ** 120 ? [head] : []);
        tally.within("vScaleBackward's constantGradient", {
          actual: kept.map((head) => actual[head]!),
          expected: kept.map((head) => expected.constantGradient.data[head]!),
          bound: kept.map((head) => terms[head]! * 2 * relative + 20 * FLUSH),
        });
        yield;
      }
    }
    yield* constantGradientsOfSingleRows(gpu, { arena, tally, options });
  });
}

/**
 * Heads of one row each, as [v, C, u]: all elements of the value are v, of the output's gradient u.
 * In a head with rows of many sizes, a term that was flushed would not show. In the first row
 * ⟨v, u⟩ is small and its factor r/(r + C)² large; in the second, ⟨v, u⟩ is large and the factor
 * small.
 */
const SINGLE_ROWS = [
  [2 ** -88, 2 ** -120, 2 ** -90],
  [2 ** -5, 2 ** 95, 2 ** 111],
  [1, 1, 1],
] as const;

async function* constantGradientsOfSingleRows(
  gpu: Gpu,
  { arena, tally, options }: {
    readonly arena: Arena;
    readonly tally: Tally;
    readonly options: { readonly variant?: string };
  },
): AsyncGenerator<undefined> {
  const columns = 8, shape = [1, SINGLE_ROWS.length, 1, columns];
  const filled = (of: 0 | 2) => ({
    data: Float32Array.from(SINGLE_ROWS.flatMap((row) => Array(columns).fill(row[of]))),
    shape,
  });
  const [value, gradient] = [filled(0), filled(2)];
  const constant = { data: Float32Array.from(SINGLE_ROWS, ([, c]) => c), shape: [3] };
  const { constantGradient } = vScaleBackward(gpu, {
    value: arena.upload(value),
    constant: arena.upload(constant),
    scaledValueGradient: arena.upload(gradient),
    ...options,
  });
  const expected = reference.vScaleBackward({
    value: toTwin(value),
    constant: toTwin(constant),
    scaledValueGradient: toTwin(gradient),
  }).constantGradient.data;
  tally.within("vScaleBackward's constantGradient of single rows", {
    actual: await numbersOf(arena, constantGradient),
    expected,
    // Twice the forward's relative error in vScaleHoldsInRange(), for both sums and the factors.
    bound: expected.map((x) => Math.abs(x) * 2 * ((columns + 20) * U + 4 * DIVISION)),
  });
  yield;
}
