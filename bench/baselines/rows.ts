/**
 * RMSNorm and V-scale as separate elementwise and reducing kernels, which pass their results to one
 * another in memory.
 */
import type { Gpu } from "../../src/gpu/gpu.ts";
import { scalarElement, sumRowsOf } from "../../src/ops/rows/parts.ts";
import {
  planRmsNormBackward,
  planRmsNormForward,
  type RmsNormBackwardOptions,
  type RmsNormBackwardResult,
  type RmsNormForwardOptions,
  type RmsNormForwardResult,
} from "../../src/ops/rms_norm.ts";
import type { Planned } from "../../src/ops/shared/run_once.ts";
import {
  planVScaleBackward,
  planVScaleForward,
  type VScaleBackwardOptions,
  type VScaleBackwardResult,
  type VScaleForwardOptions,
  type VScaleForwardResult,
} from "../../src/ops/v_scale.ts";
import { kernels } from "./kernels.ts";
import { replan, type Steps, u32 } from "./steps.ts";

/** RMSNorm forward in three kernels: inverse root mean square, normalize, gain. */
export function planNaiveRmsNormForward(
  gpu: Gpu,
  options: RmsNormForwardOptions,
): Planned<RmsNormForwardResult> {
  return replan<RmsNormForwardResult>(
    gpu,
    planRmsNormForward(gpu, options),
    (steps, { output, inverseRms }) => {
      const { input, gain, epsilon = 1e-5 } = options;
      const columns = gain.length;
      const elements = input.length;
      const rows = elements / columns;
      const normalized = steps.buffer(elements);
      steps.spread(kernels.rmsNormInverse, {
        count: rows,
        perWorkgroup: 1,
        parameters: [rows, columns],
        buffers: [input.buffer, inverseRms.buffer],
        last: epsilon,
      });
      steps.spread(kernels.multiplyRows, {
        count: elements,
        perWorkgroup: 64,
        parameters: [elements, columns],
        buffers: [input.buffer, inverseRms.buffer, normalized],
      });
      steps.spread(kernels.multiplyColumns, {
        count: elements,
        perWorkgroup: 64,
        parameters: [elements, columns],
        buffers: [normalized, gain.buffer, output.buffer],
      });
    },
  );
}

/**
 * RMSNorm backward in six kernels: normalize, gain, mean product, inputGradient; then product and
 * column sum for gainGradient.
 */
export function planNaiveRmsNormBackward(
  gpu: Gpu,
  options: RmsNormBackwardOptions,
): Planned<RmsNormBackwardResult> {
  return replan<RmsNormBackwardResult>(
    gpu,
    planRmsNormBackward(gpu, options),
    (steps, { inputGradient, gainGradient }) => {
      const { input, gain, inverseRms, outputGradient } = options;
      const columns = gain.length;
      const elements = input.length;
      const rows = elements / columns;
      const normalized = steps.buffer(elements);
      const scaledGradient = steps.buffer(elements);
      const mean = steps.buffer(rows);
      const elementwise = { count: elements, perWorkgroup: 64, parameters: [elements, columns] };
      steps.spread(kernels.multiplyRows, {
        ...elementwise,
        buffers: [input.buffer, inverseRms.buffer, normalized],
      });
      steps.spread(kernels.multiplyColumns, {
        ...elementwise,
        buffers: [outputGradient.buffer, gain.buffer, scaledGradient],
      });
      steps.spread(kernels.rowMeanProduct, {
        count: rows,
        perWorkgroup: 1,
        parameters: [rows, columns],
        buffers: [scaledGradient, normalized, mean],
      });
      steps.spread(kernels.rmsNormInputGradient, {
        ...elementwise,
        buffers: [scaledGradient, normalized, mean, inverseRms.buffer, inputGradient.buffer],
      });
      // `multiply` writes its products into `scaledGradient`, which no later kernel needs.
      steps.spread(kernels.multiply, {
        ...elementwise,
        parameters: [elements],
        buffers: [outputGradient.buffer, normalized, scaledGradient],
      });
      steps.add(sumRowsOf(scalarElement), {
        parameters: u32([rows, columns]),
        buffers: [scaledGradient, gainGradient.buffer],
        workgroups: [Math.ceil(columns / 64)],
      });
    },
  );
}

/** V-scale's inputs, and the value's shape, [B, Hkv, T, D]. */
export interface ValueBuffers {
  readonly value: GPUBuffer;
  readonly constant: GPUBuffer;
  readonly shape: readonly number[];
}

function lengths(shape: readonly number[]): { elements: number; rows: number; valve: number[] } {
  const [B, Hkv, T, D] = shape as [number, number, number, number];
  const elements = B * Hkv * T * D;
  return { elements, rows: B * Hkv * T, valve: [elements, D, Hkv, T] };
}

/** Adds V-scale forward in two kernels: squared norms; then the scaled values, into `result`. */
export function addVScaleForward(
  steps: Steps,
  { value, constant, shape, result }: ValueBuffers & { readonly result: GPUBuffer },
): void {
  const { elements, rows, valve } = lengths(shape);
  const squaredNorm = steps.buffer(rows);
  steps.spread(kernels.rowDot, {
    count: rows,
    perWorkgroup: 64,
    parameters: [rows, elements / rows],
    buffers: [value, value, squaredNorm],
  });
  steps.spread(kernels.vScaleApply, {
    count: elements,
    perWorkgroup: 64,
    parameters: valve,
    buffers: [value, squaredNorm, constant, result],
  });
}

/**
 * Adds V-scale backward in four kernels: squared norms, inner products, valueGradient,
 * constantGradient.
 */
export function addVScaleBackward(
  steps: Steps,
  { value, constant, shape, scaledValueGradient, valueGradient, constantGradient }: ValueBuffers & {
    readonly scaledValueGradient: GPUBuffer;
    readonly valueGradient: GPUBuffer;
    readonly constantGradient: GPUBuffer;
  },
): void {
  const { elements, rows, valve } = lengths(shape);
  const squaredNorm = steps.buffer(rows);
  const product = steps.buffer(rows);
  const ofRows = { count: rows, perWorkgroup: 64, parameters: [rows, elements / rows] };
  steps.spread(kernels.rowDot, { ...ofRows, buffers: [value, value, squaredNorm] });
  steps.spread(kernels.rowDot, { ...ofRows, buffers: [value, scaledValueGradient, product] });
  steps.spread(kernels.vScaleValueGradient, {
    count: elements,
    perWorkgroup: 64,
    parameters: valve,
    buffers: [value, scaledValueGradient, squaredNorm, product, constant, valueGradient],
  });
  const [batches, heads, length] = shape as [number, number, number];
  steps.add(kernels.vScaleConstantSum, {
    parameters: u32([batches, heads, length]),
    buffers: [squaredNorm, product, constant, constantGradient],
    workgroups: [heads],
  });
}

/** V-scale forward, unfused. */
export function planNaiveVScaleForward(
  gpu: Gpu,
  options: VScaleForwardOptions,
): Planned<VScaleForwardResult> {
  return replan<VScaleForwardResult>(
    gpu,
    planVScaleForward(gpu, options),
    (steps, { scaledValue }) => {
      const { value, constant } = options;
      const { shape } = value;
      const inputs = { value: value.buffer, constant: constant.buffer, shape };
      addVScaleForward(steps, { ...inputs, result: scaledValue.buffer });
    },
  );
}

/** V-scale backward, unfused. */
export function planNaiveVScaleBackward(
  gpu: Gpu,
  options: VScaleBackwardOptions,
): Planned<VScaleBackwardResult> {
  return replan<VScaleBackwardResult>(
    gpu,
    planVScaleBackward(gpu, options),
    (steps, { valueGradient, constantGradient }) => {
      const { value, constant, scaledValueGradient } = options;
      addVScaleBackward(steps, {
        value: value.buffer,
        constant: constant.buffer,
        shape: value.shape,
        scaledValueGradient: scaledValueGradient.buffer,
        valueGradient: valueGradient.buffer,
        constantGradient: constantGradient.buffer,
      });
    },
  );
}
