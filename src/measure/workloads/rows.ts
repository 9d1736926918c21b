/** Workloads of the operators that treat each row by itself: RMSNorm and V-scale. */
import type { Gpu } from "../../gpu/gpu.ts";
import { randomNormal, randomUniform } from "../../random.ts";
import { rmsNormBackward, rmsNormForward } from "../../reference/rms_norm.ts";
import { type ReferenceTensor, tensor } from "../../reference/tensor.ts";
import { vScaleBackward, vScaleForward } from "../../reference/v_scale.ts";
import { type Sample, samplePlaces, sampleRows } from "./samples.ts";
import type { Prepared, PrepareOptions } from "../workloads.ts";

interface Matrix {
  readonly rows: number;
  readonly d: number;
}

// Some rows, or some columns, of a row-major matrix.
function takeRows(numbers: Float32Array, rows: readonly number[], d: number): ReferenceTensor {
  const taken = rows.flatMap((row) => [...numbers.subarray(row * d, (row + 1) * d)]);
  return tensor(taken, [rows.length, d]);
}

function takeColumns(
  numbers: Float32Array,
  columns: readonly number[],
  { rows, d }: Matrix,
): ReferenceTensor {
  const taken = new Float64Array(rows * columns.length);
  for (let row = 0; row < rows; row++) {
    columns.forEach((column, i) => {
      taken[row * columns.length + i] = numbers[row * d + column]!;
    });
  }
  return tensor(taken, [rows, columns.length]);
}

function rowSamples(
  output: string,
  { actual, wanted, rows, d }: {
    readonly actual: Float32Array;
    readonly wanted: ReferenceTensor;
    readonly rows: readonly number[];
    readonly d: number;
  },
): Sample[] {
  return rows.map((row, i) => ({
    output,
    actual: actual.subarray(row * d, (row + 1) * d),
    wanted: wanted.data.subarray(i * d, (i + 1) * d),
  }));
}

// The inputs of a residual stream after some layers, and a gain around 1.
function rmsNormNumbers({ rows, d }: Matrix, seed: number): Record<"input" | "gain", Float32Array> {
  return {
    input: randomNormal({ seed: 8 * seed, length: rows * d }),
    gain: randomNormal({ seed: 8 * seed + 1, length: d, mean: 1, standardDeviation: 0.2 }),
  };
}

/** Prepares RMSNorm forward. */
export function prepareRmsNormForward(
  gpu: Gpu,
  { dimensions, seed, implementation, keep }: PrepareOptions,
): Prepared {
  const { rows, d } = dimensions as unknown as Matrix;
  const numbers = rmsNormNumbers({ rows, d }, seed);
  const input = keep(gpu.tensor(numbers.input, [rows, d]));
  const gain = keep(gpu.tensor(numbers.gain, [d]));
  const { plan, output, inverseRms } = implementation.rmsNormForward(gpu, { input, gain });
  return {
    plan,
    outputs: { output, inverseRms },
    tolerance: 2e-6,
    samples(read): Sample[] {
      const sampled = sampleRows(rows, { draws: 16, seed });
      const wanted = rmsNormForward({
        input: takeRows(numbers.input, sampled, d),
        gain: tensor(numbers.gain, [d]),
      });
      return [
        ...rowSamples("output", { actual: read.output!, wanted: wanted.output, rows: sampled, d }),
        {
          output: "inverseRms",
          actual: sampled.map((row) => read.inverseRms![row]!),
          wanted: wanted.inverseRms.data,
        },
      ];
    },
  };
}

/** Prepares RMSNorm backward. */
export function prepareRmsNormBackward(
  gpu: Gpu,
  { dimensions, seed, implementation, keep }: PrepareOptions,
): Prepared {
  const { rows, d } = dimensions as unknown as Matrix;
  const numbers = {
    ...rmsNormNumbers({ rows, d }, seed),
    outputGradient: randomNormal({ seed: 8 * seed + 2, length: rows * d }),
    inverseRms: new Float32Array(rows),
  };
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    for (let i = row * d; i < (row + 1) * d; i++) squares += numbers.input[i]! ** 2;
    numbers.inverseRms[row] = 1 / Math.sqrt(squares / d + 1e-5);
  }
  const inputs = {
    input: keep(gpu.tensor(numbers.input, [rows, d])),
    gain: keep(gpu.tensor(numbers.gain, [d])),
    inverseRms: keep(gpu.tensor(numbers.inverseRms, [rows])),
    outputGradient: keep(gpu.tensor(numbers.outputGradient, [rows, d])),
  };
  const { plan, inputGradient, gainGradient } = implementation.rmsNormBackward(gpu, inputs);
  return {
    plan,
    outputs: { inputGradient, gainGradient },
    tolerance: 1e-5,
    samples(read): Sample[] {
      const sampled = sampleRows(rows, { draws: 16, seed });
      const byRow = rmsNormBackward({
        input: takeRows(numbers.input, sampled, d),
        gain: tensor(numbers.gain, [d]),
        inverseRms: tensor(sampled.map((row) => numbers.inverseRms[row]!), [sampled.length]),
        outputGradient: takeRows(numbers.outputGradient, sampled, d),
      });
      // Given inverseRms, a column of gainGradient depends on this column of the inputs alone.
      const columns = sampleRows(d, { draws: 16, seed: seed + 1 });
      const byColumn = rmsNormBackward({
        input: takeColumns(numbers.input, columns, { rows, d }),
        gain: tensor(columns.map((column) => numbers.gain[column]!), [columns.length]),
        inverseRms: tensor(numbers.inverseRms, [rows]),
        outputGradient: takeColumns(numbers.outputGradient, columns, { rows, d }),
      });
      return [
        ...rowSamples("inputGradient", {
          actual: read.inputGradient!,
          wanted: byRow.inputGradient,
          rows: sampled,
          d,
        }),
        {
          output: "gainGradient",
          actual: columns.map((column) => read.gainGradient![column]!),
          wanted: byColumn.gainGradient.data,
        },
      ];
    },
  };
}

interface ValueDimensions {
  readonly B: number;
  readonly Hkv: number;
  readonly T: number;
  readonly D: number;
}

// C is about |v|² = D, where φ bends most.
function vScaleNumbers(
  { B, Hkv, T, D }: ValueDimensions,
  seed: number,
): Record<"value" | "constant", Float32Array> {
  return {
    value: randomNormal({ seed: 8 * seed, length: B * Hkv * T * D }),
    constant: randomUniform({
      seed: 8 * seed + 1,
      length: Hkv,
      minimum: D / 2,
      maximum: 2 * D,
    }),
  };
}

/** Prepares V-scale forward. */
export function prepareVScaleForward(
  gpu: Gpu,
  { dimensions, seed, implementation, keep }: PrepareOptions,
): Prepared {
  const shape = dimensions as unknown as ValueDimensions;
  const { B, Hkv, T, D } = shape;
  const numbers = vScaleNumbers(shape, seed);
  const value = keep(gpu.tensor(numbers.value, [B, Hkv, T, D]));
  const constant = keep(gpu.tensor(numbers.constant, [Hkv]));
  const { plan, scaledValue } = implementation.vScaleForward(gpu, { value, constant });
  return {
    plan,
    outputs: { scaledValue },
    tolerance: 2e-6,
    samples(read): Sample[] {
      return samplePlaces({ heads: B * Hkv, length: T }, { seed }).map(({ head, position }) => {
        const start = (head * T + position) * D;
        const wanted = vScaleForward({
          value: tensor(numbers.value.subarray(start, start + D), [1, 1, 1, D]),
          constant: tensor([numbers.constant[head % Hkv]!], [1]),
        });
        return {
          output: "scaledValue",
          actual: read.scaledValue!.subarray(start, start + D),
          wanted: wanted.scaledValue.data,
        };
      });
    },
  };
}

// √Σ (r/(r + C)² ‖v‖ ‖u‖)²: the terms of ∂L/∂C have random signs, and so have their roundings.
function constantMagnitude(
  value: Float64Array,
  gradient: Float64Array,
  { constant, D }: { readonly constant: number; readonly D: number },
): number {
  let sum = 0;
  for (let start = 0; start < value.length; start += D) {
    let r = 0, squared = 0;
    for (let i = start; i < start + D; i++) {
      r += value[i]! ** 2;
      squared += gradient[i]! ** 2;
    }
    sum += (r / (r + constant) ** 2) ** 2 * r * squared;
  }
  return Math.sqrt(sum);
}

/** Prepares V-scale backward. */
export function prepareVScaleBackward(
  gpu: Gpu,
  { dimensions, seed, implementation, keep }: PrepareOptions,
): Prepared {
  const shape = dimensions as unknown as ValueDimensions;
  const { B, Hkv, T, D } = shape;
  const numbers = {
    ...vScaleNumbers(shape, seed),
    scaledValueGradient: randomNormal({ seed: 8 * seed + 2, length: B * Hkv * T * D }),
  };
  const inputs = {
    value: keep(gpu.tensor(numbers.value, [B, Hkv, T, D])),
    constant: keep(gpu.tensor(numbers.constant, [Hkv])),
    scaledValueGradient: keep(gpu.tensor(numbers.scaledValueGradient, [B, Hkv, T, D])),
  };
  const { plan, valueGradient, constantGradient } = implementation.vScaleBackward(gpu, inputs);
  return {
    plan,
    outputs: { valueGradient, constantGradient },
    tolerance: 1e-5,
    samples(read): Sample[] {
      // The constant's gradient sums over all rows of a head, so one head is computed whole, in all sequences.
      const head = Hkv - 1;
      const starts = Array.from({ length: B }, (_, b) => (b * Hkv + head) * T * D);
      const take = (all: Float32Array): ReferenceTensor => {
        const taken = new Float32Array(B * T * D);
        starts.forEach((start, b) => taken.set(all.subarray(start, start + T * D), b * T * D));
        return tensor(taken, [B, 1, T, D]);
      };
      const wanted = vScaleBackward({
        value: take(numbers.value),
        constant: tensor([numbers.constant[head]!], [1]),
        scaledValueGradient: take(numbers.scaledValueGradient),
      });
      const rows = starts.map((start, b) => ({
        output: "valueGradient",
        actual: read.valueGradient!.subarray(start, start + T * D),
        wanted: wanted.valueGradient.data.subarray(b * T * D, (b + 1) * T * D),
      }));
      return [...rows, {
        output: "constantGradient",
        actual: read.constantGradient!.subarray(head, head + 1),
        wanted: wanted.constantGradient.data,
        magnitude: constantMagnitude(
          take(numbers.value).data,
          take(numbers.scaledValueGradient).data,
          { constant: numbers.constant[head]!, D },
        ),
      }];
    },
  };
}
