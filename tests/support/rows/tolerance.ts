/**
 * Bounds of the distance between RMSNorm's and V-scale's kernels and the float64 twin, by the error
 * analysis in ../tolerance.ts.
 */
import * as reference from "../../../src/reference/mod.ts";
import type { Numbers } from "../on_gpu.ts";
import { DIVISION, FLUSH, U } from "../tolerance.ts";

/** Bounds of vScaleForward's errors, from D additions for ‖v‖², a sum, a division and a product. */
export function vScaleForwardBounds(value: Numbers, constant: Numbers): Float64Array {
  const [, heads, length, headDim] = value.shape as [number, number, number, number];
  const data = Float64Array.from(value.data);
  return data.map((v, i) => {
    const row = Math.floor(i / headDim);
    const at = { offsetA: row * headDim, offsetB: row * headDim, length: headDim };
    const r = reference.dot(data, data, at);
    const sum = r + constant.data[Math.floor(row / length) % heads]!;
    // An error of r matters less where V-scale's valve is more open, because ∂φ/∂r · r = φ (1 − φ).
    const phi = r / sum;
    const relative = (headDim + 1) * U * (1 - phi) + U + DIVISION + U;
    return Math.abs(v) * (phi * relative + headDim * FLUSH / sum) + 2 * FLUSH;
  });
}

/**
 * Bounds of the errors of V-scale's backward. They add the incoming gradient's error, as |J_φ|
 * passes it on, and the errors of φ, of the factor 2C/(r + C)², where r = ‖v‖², and of ⟨v, u⟩.
 *
 * @param options value and constant; the incoming gradient u with a bound of its error; the number
 *   of additions in ⟨v, u⟩
 */
export function vScaleBackwardBounds(
  { value, constant, gradient, gradientError, chain }: {
    readonly value: Numbers;
    readonly constant: Numbers;
    readonly gradient: ArrayLike<number>;
    readonly gradientError: ArrayLike<number>;
    readonly chain: number;
  },
): { valueGradient: Float64Array; constantGradient: Float64Array } {
  const [batch, heads, length, headDim] = value.shape as [number, number, number, number];
  const v = value.data;
  const valueGradient = new Float64Array(v.length);
  const constantGradient = new Float64Array(heads);
  const terms = batch * Math.ceil(length / 64) + Math.min(length, 64);
  for (let row = 0; row < v.length / headDim; row++) {
    const head = Math.floor(row / length) % heads;
    const c = constant.data[head]!;
    let r = 0, product = 0, magnitude = 0, incoming = 0;
    for (let i = row * headDim; i < (row + 1) * headDim; i++) {
      r += v[i]! ** 2;
      product += v[i]! * gradient[i]!;
      magnitude += Math.abs(v[i]! * gradient[i]!);
      incoming += Math.abs(v[i]!) * gradientError[i]!;
    }
    const sum = r + c, phi = r / sum;
    const squareError = (headDim + 1) * U; // of r
    const productError = incoming + (chain + 1) * U * magnitude + headDim * FLUSH;
    const phiError = phi * (squareError * (1 - phi) + U + DIVISION) + headDim * FLUSH / sum;
    const along = 2 * c / sum ** 2;
    const alongError = along * (2 * (squareError * phi + U) + 2 * DIVISION + 2 * U) +
      FLUSH * (1 + 1 / sum);
    for (let i = row * headDim; i < (row + 1) * headDim; i++) {
      const u = Math.abs(gradient[i]!), x = Math.abs(v[i]!);
      valueGradient[i] = phi * gradientError[i]! + phiError * (u + gradientError[i]!) +
        x * (along * productError + alongError * (Math.abs(product) + productError)) +
        2 * U * (phi * u + along * Math.abs(product) * x) + 3 * FLUSH;
    }
    const factor = phi / sum;
    const factorError = phiError / sum + factor * (squareError * phi + U + DIVISION) + FLUSH;
    constantGradient[head]! += factor * productError +
      (factorError + factor * (terms + 2) * U) * (Math.abs(product) + productError) + FLUSH;
  }
  return { valueGradient, constantGradient };
}

export function rmsNormForwardBounds(
  { input, gain, epsilon }: {
    readonly input: Numbers;
    readonly gain: Numbers;
    readonly epsilon: number;
  },
): { output: Float64Array; inverseRms: Float64Array } {
  const columns = gain.data.length;
  const output = new Float64Array(input.data.length);
  const inverseRms = new Float64Array(input.data.length / columns);
  const terms = Math.ceil(columns / 64) + Math.min(columns, 64);
  for (let row = 0; row < inverseRms.length; row++) {
    let squares = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) squares += input.data[i]! ** 2;
    const mean = squares / columns, inside = mean + epsilon;
    // The square root halves the relative error of its argument and adds its own error, that of a
    // division and 2 ulp. Then follows a division.
    const relative = ((terms + 1) * U + DIVISION + U + U + FLUSH / inside) / 2 + 4 * U +
      2 * DIVISION;
    const inverse = 1 / Math.sqrt(inside);
    inverseRms[row] = inverse * relative;
    for (let c = 0; c < columns; c++) {
      const y = Math.abs(gain.data[c]! * input.data[row * columns + c]! * inverse);
      output[row * columns + c] = y * (relative + 2 * U) + FLUSH * (1 + Math.abs(gain.data[c]!));
    }
  }
  return { output, inverseRms };
}

// The most additions that one row's term of the gain's gradient goes through. Rows are summed in at
// most 256 runs of at least 16 rows, or in tiles of 32 rows. Rows of a tile share a sum if their
// first elements' indices have the same remainder modulo 4.
function gainChain(rows: number, columns: number): number {
  if (rows <= 512) return rows;
  const run = Math.max(16, Math.ceil(rows / 256));
  const phases = columns % 4 === 0 ? 1 : columns % 2 === 0 ? 2 : 4;
  const tiled = columns < 4 ? 0 : 32 / phases + Math.ceil(rows / 32) * phases + 3;
  return Math.max(run + Math.ceil(rows / run), tiled);
}

/** Bounds of rmsNormBackward's errors if kernel and twin read the same float32 inverseRms. */
export function rmsNormBackwardBounds(
  { input, gain, inverseRms, outputGradient }: {
    readonly input: Numbers;
    readonly gain: Numbers;
    readonly inverseRms: Numbers;
    readonly outputGradient: Numbers;
  },
): { inputGradient: Float64Array; gainGradient: Float64Array } {
  const columns = gain.data.length;
  const rows = inverseRms.data.length;
  const inputGradient = new Float64Array(input.data.length);
  const gainGradient = new Float64Array(columns);
  const terms = Math.ceil(columns / 64) + Math.min(columns, 64);
  const gainTerms = gainChain(rows, columns);
  for (let row = 0; row < rows; row++) {
    const inverse = inverseRms.data[row]!;
    let mean = 0, magnitude = 0;
    for (let c = 0; c < columns; c++) {
      const i = row * columns + c;
      const term = gain.data[c]! * outputGradient.data[i]! * input.data[i]! * inverse / columns;
      mean += term;
      magnitude += Math.abs(term);
    }
    const meanError = ((terms + 3) * U + DIVISION) * magnitude + FLUSH * (1 + 4 * inverse);
    for (let c = 0; c < columns; c++) {
      const i = row * columns + c;
      const normal = Math.abs(input.data[i]! * inverse);
      const u = Math.abs(gain.data[c]! * outputGradient.data[i]!);
      inputGradient[i] = inverse *
          (normal * (meanError + 4 * U * Math.abs(mean)) + 3 * U * u + 4 * FLUSH) + FLUSH;
      gainGradient[c]! += (gainTerms + 3) * U * normal * Math.abs(outputGradient.data[i]!) +
        2 * FLUSH * (1 + Math.abs(outputGradient.data[i]!));
    }
  }
  return { inputGradient, gainGradient };
}
