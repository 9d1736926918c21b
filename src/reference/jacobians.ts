/**
 * The Jacobians of the row operators as dense matrices, and V-scale's eigenvalues: the closed forms
 * of the gradient-sink theory, which tests compare with the backward passes.
 */
import { dot, type ReferenceTensor, zeros } from "./tensor.ts";
import { checkData, checkNumber, checkPositive, checkShape } from "./validation.ts";

/**
 * J(x) = (1/r) diag(γ) (I − x xᵀ/(d r²)) of RMSNorm at one row x, where r = √(mean(x²) + ε).
 *
 * @param options input [d], gain [d] and epsilon (default 1e-5).
 * @returns The matrix ∂y_i/∂x_j: [d, d].
 * @throws {TypeError} If a shape does not fit.
 * @throws {RangeError} If epsilon is negative or not finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const input = reference.tensor([1, 7], [2]);
 * const gain = reference.tensor([1, 1], [2]);
 * console.log(reference.rmsNormJacobian({ input, gain, epsilon: 0 }).data); // times input: zero
 * ```
 */
export function rmsNormJacobian(
  options: {
    readonly input: ReferenceTensor;
    readonly gain: ReferenceTensor;
    readonly epsilon?: number | undefined;
  },
): ReferenceTensor {
  const operator = "rmsNormJacobian";
  const { input, gain, epsilon = 1e-5 } = options;
  const [d] = checkShape(input, { operator, name: "input", wanted: ["d"] }) as [number];
  checkShape(gain, { operator, name: "gain", wanted: [d], because: `input is [${d}]` });
  checkData(operator, { input, gain });
  checkNumber(epsilon, { operator, name: "epsilon", minimum: 0 });
  const x = input.data;
  const r = Math.sqrt(dot(x, x, { offsetA: 0, offsetB: 0, length: d }) / d + epsilon);
  const jacobian = zeros([d, d]);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) {
      const identity = i === j ? 1 : 0;
      jacobian.data[i * d + j] = gain.data[i]! / r * (identity - x[i]! * x[j]! / (d * r ** 2));
    }
  }
  return jacobian;
}

/**
 * J_φ(v) = φ(r) I + 2C/(r + C)² v vᵀ of V-scale at one row v, where r = ‖v‖² and φ(r) = r/(r + C).
 *
 * @param options value [D], and its head's constant C > 0 as a number.
 * @returns The matrix ∂v̂_i/∂v_j, symmetric: [D, D].
 * @throws {TypeError} If value is not of rank 1.
 * @throws {RangeError} If the constant is not positive and finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const value = reference.tensor([5, 0], [2]);
 * const { data } = reference.vScaleJacobian({ value, constant: 25 });
 * console.log(data); // [1, 0, 0, 0.5]: λ∥ = 1 along the value, λ⊥ = 1/2 across
 * ```
 */
export function vScaleJacobian(
  options: { readonly value: ReferenceTensor; readonly constant: number },
): ReferenceTensor {
  const operator = "vScaleJacobian";
  const { value, constant: c } = options;
  const [d] = checkShape(value, { operator, name: "value", wanted: ["D"] }) as [number];
  checkData(operator, { value });
  checkPositive([c], { operator, name: "constant" });
  const v = value.data;
  const r = dot(v, v, { offsetA: 0, offsetB: 0, length: d });
  const jacobian = zeros([d, d]);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) {
      const identity = i === j ? 1 : 0;
      jacobian.data[i * d + j] = r / (r + c) * identity + 2 * c / (r + c) ** 2 * v[i]! * v[j]!;
    }
  }
  return jacobian;
}

/**
 * λ⊥ = r/(r + C): the factor by which V-scale scales a gradient at right angles to the value v.
 *
 * @param r ‖v‖², at least 0.
 * @param constant C, positive.
 * @returns The eigenvalue, in [0, 1).
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * console.log(reference.lambdaPerpendicular(3, 1)); // 0.75
 * ```
 */
export function lambdaPerpendicular(r: number, constant: number): number {
  return r / (r + constant);
}

/**
 * λ∥ = (r² + 3Cr)/(r + C)²: the factor by which V-scale scales a gradient along the value v. Its
 * maximum is 9/8, at r = 3C. λ∥ is never smaller than λ⊥, so it is the Jacobian's spectral norm.
 *
 * @param r ‖v‖², at least 0.
 * @param constant C, positive.
 * @returns The eigenvalue, in [0, 9/8].
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * console.log(reference.lambdaParallel(3, 1)); // 1.125
 * ```
 */
export function lambdaParallel(r: number, constant: number): number {
  return (r ** 2 + 3 * constant * r) / (r + constant) ** 2;
}
