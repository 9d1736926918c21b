/**
 * V-scale in float64: a valve on the value path that is nearly shut for small values and open for
 * large ones. Per row v of a value head with constant C > 0:
 *
 *     r = ‖v‖²    φ(r) = r / (r + C)    v̂ = φ(r) v
 *     ∂L/∂v = J_φ(v) ĝ = φ(r) ĝ + 2C/(r + C)² ⟨v, ĝ⟩ v           with ĝ = ∂L/∂v̂
 *     ∂L/∂C = −Σ_s r_s/(r_s + C)² ⟨v_s, ĝ_s⟩                     over all rows s of the head
 *
 * Source: arXiv 2603.17771.
 */
import { dot, type ReferenceTensor, zeros } from "./tensor.ts";
import { checkData, checkPositive, checkShape } from "./validation.ts";

/** Arguments of {@linkcode vScaleForward}. */
export interface VScaleForwardOptions {
  /** [B, Hkv, T, D] */
  readonly value: ReferenceTensor;
  /** C of each value head, positive: [Hkv] */
  readonly constant: ReferenceTensor;
}

/** Arguments of {@linkcode vScaleBackward}. */
export interface VScaleBackwardOptions extends VScaleForwardOptions {
  /** ∂L/∂v̂: [B, Hkv, T, D] */
  readonly scaledValueGradient: ReferenceTensor;
}

function checkVScale(operator: string, value: ReferenceTensor, constant: ReferenceTensor): void {
  const shape = checkShape(value, {
    operator,
    name: "value",
    wanted: ["B", "Hkv", "T", "D"],
  });
  checkShape(constant, {
    operator,
    name: "constant",
    wanted: [shape[1]!],
    because: `value is [${shape.join(", ")}]`,
  });
  checkData(operator, { value, constant });
  checkPositive(constant.data, { operator, name: "constant" });
}

/**
 * v̂ = φ(‖v‖²) v for every row.
 *
 * @param options value [B, Hkv, T, D] and constant [Hkv].
 * @returns scaledValue [B, Hkv, T, D].
 * @throws {TypeError} If a shape does not fit.
 * @throws {RangeError} If a constant is not positive and finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const value = reference.tensor([3, 4], [1, 1, 1, 2]);
 * const constant = reference.tensor([25], [1]);
 * console.log(reference.vScaleForward({ value, constant }).scaledValue.data); // [1.5, 2]
 * ```
 */
export function vScaleForward(
  options: VScaleForwardOptions,
): { scaledValue: ReferenceTensor } {
  const { value, constant } = options;
  checkVScale("vScaleForward", value, constant);
  const [, heads, length, headDim] = value.shape as [number, number, number, number];
  const scaledValue = zeros(value.shape);
  for (let row = 0; row < value.data.length / headDim; row++) {
    const c = constant.data[Math.floor(row / length) % heads]!;
    const offset = row * headDim;
    const r = dot(value.data, value.data, { offsetA: offset, offsetB: offset, length: headDim });
    const phi = r / (r + c);
    for (let i = offset; i < offset + headDim; i++) scaledValue.data[i] = phi * value.data[i]!;
  }
  return { scaledValue };
}

/**
 * The gradients of V-scale with respect to its values and its constants.
 *
 * @param options value [B, Hkv, T, D], constant [Hkv], scaledValueGradient [B, Hkv, T, D].
 * @returns valueGradient [B, Hkv, T, D]; constantGradient [Hkv], summed over batch and positions.
 * @throws {TypeError} If a shape does not fit.
 * @throws {RangeError} If a constant is not positive and finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const value = reference.tensor([3, 4], [1, 1, 1, 2]);
 * const constant = reference.tensor([25], [1]);
 * const scaledValueGradient = reference.tensor([0.6, 0.8], [1, 1, 1, 2]);
 * const gradients = reference.vScaleBackward({ value, constant, scaledValueGradient });
 * console.log(gradients.valueGradient.data); // [0.6, 0.8]: at ‖v‖² = C, the factor along v is 1
 * ```
 */
export function vScaleBackward(
  options: VScaleBackwardOptions,
): { valueGradient: ReferenceTensor; constantGradient: ReferenceTensor } {
  const { value, constant, scaledValueGradient } = options;
  checkVScale("vScaleBackward", value, constant);
  checkShape(scaledValueGradient, {
    operator: "vScaleBackward",
    name: "scaledValueGradient",
    wanted: value.shape,
    because: `value is [${value.shape.join(", ")}]`,
  });
  checkData("vScaleBackward", { scaledValueGradient });
  const [, heads, length, headDim] = value.shape as [number, number, number, number];
  const v = value.data;
  const g = scaledValueGradient.data;
  const valueGradient = zeros(value.shape);
  const constantGradient = zeros(constant.shape);
  for (let row = 0; row < v.length / headDim; row++) {
    const head = Math.floor(row / length) % heads;
    const c = constant.data[head]!;
    const offset = row * headDim;
    const r = dot(v, v, { offsetA: offset, offsetB: offset, length: headDim });
    const along = dot(v, g, { offsetA: offset, offsetB: offset, length: headDim });
    const phi = r / (r + c);
    const radial = 2 * c / (r + c) ** 2 * along;
    for (let i = offset; i < offset + headDim; i++) {
      valueGradient.data[i] = phi * g[i]! + radial * v[i]!;
    }
    constantGradient.data[head]! -= r / (r + c) ** 2 * along;
  }
  return { valueGradient, constantGradient };
}
