/** RMSNorm as a measured operator. */
import type { Gpu } from "../../gpu/gpu.ts";
import { planRmsNormBackward, planRmsNormForward } from "../../ops/rms_norm.ts";
import { randomNormal } from "../../random.ts";
import { rmsNormBackward, rmsNormForward } from "../../reference/rms_norm.ts";
import { type ReferenceTensor, tensor } from "../../reference/tensor.ts";
import { rowShapes } from "./models.ts";
import { measured, quarter } from "./operator.ts";
import type { Prepared, PrepareOptions } from "./prepare.ts";
import { type Sample, sampleRows } from "./samples.ts";

interface Matrix {
  readonly rows: number;
  readonly d: number;
}

export const rmsNorm = measured({
  passes: {
    forward: {
      operator: "rmsNormForward",
      plan: planRmsNormForward,
      prepare: prepareForward,
      roughWork,
    },
    backward: {
      operator: "rmsNormBackward",
      plan: planRmsNormBackward,
      prepare: prepareBackward,
      roughWork,
    },
  },
  shapes: rowShapes(({ B, T, width }): Matrix => ({ rows: B * T, d: width })),
  smaller: (dimensions) => quarter(dimensions, { rows: 64 }),
});

function roughWork({ rows, d }: Matrix): number {
  return 20 * rows * d;
}

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

function rmsNormNumbers({ rows, d }: Matrix, seed: number): Record<"input" | "gain", Float32Array> {
  return {
    input: randomNormal({ seed: 8 * seed, length: rows * d }),
    gain: randomNormal({ seed: 8 * seed + 1, length: d, mean: 1, standardDeviation: 0.2 }),
  };
}

function prepareForward(
  gpu: Gpu,
  { dimensions, seed, plan: planCall, keep }: PrepareOptions<Matrix, typeof planRmsNormForward>,
): Prepared {
  const { rows, d } = dimensions;
  const numbers = rmsNormNumbers({ rows, d }, seed);
  const input = keep(gpu.tensor(numbers.input, [rows, d]));
  const gain = keep(gpu.tensor(numbers.gain, [d]));
  const { plan, output, inverseRms } = planCall(gpu, { input, gain });
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

function prepareBackward(
  gpu: Gpu,
  { dimensions, seed, plan: planCall, keep }: PrepareOptions<Matrix, typeof planRmsNormBackward>,
): Prepared {
  const { rows, d } = dimensions;
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
  const { plan, inputGradient, gainGradient } = planCall(gpu, inputs);
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
      // Once inverseRms is known, a column of gainGradient depends only on the same column of
      // `input` and `outputGradient`.
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
