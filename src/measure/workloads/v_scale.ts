/** V-scale as a measured operator. */
import type { Gpu } from "../../gpu/gpu.ts";
import { planVScaleBackward, planVScaleForward } from "../../ops/v_scale.ts";
import { randomNormal, randomUniform } from "../../random.ts";
import { type ReferenceTensor, tensor } from "../../reference/tensor.ts";
import { vScaleBackward, vScaleForward } from "../../reference/v_scale.ts";
import { rowShapes } from "./models.ts";
import { measured, quarter } from "./operator.ts";
import type { Prepared, PrepareOptions } from "./prepare.ts";
import { type Sample, samplePlaces } from "./samples.ts";

interface ValueLengths {
  readonly B: number;
  readonly Hkv: number;
  readonly T: number;
  readonly D: number;
}

export const vScale = measured({
  passes: {
    forward: {
      operator: "vScaleForward",
      plan: planVScaleForward,
      prepare: prepareForward,
      roughWork,
    },
    backward: {
      operator: "vScaleBackward",
      plan: planVScaleBackward,
      prepare: prepareBackward,
      roughWork,
    },
  },
  shapes: rowShapes(({ B, Hkv, T, D }): ValueLengths => ({ B, Hkv, T, D })),
  smaller: (dimensions) => quarter(dimensions, { B: 1, T: 64 }),
});

function roughWork({ B, Hkv, T, D }: ValueLengths): number {
  return 20 * B * Hkv * T * D;
}

// Draws the inputs. C lies between D/2 and 2 D, near |v|², whose mean is D. So
// φ(v) = v·|v|²/(|v|² + C) is close neither to v nor to 0.
function vScaleNumbers(
  { B, Hkv, T, D }: ValueLengths,
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

function prepareForward(
  gpu: Gpu,
  { dimensions, seed, plan: planCall, keep }: PrepareOptions<
    ValueLengths,
    typeof planVScaleForward
  >,
): Prepared {
  const { B, Hkv, T, D } = dimensions;
  const numbers = vScaleNumbers(dimensions, seed);
  const value = keep(gpu.tensor(numbers.value, [B, Hkv, T, D]));
  const constant = keep(gpu.tensor(numbers.constant, [Hkv]));
  const { plan, scaledValue } = planCall(gpu, { value, constant });
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

// The scale of the rounding error of ∂L/∂C: √Σ (r/(r + C)² ‖v‖ ‖u‖)² over the values v, with
// r = ‖v‖² and u = ∂L/∂φ(v). It adds squares, because the terms of ∂L/∂C have random signs.
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

function prepareBackward(
  gpu: Gpu,
  { dimensions, seed, plan: planCall, keep }: PrepareOptions<
    ValueLengths,
    typeof planVScaleBackward
  >,
): Prepared {
  const { B, Hkv, T, D } = dimensions;
  const numbers = {
    ...vScaleNumbers(dimensions, seed),
    scaledValueGradient: randomNormal({ seed: 8 * seed + 2, length: B * Hkv * T * D }),
  };
  const inputs = {
    value: keep(gpu.tensor(numbers.value, [B, Hkv, T, D])),
    constant: keep(gpu.tensor(numbers.constant, [Hkv])),
    scaledValueGradient: keep(gpu.tensor(numbers.scaledValueGradient, [B, Hkv, T, D])),
  };
  const { plan, valueGradient, constantGradient } = planCall(gpu, inputs);
  return {
    plan,
    outputs: { valueGradient, constantGradient },
    tolerance: 1e-5,
    samples(read): Sample[] {
      // A head's constantGradient is a sum over the head's rows in all sequences. So check one
      // head, with all its rows.
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
