/**
 * Numerical derivatives that check the float64 twin's gradients: central differences, their
 * Richardson extrapolation with an error estimate, and the complex step.
 */
import { add, type Complex, complex, multiply } from "./complex.ts";
import type { ReferenceTensor } from "./tensor.ts";

/** A derivative with an error estimate. */
export interface DerivativeEstimate {
  /** The derivative. */
  readonly value: number;
  /** An estimate of the absolute error from extrapolation and rounding. */
  readonly error: number;
}

function checkStep(operation: string, step: number): void {
  if (!(Number.isFinite(step) && step > 0)) {
    throw new RangeError(`${operation}: step is ${step}, wanted a positive finite number`);
  }
}

/**
 * The derivative of a function of one variable at 0 by one central difference, off by O(step²).
 *
 * @param f The function.
 * @param options step: the distance of the two evaluations from 0. Default 1e-5, about the cube
 *   root of float64's precision, which balances truncation and rounding for a function of scale 1.
 * @returns (f(step) − f(−step)) / (2 step).
 * @throws {RangeError} If the step is not positive and finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * console.log(reference.centralDifference((h) => Math.exp(h))); // about 1
 * ```
 */
export function centralDifference(
  f: (h: number) => number,
  options: { readonly step?: number } = {},
): number {
  const { step = 1e-5 } = options;
  checkStep("centralDifference", step);
  return (f(step) - f(-step)) / (2 * step);
}

/**
 * The derivative of a function of one variable at 0 by Ridders' method: central differences at
 * steps that halve, extrapolated to step 0 in a Neville tableau. The entry with the smallest error
 * estimate wins. An entry's error estimate is the greater of its distances from the two entries
 * that it was extrapolated from, plus the effect of rounding in f. Stopping at the first worse
 * entry, as is usual, fails if the first step is too large, so this function tries all steps.
 *
 * Source: Ridders, Advances in Engineering Software 4 (1982) 75–76.
 *
 * @param f The function, smooth near 0.
 * @param options step: the first step, where f should change noticeably (default 0.1); levels: the
 *   number of steps (default 12).
 * @returns The derivative and an estimate of its error.
 * @throws {RangeError} If the step is not positive and finite, or levels is not an integer of at
 *   least 2.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { value, error } = reference.richardsonDerivative((h) => Math.sin(1 + h));
 * console.log(value - Math.cos(1), error); // both about 1e-14
 * ```
 */
export function richardsonDerivative(
  f: (h: number) => number,
  options: { readonly step?: number; readonly levels?: number } = {},
): DerivativeEstimate {
  const { step = 0.1, levels = 12 } = options;
  checkStep("richardsonDerivative", step);
  if (!Number.isInteger(levels) || levels < 2) {
    throw new RangeError(
      `richardsonDerivative: levels is ${levels}, wanted an integer of at least 2`,
    );
  }
  let best: DerivativeEstimate = { value: NaN, error: Infinity };
  let previous: number[] = [];
  for (let level = 0; level < levels; level++) {
    const h = step / 2 ** level;
    const right = f(h);
    const left = f(-h);
    // Even the most accurate f rounds each value by up to half an ulp. The difference of two values
    // can then be off by an ulp, and the quotient by an ulp / 2h.
    const rounding = Number.EPSILON * Math.max(Math.abs(right), Math.abs(left)) / (2 * h);
    const row = [(right - left) / (2 * h)];
    for (let order = 1; order <= level; order++) {
      const factor = 4 ** order;
      const extrapolated = (factor * row[order - 1]! - previous[order - 1]!) / (factor - 1);
      row.push(extrapolated);
      const error = rounding + Math.max(
        Math.abs(extrapolated - row[order - 1]!),
        Math.abs(extrapolated - previous[order - 1]!),
      );
      if (error < best.error) best = { value: extrapolated, error };
    }
    previous = row;
  }
  return best;
}

/**
 * The directional derivative of a scalar function of several tensors, by
 * {@linkcode richardsonDerivative} along `at + h direction`.
 *
 * @param f The function; it gets every tensor of `at`, moved along direction.
 * @param options at: the point, as tensors by name; direction: the movement, by the same names (a
 *   missing one stays in place); step and levels as in richardsonDerivative.
 * @returns ⟨∇f, direction⟩ and an estimate of its error.
 * @throws {TypeError} If direction names a tensor that `at` lacks or has another shape.
 * @throws {RangeError} If step or levels is out of range.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const at = { x: reference.tensor([3, 4], [2]) };
 * const direction = { x: reference.tensor([1, 0], [2]) };
 * const length = ({ x }: typeof at) => Math.hypot(...x.data);
 * console.log(reference.directionalDerivative(length, { at, direction }).value); // about 0.6
 * ```
 */
export function directionalDerivative<Point extends Readonly<Record<string, ReferenceTensor>>>(
  f: (point: Point) => number,
  options: {
    readonly at: Point;
    readonly direction: Readonly<Partial<Record<keyof Point & string, ReferenceTensor>>>;
    readonly step?: number;
    readonly levels?: number;
  },
): DerivativeEstimate {
  const { at, direction, ...rest } = options;
  const moves = Object.entries(direction) as [string, ReferenceTensor][];
  for (const [name, move] of moves) {
    const start = at[name];
    if (start === undefined || String(start.shape) !== String(move.shape)) {
      throw new TypeError(
        `directionalDerivative: direction.${name} has shape [${move.shape.join(", ")}], wanted ${
          start === undefined ? "a name that at has" : `[${start.shape.join(", ")}]`
        }`,
      );
    }
  }
  return richardsonDerivative((h) => {
    const point: Record<string, ReferenceTensor> = { ...at };
    for (const [name, move] of moves) {
      const start = at[name]!;
      point[name] = { data: start.data.map((x, i) => x + h * move.data[i]!), shape: start.shape };
    }
    return f(point as Point);
  }, rest);
}

/**
 * The derivative at 0 of a real analytic function by the complex step: Im f(ih)/h. This formula
 * subtracts nothing, so h can be tiny and the result is exact up to rounding.
 *
 * Source: Squire and Trapp, SIAM Review 40 (1998) 110–112.
 *
 * @param f The function in complex arithmetic; real on the real axis, analytic around 0.
 * @param options step: h. Default 1e-30.
 * @returns f′(0).
 * @throws {RangeError} If the step is not positive and finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { exponential } = reference.complexNumbers;
 * console.log(reference.complexStepDerivative((h) => exponential(h))); // 1
 * ```
 */
export function complexStepDerivative(
  f: (h: Complex) => Complex,
  options: { readonly step?: number } = {},
): number {
  const { step = 1e-30 } = options;
  checkStep("complexStepDerivative", step);
  return f(complex(0, step)).im / step;
}

/**
 * The complex point `start + h direction`, for a complex step.
 *
 * @param start The real point.
 * @param options direction: the real direction, zero by default; h: the complex distance.
 * @returns The moved point.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { rmsNormRow } = reference.complexNumbers;
 * const gain = reference.moveComplex([1, 1], { h: { re: 0, im: 0 } });
 * const first = reference.complexStepDerivative((h) =>
 *   rmsNormRow(reference.moveComplex([1, 7], { direction: [1, 0], h }), { gain, epsilon: 0 })[0]!
 * );
 * console.log(first); // ∂y₀/∂x₀ = 0.196
 * ```
 */
export function moveComplex(
  start: ArrayLike<number>,
  options: { readonly direction?: ArrayLike<number> | undefined; readonly h: Complex },
): Complex[] {
  const { direction, h } = options;
  return Array.from(start, (x, i) => add(complex(x), multiply(complex(direction?.[i] ?? 0), h)));
}
