/** Workloads of attention, with and without V-scale, and of its sink statistics. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { attentionForward } from "../../ops/attention.ts";
import type { AttentionVScale } from "../../ops/attention/shape.ts";
import { randomNormal, randomUniform } from "../../random.ts";
import { attentionSinkStatistics } from "../../reference/attention_sink_statistics.ts";
import { lambdaParallel } from "../../reference/jacobians.ts";
import { tensor } from "../../reference/tensor.ts";
import {
  attentionForwardRow,
  type AttentionGradientNumbers,
  type AttentionNumbers,
  keyValueGradientRow,
  queryGradientRow,
} from "./attention_rows.ts";
import { type Sample, samplePlaces } from "./samples.ts";
import type { Prepared, PrepareOptions } from "../workloads.ts";

type Dimensions = AttentionNumbers["dimensions"];

interface Inputs {
  readonly numbers: AttentionNumbers;
  readonly tensors: {
    readonly query: Tensor;
    readonly key: Tensor;
    readonly value: Tensor;
    readonly vScale?: AttentionVScale;
  };
}

// Normal queries, keys and values, as projections of a normalized residual stream are at the start of training. C is
// about |v|² = D, where φ bends most.
function createInputs(
  gpu: Gpu,
  { dimensions, mode, seed, keep }: Omit<PrepareOptions, "implementation">,
): Inputs {
  const { B, Hq, Hkv, T, D } = dimensions as Dimensions;
  const query = randomNormal({ seed: 8 * seed, length: B * Hq * T * D });
  const key = randomNormal({ seed: 8 * seed + 1, length: B * Hkv * T * D });
  const value = randomNormal({ seed: 8 * seed + 2, length: B * Hkv * T * D });
  const tensors = {
    query: keep(gpu.tensor(query, [B, Hq, T, D])),
    key: keep(gpu.tensor(key, [B, Hkv, T, D])),
    value: keep(gpu.tensor(value, [B, Hkv, T, D])),
  };
  const numbers = { dimensions: dimensions as Dimensions, query, key, value };
  if (mode === undefined) return { numbers, tensors };
  const constant = randomUniform({
    seed: 8 * seed + 3,
    length: Hkv,
    minimum: D / 2,
    maximum: 2 * D,
  });
  return {
    numbers: { ...numbers, vScale: { constant, mode } },
    tensors: { ...tensors, vScale: { constant: keep(gpu.tensor(constant, [Hkv])), mode } },
  };
}

/** Prepares attention forward. */
export function prepareAttentionForward(
  gpu: Gpu,
  options: PrepareOptions,
): Prepared {
  const { seed, implementation } = options;
  const { numbers, tensors } = createInputs(gpu, options);
  const { plan, output, logSumExp } = implementation.attentionForward(gpu, tensors);
  return {
    plan,
    outputs: { output, logSumExp },
    // The accuracy goals of the project, here and below; the tests print the share that is used.
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

/** Prepares attention backward; runs a forward pass for its inputs. */
export function prepareAttentionBackward(
  gpu: Gpu,
  options: PrepareOptions,
): Prepared {
  const { seed, implementation, keep } = options;
  const { numbers, tensors } = createInputs(gpu, options);
  const forward = attentionForward(gpu, { ...tensors, variant: "portable" });
  const output = keep(forward.output);
  const logSumExp = keep(forward.logSumExp);
  const outputGradientNumbers = randomNormal({ seed: 8 * seed + 4, length: output.length });
  const outputGradient = keep(gpu.tensor(outputGradientNumbers, output.shape));
  const { plan, ...gradients } = implementation.attentionBackward(gpu, {
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
      // The forward's results are inputs here: the gradients are checked for what they make of them.
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
  return samples;
}

// ∂L/∂C = −Σ r/(r + C)² ⟨v, ∂L/∂φ(v)⟩, and since v is an eigenvector of φ's Jacobian, ⟨v, ∂L/∂φ(v)⟩ = ⟨v, ∂L/∂v⟩ / λ∥.
// So all rows of the sum follow from valueGradient, which is checked by itself.
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

/** Prepares attention-sink statistics of position 0; runs a forward pass for its inputs. */
export function prepareAttentionSinkStatistics(
  gpu: Gpu,
  options: PrepareOptions,
): Prepared {
  const { seed, implementation, keep } = options;
  const { numbers, tensors } = createInputs(gpu, options);
  const { query, key } = tensors;
  const forward = attentionForward(gpu, { ...tensors, variant: "portable" });
  forward.output.dispose();
  const logSumExp = keep(forward.logSumExp);
  const { plan, ...statistics } = implementation.attentionSinkStatistics(gpu, {
    query,
    key,
    logSumExp,
  });
  return {
    plan,
    outputs: { ...statistics },
    tolerance: 1e-5,
    async samples(read): Promise<Sample[]> {
      const { B, Hq, T } = numbers.dimensions;
      const rows = await logSumExp.read();
      const heads = samplePlaces({ heads: B * Hq, length: T }, { seed }).map(({ head }) => head);
      return [...new Set(heads)].slice(0, 4).flatMap((head) => {
        const wanted = headStatistics(numbers, { head, logSumExp: rows });
        return (["mass", "secondMoment", "score"] as const).map((output) => ({
          output,
          actual: read[output]!.subarray(head, head + 1),
          wanted: wanted[output].data,
        }));
      });
    },
  };
}

function headStatistics(
  { dimensions, query, key }: AttentionNumbers,
  { head, logSumExp }: { readonly head: number; readonly logSumExp: Float32Array },
): ReturnType<typeof attentionSinkStatistics> {
  const { Hq, Hkv, T, D } = dimensions;
  const keyHead = Math.floor(head / Hq) * Hkv + Math.floor((head % Hq) / (Hq / Hkv));
  const ofHead = (numbers: Float32Array, h: number) =>
    tensor(numbers.subarray(h * T * D, (h + 1) * T * D), [1, 1, T, D]);
  return attentionSinkStatistics({
    query: ofHead(query, head),
    key: ofHead(key, keyHead),
    logSumExp: tensor(logSumExp.subarray(head * T, (head + 1) * T), [1, 1, T]),
  });
}
