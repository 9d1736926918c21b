/** RMSNorm of rows at the ends of float32's range, on the GPU and in the float64 twin. */
import { type Gpu, rmsNormBackward, rmsNormForward, type Tensor } from "../../../../mod.ts";
import { randomNormal } from "../../../../src/random.ts";
import * as reference from "../../../../src/reference/mod.ts";
import { assert } from "../../assert/assert.ts";
import type { Numbers } from "../../on_gpu.ts";
import type { Report, Tally } from "../../report.ts";
import { toTwin } from "../../attention/cases.ts";
import { rmsNormBackwardBounds } from "../../rows/tolerance.ts";
import { DIVISION, FLUSH, U } from "../../tolerance.ts";
import { account, numbersOf } from "../model/account.ts";

/** A larger root mean square has a subnormal inverse. */
const LARGEST_ROOT = 2 ** 126;

/** The numbers with those below 2⁻¹²⁶ flushed to zero, as an adapter may read them. */
function flushed(numbers: Numbers): Numbers {
  return { ...numbers, data: numbers.data.map((x) => Math.abs(x) < FLUSH ? 0 : x) };
}

/**
 * Makes three rows for each magnitude: numbers of that magnitude, numbers about 1 with a single one
 * of that magnitude, and numbers of that magnitude that alternate with numbers about 1e-20.
 */
function rowsOfAllMagnitudes(columns: number, seed: number): Numbers {
  const magnitudes = [1e-38, 3e-38, 1e-25, 1e-20, 1e-12, 1, 1e12, 4e18, 1e19, 1e20, 8e37, 3e38];
  const rows = [
    ...magnitudes.map((magnitude) => () => magnitude),
    ...magnitudes.map((magnitude) => (c: number) => c === seed % columns ? magnitude : 1),
    ...magnitudes.map((magnitude) => (c: number) => c % 2 === 0 ? magnitude : 1e-20),
  ];
  const drawn = randomNormal({ seed, length: rows.length * columns });
  const data = drawn.map((x, i) => {
    const size = rows[Math.floor(i / columns)]!(i % columns);
    return Math.sign(x) * Math.min(3.4e38, size * (0.5 + Math.min(1, Math.abs(x))) / 1.5);
  });
  return { data, shape: [rows.length, columns] };
}

function names(columns: number, epsilon: number): string {
  return `${columns} columns, epsilon ${epsilon}`;
}

// Compares numbers with two twins: one reads the given inputs, the other the flushed inputs. Each
// number must lie within the bound of one of them. NaN and infinities are allowed only where
// `mayBeNaN` is true.
function compare(
  tally: Tally,
  what: string,
  { actual, twins, bounds, mayBeNaN }: {
    readonly actual: Float32Array;
    readonly twins: readonly ArrayLike<number>[];
    readonly bounds: readonly ArrayLike<number>[];
    readonly mayBeNaN: (i: number) => boolean;
  },
): void {
  const numbers: number[] = [], expected: number[] = [], bound: number[] = [];
  actual.forEach((x, i) => {
    if (mayBeNaN(i) && !Number.isFinite(x)) return;
    const within = (k: number) => Math.abs(x - twins[k]![i]!) <= bounds[k]![i]!;
    const nearest = !within(0) && within(1) ? 1 : 0;
    numbers.push(x);
    expected.push(twins[nearest]![i]!);
    bound.push(bounds[nearest]![i]!);
  });
  assert(numbers.length > 0, what);
  tally.within(what, { actual: numbers, expected, bound });
}

/**
 * RMSNorm agrees with the twin, or is NaN where the inverse root mean square is subnormal or
 * infinite.
 */
export function rmsNormHoldsInRange(
  gpu: Gpu,
  options: { readonly variant?: string } = {},
): Promise<Report> {
  return account(gpu, "rmsNorm in float32's range", async function* (arena, tally) {
    // At most 128 columns: the registers of a four-lane subgroup hold no more.
    for (const columns of [4, 7, 64, 124]) {
      const input = rowsOfAllMagnitudes(columns, columns);
      const gain = {
        data: randomNormal({ seed: 2, length: columns, mean: 1, standardDeviation: 0.5 }),
        shape: [columns],
      };
      const outputGradient = {
        data: randomNormal({ seed: 3, length: input.data.length }),
        shape: input.shape,
      };
      for (const epsilon of [0, 1e-30, Math.fround(1e-5)]) {
        const [x, weight] = [arena.upload(input), arena.upload(gain)];
        const forward = rmsNormForward(gpu, { input: x, gain: weight, epsilon, ...options });
        const backward = rmsNormBackward(gpu, {
          input: x,
          gain: weight,
          inverseRms: forward.inverseRms,
          outputGradient: arena.upload(outputGradient),
          ...options,
        });
        const read = async (tensor: Tensor) =>
          await numbersOf(arena, tensor) as Float32Array<
            ArrayBuffer
          >;
        const output = await read(forward.output), inverseRms = await read(forward.inverseRms);
        const inputGradient = await read(backward.inputGradient);
        const gainGradient = await read(backward.gainGradient);
        const both = [input, flushed(input)];
        const twins = both.map((numbers) =>
          reference.rmsNormForward({ input: toTwin(numbers), gain: toTwin(gain), epsilon })
        );
        const roots = Array.from(twins[0]!.inverseRms.data, (inverse) => 1 / inverse);
        // This is inverseRms' relative error in rmsNormForwardBounds(), rounded up, except that it
        // allows for `columns` additions, because in one variant an invocation sums a whole row,
        // and not for squares that are flushed to zero.
        const relative = (columns + 4) * U / 2 + 4 * U + 3 * DIVISION;
        const outputBound = ({ output }: { readonly output: reference.ReferenceTensor }) =>
          output.data.map((y, i) =>
            Math.abs(y) * (relative + 2 * U) + FLUSH * (1 + Math.abs(gain.data[i % columns]!))
          );
        const extreme = (row: number) =>
          roots[row]! > 0.999 * LARGEST_ROOT || roots[row]! < 1.001 * FLUSH ||
          twins[1]!.inverseRms.data[row] === Infinity;
        const what = names(columns, epsilon);
        compare(tally, "rmsNormForward's output", {
          actual: output,
          twins: twins.map((twin) => twin.output.data),
          bounds: twins.map(outputBound),
          mayBeNaN: (i) => extreme(Math.floor(i / columns)),
        });
        compare(tally, "rmsNormForward's inverseRms", {
          actual: inverseRms,
          twins: twins.map((twin) => twin.inverseRms.data),
          bounds: twins.map((twin) => twin.inverseRms.data.map((x) => x * relative)),
          mayBeNaN: extreme,
        });
        roots.forEach((root, row) => {
          if (root < 1.001 * LARGEST_ROOT) return;
          assert(
            Number.isNaN(inverseRms[row]),
            `inverseRms of ${root} is ${inverseRms[row]}: ${what}`,
          );
        });
        // The backward reads the forward's inverseRms: a NaN there turns the row's inputGradient
        // and all of gainGradient into NaN.
        const kept = [...inverseRms.keys()].filter((row) => Number.isFinite(inverseRms[row]));
        const rowsOf = ({ data }: Numbers | { data: Float32Array<ArrayBuffer> }): Numbers => ({
          data: Float32Array.from(
            kept.flatMap((row) => [...data.subarray(row * columns, (row + 1) * columns)]),
          ),
          shape: [kept.length, columns],
        });
        const inverse = {
          data: Float32Array.from(kept, (row) => inverseRms[row]!),
          shape: [kept.length],
        };
        const gradient = rowsOf(outputGradient);
        const backwardTwins = both.map((numbers) =>
          reference.rmsNormBackward({
            input: toTwin(rowsOf(numbers)),
            gain: toTwin(gain),
            inverseRms: toTwin(inverse),
            outputGradient: toTwin(gradient),
          })
        );
        compare(tally, "rmsNormBackward's inputGradient", {
          actual: rowsOf({ data: inputGradient }).data,
          twins: backwardTwins.map((twin) => twin.inputGradient.data),
          bounds: both.map((numbers, i) => {
            const bound = rmsNormBackwardBounds({
              input: rowsOf(numbers),
              gain,
              inverseRms: inverse,
              outputGradient: gradient,
            }).inputGradient;
            return bound.map((x, j) => x + U * Math.abs(backwardTwins[i]!.inputGradient.data[j]!));
          }),
          // Above 2^125, so close to the end of float32's range at 2^128, the kernel's terms may
          // overflow.
          mayBeNaN: (i) => Math.abs(backwardTwins[0]!.inputGradient.data[i]!) > 2 ** 125,
        });
        const lost = kept.length < inverseRms.length;
        assert(gainGradient.every((x) => Number.isFinite(x) !== lost), `gainGradient: ${what}`);
        inputGradient.forEach((x, i) => {
          const row = Math.floor(i / columns);
          assert(Number.isFinite(inverseRms[row]) || !Number.isFinite(x), `inputGradient: ${what}`);
        });
        yield;
      }
    }
  });
}
