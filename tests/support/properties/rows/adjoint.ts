import type { Gpu } from "../../../../mod.ts";
import { randomNormal } from "../../../../src/random.ts";
import * as reference from "../../../../src/reference/mod.ts";
import { checkCases, type PropertyOptions } from "../../check_cases.ts";
import type { Numbers } from "../../on_gpu.ts";
import type { Report, Tally } from "../../report.ts";
import { drawRmsNorm, drawVScale, rmsNormDescription } from "../../rows/cases.ts";
import { vScaleBackwardBounds } from "../../rows/tolerance.ts";
import { inner } from "../../vectors.ts";
import { exactBackwardBounds, rmsNorm, vScale } from "./passes.ts";

/**
 * Adjointness of RMSNorm (input and gain) and of V-scale (value and constant): ⟨dy, J v⟩ = ⟨Jᵀ dy,
 * v⟩. Jᵀ dy comes from the GPU, J v from the twin's forward by Richardson extrapolation. The
 * tolerance is Σ |v| times the bounds of the gradients' errors, plus 1e-9 Σ |gradient v| for the
 * extrapolation.
 */
export async function rowsAreAdjoint(gpu: Gpu, options: PropertyOptions = {}): Promise<Report> {
  const seeds = [91, 92, 93, 94].map((seed) => seed + (options.seed ?? 0));
  return await checkCases(gpu, {
    name: "adjointness of RMSNorm and V-scale",
    arbitrary: rmsNormDescription.filter(({ pattern }) => pattern === "normal"),
    examples: seeds.map((seed) => ({ rows: 19, columns: 12, seed, pattern: "normal" as const })),
    seed: 754,
    runs: 4,
    async check({ rows, columns, seed }, tally) {
      const drawn = drawRmsNorm({ rows, columns, seed, pattern: "normal" });
      const norm = await rmsNorm(gpu, drawn);
      const valve = drawVScale({
        batch: 1,
        heads: 1,
        length: rows,
        columns,
        seed,
        pattern: "normal",
        constant: 1,
      });
      const valveGradients = await vScale(gpu, valve);
      checkAdjoint(tally, {
        what: "RMSNorm",
        seed,
        at: { input: drawn.input, gain: drawn.gain },
        cotangent: drawn.outputGradient,
        gradients: { input: norm.inputGradient, gain: norm.gainGradient },
        bounds: renamed(exactBackwardBounds(drawn, norm)),
        forward: ({ input, gain }) =>
          reference.rmsNormForward({ input: input!, gain: gain! }).output,
      });
      const bounds = vScaleBackwardBounds({
        ...valve,
        gradient: valve.scaledValueGradient.data,
        gradientError: new Float64Array(valve.value.data.length),
        chain: columns,
      });
      checkAdjoint(tally, {
        what: "V-scale",
        seed,
        at: { value: valve.value, constant: valve.constant },
        cotangent: valve.scaledValueGradient,
        gradients: {
          value: valveGradients.valueGradient,
          constant: valveGradients.constantGradient,
        },
        bounds: { value: bounds.valueGradient, constant: bounds.constantGradient },
        forward: ({ value, constant }) =>
          reference.vScaleForward({ value: value!, constant: constant! }).scaledValue,
      });
    },
  }, options);
}

function renamed(
  bounds: { inputGradient: Float64Array; gainGradient: Float64Array },
): Record<string, Float64Array> {
  return { input: bounds.inputGradient, gain: bounds.gainGradient };
}

function checkAdjoint(
  tally: Tally,
  { what, seed, at, cotangent, gradients, bounds, forward }: {
    readonly what: string;
    readonly seed: number;
    readonly at: Readonly<Record<string, Numbers>>;
    readonly cotangent: Numbers;
    readonly gradients: Readonly<Record<string, Numbers>>;
    readonly bounds: Readonly<Record<string, Float64Array>>;
    readonly forward: (
      at: Readonly<Record<string, reference.ReferenceTensor>>,
    ) => reference.ReferenceTensor;
  },
): void {
  const names = Object.keys(at);
  let pulled = 0, tolerance = 0;
  const point: Record<string, reference.ReferenceTensor> = {};
  const direction: Record<string, reference.ReferenceTensor> = {};
  names.forEach((name, n) => {
    const { data, shape } = at[name]!;
    const tangent = randomNormal({
      seed: seed + 30 + n,
      length: data.length,
      standardDeviation: 0.1,
    });
    tangent.forEach((v, i) => {
      pulled += gradients[name]!.data[i]! * v;
      tolerance += (bounds[name]![i]! + 1e-9 * Math.abs(gradients[name]!.data[i]!)) * Math.abs(v);
    });
    point[name] = reference.tensor(data, shape);
    direction[name] = reference.tensor(tangent, shape);
  });
  const pushed = reference.richardsonDerivative((h) => {
    const moved = Object.fromEntries(
      names.map((name) => [
        name,
        reference.tensor(
          point[name]!.data.map((x, i) => x + h * direction[name]!.data[i]!),
          point[name]!.shape,
        ),
      ]),
    );
    return inner(cotangent.data, forward(moved).data);
  }).value;
  tally.within(`⟨Jᵀ dy, v⟩ of ${what}`, {
    actual: [pulled],
    expected: [pushed],
    bound: [tolerance],
  });
}
