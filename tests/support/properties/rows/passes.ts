/** RMSNorm's and V-scale's passes on the GPU, and the bounds of their errors. */
import {
  type Gpu,
  rmsNormBackward,
  type RmsNormBackwardResult,
  rmsNormForward,
  type RmsNormForwardResult,
  vScaleBackward,
  type VScaleBackwardResult,
} from "../../../../mod.ts";
import { onGpu, type Results } from "../../on_gpu.ts";
import type { drawVScale, RmsNormCase } from "../../rows/cases.ts";
import { rmsNormBackwardBounds, rmsNormForwardBounds } from "../../rows/tolerance.ts";

export type RmsNorm = Results<RmsNormForwardResult> & Results<RmsNormBackwardResult>;

export async function rmsNorm(gpu: Gpu, drawn: RmsNormCase): Promise<RmsNorm> {
  const { input, gain, outputGradient, epsilon } = drawn;
  const forward = await onGpu(gpu, rmsNormForward, { input, gain, epsilon });
  const { inverseRms } = forward;
  const backward = await onGpu(gpu, rmsNormBackward, { input, gain, inverseRms, outputGradient });
  return { ...forward, ...backward };
}

/**
 * Bounds the distance between RMSNorm's gradients on the GPU and the exact gradients. It adds the
 * error of inverseRms, which enters inputGradient up to three times, to the backward's own errors.
 */
export function exactBackwardBounds(
  drawn: RmsNormCase,
  { inverseRms }: RmsNorm,
): { inputGradient: Float64Array; gainGradient: Float64Array } {
  const { input, gain, outputGradient } = drawn;
  const rows = inverseRms.data.length, columns = gain.data.length;
  const bounds = rmsNormBackwardBounds({ input, gain, inverseRms, outputGradient });
  const { inverseRms: errors } = rmsNormForwardBounds({ ...drawn, epsilon: drawn.epsilon ?? 1e-5 });
  for (let row = 0; row < rows; row++) {
    const inverse = inverseRms.data[row]!;
    const relative = errors[row]! / inverse;
    let mean = 0;
    for (let c = 0; c < columns; c++) {
      const i = row * columns + c;
      mean += Math.abs(gain.data[c]! * outputGradient.data[i]! * input.data[i]! * inverse) /
        columns;
    }
    for (let c = 0; c < columns; c++) {
      const i = row * columns + c;
      const u = Math.abs(gain.data[c]! * outputGradient.data[i]!);
      const normal = Math.abs(input.data[i]! * inverse);
      bounds.inputGradient[i]! += 1.01 * relative * inverse * (u + 3 * normal * mean);
      bounds.gainGradient[c]! += relative * normal * Math.abs(outputGradient.data[i]!);
    }
  }
  return bounds;
}

export function vScale(gpu: Gpu, drawn: ReturnType<typeof drawVScale>): Promise<
  Results<VScaleBackwardResult>
> {
  return onGpu(gpu, vScaleBackward, drawn);
}
