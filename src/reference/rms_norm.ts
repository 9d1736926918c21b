/**
 * RMSNorm in float64. Per row x of d elements, with gain γ:
 *
 *     r = √(mean(x²) + ε)    y = γ ⊙ x / r
 *     ∂L/∂x = u/r − x ⟨u, x⟩/(d r³)    with u = γ ⊙ ∂L/∂y
 *     ∂L/∂γ = Σ_rows ∂L/∂y ⊙ x / r
 *
 * Source: Zhang and Sennrich, arXiv 1910.07467.
 */
import { dot, elementCount, type ReferenceTensor, zeros } from "./tensor.ts";
import { checkData, checkNumber, checkShape } from "./validation.ts";

/** Arguments of {@linkcode rmsNormForward}. */
export interface RmsNormForwardOptions {
  /**
   * [..., d]: any number of leading dimensions. Each row of d elements is normalized separately.
   */
  readonly input: ReferenceTensor;
  /** γ: [d] */
  readonly gain: ReferenceTensor;
  /** ε, at least 0. Default 1e-5. */
  readonly epsilon?: number | undefined;
}

/** Arguments of {@linkcode rmsNormBackward}. */
export interface RmsNormBackwardOptions {
  /** [..., d] */
  readonly input: ReferenceTensor;
  /** γ: [d] */
  readonly gain: ReferenceTensor;
  /**
   * 1/r of each row, from the forward pass. Its shape is the input's leading dimensions, or [1] if
   * there are none.
   */
  readonly inverseRms: ReferenceTensor;
  /** ∂L/∂y: [..., d] */
  readonly outputGradient: ReferenceTensor;
}

/** The shape that holds one number per row: the input's leading dimensions, or [1] without any. */
function leadingShape(shape: readonly number[]): readonly number[] {
  return shape.length === 1 ? [1] : shape.slice(0, -1);
}

function checkRmsNorm(
  operator: string,
  input: ReferenceTensor,
  gain: ReferenceTensor,
): { width: number; rows: number } {
  // `input` may have any number of dimensions. The wanted shape, which the error message shows,
  // gets as many as `input` has.
  const rank = Array.isArray(input?.shape) && input.shape.length > 0 ? input.shape.length : 1;
  const wanted = [...Array.from({ length: rank - 1 }, (_, i) => `n${i}`), "d"];
  const shape = checkShape(input, { operator, name: "input", wanted });
  const width = shape[shape.length - 1]!;
  checkShape(gain, {
    operator,
    name: "gain",
    wanted: [width],
    because: `input is [${shape.join(", ")}]`,
  });
  checkData(operator, { input, gain });
  return { width, rows: elementCount(shape) / width };
}

/**
 * y = γ ⊙ x / r for every row, with r = √(mean(x²) + ε).
 *
 * @param options input [..., d], gain [d] and epsilon (default 1e-5).
 * @returns output, of the input's shape; inverseRms = 1/r of each row.
 * @throws {TypeError} If a shape does not fit.
 * @throws {RangeError} If epsilon is negative or not finite.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const input = reference.tensor([1, 7], [1, 2]);
 * const gain = reference.tensor([1, 2], [2]);
 * const { output } = reference.rmsNormForward({ input, gain, epsilon: 0 });
 * console.log(output.data); // [0.2, 2.8], as rms(1, 7) = 5
 * ```
 */
export function rmsNormForward(
  options: RmsNormForwardOptions,
): { output: ReferenceTensor; inverseRms: ReferenceTensor } {
  const operator = "rmsNormForward";
  const { input, gain, epsilon = 1e-5 } = options;
  const { width, rows } = checkRmsNorm(operator, input, gain);
  checkNumber(epsilon, { operator, name: "epsilon", minimum: 0 });
  const x = input.data;
  const output = zeros(input.shape);
  const inverseRms = zeros(leadingShape(input.shape));
  for (let row = 0; row < rows; row++) {
    const offset = row * width;
    const squares = dot(x, x, { offsetA: offset, offsetB: offset, length: width });
    const r = Math.sqrt(squares / width + epsilon);
    inverseRms.data[row] = 1 / r;
    for (let i = 0; i < width; i++) output.data[offset + i] = gain.data[i]! * x[offset + i]! / r;
  }
  return { output, inverseRms };
}

/**
 * The gradients of RMSNorm with respect to its input and its gain.
 *
 * @param options input [..., d], gain [d], the forward's inverseRms, outputGradient [..., d].
 * @returns inputGradient, of the input's shape; gainGradient [d], summed over the rows.
 * @throws {TypeError} If a shape does not fit.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const input = reference.tensor([1, 7], [1, 2]);
 * const gain = reference.tensor([1, 1], [2]);
 * const { inverseRms } = reference.rmsNormForward({ input, gain });
 * const outputGradient = reference.tensor([1, 0], [1, 2]);
 * const gradients = reference.rmsNormBackward({ input, gain, inverseRms, outputGradient });
 * console.log(gradients.inputGradient.data); // about [0.196, -0.028]
 * ```
 */
export function rmsNormBackward(
  options: RmsNormBackwardOptions,
): { inputGradient: ReferenceTensor; gainGradient: ReferenceTensor } {
  const operator = "rmsNormBackward";
  const { input, gain, inverseRms, outputGradient } = options;
  const { width, rows } = checkRmsNorm(operator, input, gain);
  const because = `input is [${input.shape.join(", ")}]`;
  const rowShape = leadingShape(input.shape);
  checkShape(inverseRms, { operator, name: "inverseRms", wanted: rowShape, because });
  checkShape(outputGradient, {
    operator,
    name: "outputGradient",
    wanted: input.shape,
    because,
  });
  checkData(operator, { inverseRms, outputGradient });
  const x = input.data;
  const g = outputGradient.data;
  const inputGradient = zeros(input.shape);
  const gainGradient = zeros(gain.shape);
  for (let row = 0; row < rows; row++) {
    const offset = row * width;
    const inverse = inverseRms.data[row]!;
    let ux = 0;
    for (let i = 0; i < width; i++) ux += gain.data[i]! * g[offset + i]! * x[offset + i]!;
    for (let i = 0; i < width; i++) {
      const u = gain.data[i]! * g[offset + i]!;
      inputGradient.data[offset + i] = u * inverse - x[offset + i]! * ux * inverse ** 3 / width;
      gainGradient.data[i]! += g[offset + i]! * x[offset + i]! * inverse;
    }
  }
  return { inputGradient, gainGradient };
}
