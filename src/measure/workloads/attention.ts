/** Attention as a measured operator: plain, with V-scale, or with learned sinks. */
import type { Gpu } from "../../gpu/gpu.ts";
import {
  attentionForward,
  planAttentionBackward,
  planAttentionForward,
} from "../../ops/attention.ts";
import { randomNormal } from "../../random.ts";
import { lambdaParallel } from "../../reference/jacobians.ts";
import {
  type AttentionExtras,
  type AttentionLengths,
  createInputs,
  shapes,
  smaller,
} from "./attention/inputs.ts";
import {
  attentionForwardRow,
  type AttentionGradientNumbers,
  keyValueGradientRow,
  queryGradientRow,
  sinkLogitGradientOf,
} from "./attention/rows.ts";
import { type GridShape, measured, type MeasuredOperator } from "./operator.ts";
import type { Planner, Prepared, PrepareOptions } from "./prepare.ts";
import { type Sample, samplePlaces } from "./samples.ts";

export function attention(extras: AttentionExtras = {}): MeasuredOperator {
  return measured({
    passes: {
      forward: {
        operator: "attentionForward",
        plan: planAttentionForward,
        prepare: (gpu, options) => prepareForward(gpu, { ...options, ...extras }),
        roughWork: (lengths: AttentionLengths) =>
          Math.max(2 * productWork(lengths), 2 * tensorBytes(lengths)),
      },
      backward: {
        operator: "attentionBackward",
        plan: planAttentionBackward,
        prepare: (gpu, options) => prepareBackward(gpu, { ...options, ...extras }),
        roughWork: (lengths: AttentionLengths) =>
          Math.max(5 * productWork(lengths), 4 * tensorBytes(lengths)),
        inputsFrom: "attention",
      },
    },
    shapes: extras.sink === true ? fewShapes : shapes,
    smaller,
  });
}

// What learned sinks cost depends little on the shape. So the default grid gets only one shape
// besides the quick ones, which leaves time for other operators.
function fewShapes(software: boolean): GridShape<AttentionLengths>[] {
  const all = shapes(software);
  const usual = all.findIndex(({ grid }) => grid === "default");
  return all.map((shape, i) =>
    shape.grid === "default" && i > usual ? { ...shape, grid: "full" } : shape
  );
}

// The operations of one matrix product of attention, such as queries times keys: 2 D for each pair
// of a query and a key that it sees. A head has T (T + 1) / 2 pairs.
function productWork({ B, Hq, T, D }: AttentionLengths): number {
  return B * Hq * T * (T + 1) * D;
}

// The bytes of two tensors together: one with Hq heads, such as the output, and one with Hkv heads,
// such as the keys. With short sequences a run has more bytes to move than operations to compute.
function tensorBytes({ B, Hq, Hkv, T, D }: AttentionLengths): number {
  return 4 * B * (Hq + Hkv) * T * D;
}

type Call<Plan extends Planner> = PrepareOptions<AttentionLengths, Plan> & AttentionExtras;

function prepareForward(
  gpu: Gpu,
  options: Call<typeof planAttentionForward>,
): Prepared {
  const { seed, plan: planCall } = options;
  const { numbers, tensors } = createInputs(gpu, options);
  const { plan, output, logSumExp } = planCall(gpu, tensors);
  return {
    plan,
    outputs: { output, logSumExp },
    // The project's accuracy goal in float32.
    tolerance: 1e-5,
    samples(read): Sample[] {
      const { B, Hq, T, D } = numbers.dimensions;
      const places = samplePlaces({ heads: B * Hq, length: T }, { seed });
      const rows = places.map((place) => attentionForwardRow(numbers, place));
      const starts = places.map(({ head, position }) => head * T + position);
      return [
        ...rows.map(({ output: wanted }, i) => ({
          output: "output",
          actual: read.output!.subarray(starts[i]! * D, (starts[i]! + 1) * D),
          wanted,
        })),
        {
          output: "logSumExp",
          actual: starts.map((start) => read.logSumExp![start]!),
          wanted: rows.map((row) => row.logSumExp),
        },
      ];
    },
  };
}

function prepareBackward(
  gpu: Gpu,
  options: Call<typeof planAttentionBackward>,
): Prepared {
  const { seed, plan: planCall, keep } = options;
  const { numbers, tensors } = createInputs(gpu, options);
  const forward = attentionForward(gpu, { ...tensors, variant: "portable" });
  const output = keep(forward.output);
  const logSumExp = keep(forward.logSumExp);
  const outputGradientNumbers = randomNormal({ seed: 8 * seed + 4, length: output.length });
  const outputGradient = keep(gpu.tensor(outputGradientNumbers, output.shape));
  const { plan, ...gradients } = planCall(gpu, {
    ...tensors,
    output,
    logSumExp,
    outputGradient,
  });
  return {
    plan,
    outputs: { ...gradients },
    tolerance: 1e-5,
    async samples(read): Promise<Sample[]> {
      // The check uses the same forward results as the GPU's backward pass.
      const backward = {
        ...numbers,
        output: await output.read(),
        logSumExp: await logSumExp.read(),
        outputGradient: outputGradientNumbers,
      };
      return gradientSamples(backward, { read, seed });
    },
  };
}

function gradientSamples(
  numbers: AttentionGradientNumbers,
  { read, seed }: { readonly read: Readonly<Record<string, Float32Array>>; readonly seed: number },
): Sample[] {
  const { B, Hq, Hkv, T, D } = numbers.dimensions;
  const rowOf = (output: string, { head, position }: { head: number; position: number }) => {
    const start = (head * T + position) * D;
    return read[output]!.subarray(start, start + D);
  };
  const samples: Sample[] = [];
  for (const place of samplePlaces({ heads: B * Hq, length: T }, { seed })) {
    const output = "queryGradient";
    const { gradient: wanted, magnitude } = queryGradientRow(numbers, place);
    samples.push({ output, actual: rowOf(output, place), wanted, magnitude });
  }
  for (const place of samplePlaces({ heads: B * Hkv, length: T }, { seed: seed + 2 })) {
    const { key, value } = keyValueGradientRow(numbers, place);
    samples.push({
      output: "keyGradient",
      actual: rowOf("keyGradient", place),
      wanted: key.gradient,
      magnitude: key.magnitude,
    }, {
      output: "valueGradient",
      actual: rowOf("valueGradient", place),
      wanted: value,
    });
  }
  if (numbers.vScale !== undefined) {
    const { sums, magnitude } = constantGradient(numbers, read.valueGradient!);
    const actual = read.constantGradient!;
    samples.push({ output: "constantGradient", actual, wanted: sums, magnitude });
  }
  if (numbers.sinkLogit !== undefined) {
    const heads = Array.from({ length: Hq }, (_, head) => sinkLogitGradientOf(numbers, head));
    samples.push({
      output: "sinkLogitGradient",
      actual: read.sinkLogitGradient!,
      wanted: heads.map(({ gradient }) => gradient),
      magnitude: Math.max(...heads.map(({ magnitude }) => magnitude)),
    });
  }
  return samples;
}

// Computes V-scale's ∂L/∂C from the GPU's valueGradient (∂L/∂v), which is checked on its own. With
// φ(v) = v·r/(r + C) and r = |v|², ∂L/∂C = −Σ r/(r + C)² ⟨v, ∂L/∂φ(v)⟩. The pass does not return
// ∂L/∂φ(v). But v is an eigenvector of φ's Jacobian with eigenvalue λ∥, so
// ⟨v, ∂L/∂φ(v)⟩ = ⟨v, ∂L/∂v⟩ / λ∥.
function constantGradient(
  { dimensions, value, vScale }: AttentionGradientNumbers,
  valueGradient: Float32Array,
): { sums: Float64Array; magnitude: number } {
  const { B, Hkv, T, D } = dimensions;
  const sums = new Float64Array(Hkv);
  const squares = new Float64Array(Hkv);
  for (let row = 0; row < B * Hkv * T; row++) {
    const head = Math.floor(row / T) % Hkv;
    const constant = vScale!.constant[head]!;
    let r = 0, along = 0, gradient = 0;
    for (let i = row * D; i < (row + 1) * D; i++) {
      r += value[i]! * value[i]!;
      along += value[i]! * valueGradient[i]!;
      gradient += valueGradient[i]! * valueGradient[i]!;
    }
    const factor = r / (r + constant) ** 2 / lambdaParallel(r, constant);
    sums[head]! -= factor * along;
    squares[head]! += factor ** 2 * r * gradient;
  }
  return { sums, magnitude: Math.sqrt(Math.max(...squares)) };
}
