/** Laws of RMSNorm and V-scale on the GPU: identities, bounds, scaling, adjointness, bits, rows apart. */
import {
  type Gpu,
  planRmsNormBackward,
  planRmsNormForward,
  planVScaleBackward,
  planVScaleForward,
  rmsNormBackward,
  type RmsNormBackwardOptions,
  type RmsNormBackwardResult,
  rmsNormForward,
  type RmsNormForwardOptions,
  type RmsNormForwardResult,
  vScaleBackward,
  type VScaleBackwardOptions,
  type VScaleBackwardResult,
  vScaleForward,
  type VScaleForwardOptions,
  type VScaleForwardResult,
} from "../../../mod.ts";
import { randomNormal } from "../../../src/random.ts";
import * as reference from "../../../src/reference/mod.ts";
import { assert } from "../assert.ts";
import { toFloat32, toTwin } from "../attention_cases.ts";
import { checkCases, type PropertyOptions } from "../check_cases.ts";
import { type Numbers, onGpu, onGpuPlanned, type Results } from "../on_gpu.ts";
import type { Report, Tally } from "../report.ts";
import {
  drawRmsNorm,
  drawVScale,
  type RmsNormCase,
  type RmsNormDescription,
  rmsNormDescription,
  type VScaleDescription,
  vScaleDescription,
} from "../row_cases.ts";
import * as identities from "../row_identities.ts";
import {
  rmsNormBackwardBounds,
  rmsNormForwardBounds,
  U,
  vScaleBackwardBounds,
} from "../tolerance.ts";
import { inner } from "../vectors.ts";

type RmsNorm = Results<RmsNormForwardResult> & Results<RmsNormBackwardResult>;

async function rmsNorm(gpu: Gpu, drawn: RmsNormCase): Promise<RmsNorm> {
  const { input, gain, outputGradient, epsilon } = drawn;
  const forward = await onGpu<RmsNormForwardOptions, RmsNormForwardResult>(
    gpu,
    rmsNormForward,
    { input, gain, epsilon },
  );
  const { inverseRms } = forward;
  const backward = await onGpu<RmsNormBackwardOptions, RmsNormBackwardResult>(
    gpu,
    rmsNormBackward,
    { input, gain, inverseRms, outputGradient },
  );
  return { ...forward, ...backward };
}

const rmsNormExamples: readonly RmsNormDescription[] = [
  { rows: 35, columns: 70, seed: 81, pattern: "normal", epsilon: 0 },
  { rows: 3, columns: 5, seed: 82, pattern: "normal", epsilon: 0.3 },
];

/** Of moderate size: the Jacobian is a dense matrix here. */
const smallRmsNorm = rmsNormDescription.filter(({ columns }) => columns >= 2 && columns <= 130);

/** 4.1 to 4.4 for the GPU's gradients; tolerance: the chains of the row sums, as in tolerance.ts. */
export function rmsNormObeysItsIdentities(
  gpu: Gpu,
  options: PropertyOptions = {},
): Promise<Report> {
  return checkCases(gpu, {
    name: "RMSNorm's identities and bounds",
    arbitrary: smallRmsNorm,
    examples: rmsNormExamples,
    seed: 751,
    runs: 12,
    async check(description, tally) {
      const { columns } = description;
      const drawn = drawRmsNorm(description);
      const epsilon = drawn.epsilon ?? 1e-5;
      const numbers = { ...drawn, ...await rmsNorm(gpu, drawn), epsilon };
      // Half a chain for inverseRms, thrice but never all at full size, one for the mean, and single operations.
      const tolerance = (2 * (columns / 64 + Math.min(columns, 64)) + 40) * U;
      const largest = [...drawn.gain.data].reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const target = largest * Math.sqrt(columns) / 2;
      const equalities = {
        "4.1 Jacobian": identities.rmsNormIsItsJacobian(numbers),
        "4.2 bound": identities.rmsNormBound(numbers),
        "4.4 radial": identities.rmsNormRadialGradient(numbers),
      };
      for (const [what, violation] of Object.entries(equalities)) {
        tally.holds(what, { violation, tolerance });
      }
      const met = identities.rmsNormMeetsTarget(numbers, { target });
      if (met.compared > 0) tally.holds("4.3 target", { violation: met, tolerance });
    },
  }, options);
}

/**
 * With ε = 0, RMSNorm(c x) = RMSNorm(x), inverseRms(c x) = inverseRms(x)/c and the gradient by c x is that by x over c,
 * for any c > 0: x has 12 significant bits and c few, so that c x is exact, and each side is allowed its own bounds.
 */
export function rmsNormScales(gpu: Gpu, options: PropertyOptions = {}): Promise<Report> {
  return checkCases(gpu, {
    name: "RMSNorm's scaling laws",
    arbitrary: rmsNormDescription.filter(({ pattern }) => pattern === "normal"),
    examples: rmsNormExamples,
    seed: 752,
    runs: 8,
    async check(description, tally) {
      const drawn = { ...drawRmsNorm(description), epsilon: 0 };
      drawn.input.data.forEach((x, i) => drawn.input.data[i] = (Math.round(x * 1024) || 1) / 1024);
      const before = await rmsNorm(gpu, drawn);
      for (const c of [0.375, 3, 4096]) {
        const input = { ...drawn.input, data: drawn.input.data.map((x) => c * x) };
        const scaled = { ...drawn, input };
        const after = await rmsNorm(gpu, scaled);
        const bounds = [
          { ...rmsNormForwardBounds(drawn), ...backwardBounds(drawn, before) },
          { ...rmsNormForwardBounds(scaled), ...backwardBounds(scaled, after) },
        ] as const;
        const factors = { output: 1, inverseRms: 1 / c, inputGradient: 1 / c, gainGradient: 1 };
        for (
          const [name, factor] of Object.entries(factors) as [keyof RmsNorm & string, number][]
        ) {
          const own = name as keyof typeof factors;
          tally.within(`${name} of ${c} x`, {
            actual: after[own].data,
            expected: Float64Array.from(before[own].data, (x) => factor * x),
            bound: bounds[1][own].map((bound, i) => bound + factor * bounds[0][own][i]!),
          });
        }
      }
    },
  }, options);
}

// Against the exact gradients: inverseRms has an error of its own, which enters the gradients up to three times.
function backwardBounds(
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

const vScaleExamples: readonly VScaleDescription[] = [
  { batch: 2, heads: 3, length: 40, columns: 12, seed: 83, pattern: "normal", constant: 1 },
  { batch: 1, heads: 2, length: 70, columns: 3, seed: 84, pattern: "normal", constant: 1 / 3 },
];

function vScale(gpu: Gpu, drawn: ReturnType<typeof drawVScale>): Promise<
  Results<VScaleBackwardResult>
> {
  return onGpu<VScaleBackwardOptions, VScaleBackwardResult>(gpu, vScaleBackward, drawn);
}

/** 5.1 to 5.3 for the GPU's gradients; tolerance: a few chains of D, and of the T B rows of a head. */
export function vScaleObeysItsIdentities(
  gpu: Gpu,
  options: PropertyOptions = {},
): Promise<Report> {
  return checkCases(gpu, {
    name: "V-scale's identities and bounds",
    arbitrary: vScaleDescription,
    examples: vScaleExamples,
    seed: 753,
    runs: 16,
    async check(description, tally) {
      const { columns, batch, length } = description;
      const drawn = drawVScale(description);
      const numbers = { ...drawn, ...await vScale(gpu, drawn) };
      const tolerance = (4 * columns + 40 + batch * length / 64 + 64) * U;
      const bounds = identities.vScaleBounds(numbers);
      const violations = {
        "5.1 eigenvalues": identities.vScaleIsItsEigenvalues(numbers),
        "5.2 eigenvalue": bounds.eigenvalue,
        "5.2 nine eighths": bounds.nineEighths,
        "5.2 small values": bounds.smallValue,
        "5.3 constant": identities.vScaleConstantGradient(numbers),
      };
      for (const [what, violation] of Object.entries(violations)) {
        tally.holds(what, { violation, tolerance });
      }
    },
  }, options);
}

/**
 * ⟨dy, J v⟩ = ⟨Jᵀ dy, v⟩ for RMSNorm (input and gain) and V-scale (value and constant): Jᵀ dy from the GPU, J v from
 * the twin's forward by Richardson extrapolation. Tolerance: Σ |v| times the bounds of the gradients' errors.
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
        bounds: renamed(backwardBounds(drawn, norm)),
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

/**
 * Calls repeat their bits, plans do so as often as they run and overwrite outputs that were filled with NaN, and a NaN
 * or an infinity in a row reaches that row (and the sums over rows) and no other.
 */
export function rowsKeepToThemselves(gpu: Gpu, options: PropertyOptions = {}): Promise<Report> {
  return checkCases(gpu, {
    name: "RMSNorm and V-scale repeat themselves and keep rows apart",
    arbitrary: rmsNormDescription.filter(({ columns }) => columns <= 130),
    examples: [{ rows: 37, columns: 70, seed: 85, pattern: "normal" as const }],
    seed: 755,
    runs: 2,
    async check({ rows, columns, seed }, tally) {
      const drawn = drawRmsNorm({ rows, columns, seed, pattern: "normal" });
      const { input, gain, outputGradient } = drawn;
      const shape = [1, 1, rows, columns];
      const norm = await rmsNorm(gpu, drawn);
      const valve = {
        value: { data: input.data, shape },
        constant: { data: Float32Array.of(columns), shape: [1] },
        scaledValueGradient: { data: outputGradient.data, shape },
      };
      const { inverseRms } = norm;
      const plans = async (x: Numbers, g: Numbers, constant = valve.constant) => ({
        forward: await onGpuPlanned(gpu, planRmsNormForward, { args: { input: x, gain }, runs: 2 }),
        backward: await onGpuPlanned(gpu, planRmsNormBackward, {
          args: { input: x, gain, inverseRms, outputGradient: g },
          runs: 2,
        }),
        valveForward: await onGpuPlanned(gpu, planVScaleForward, {
          args: { value: { data: x.data, shape }, constant },
          runs: 2,
        }),
        valveBackward: await onGpuPlanned(gpu, planVScaleBackward, {
          args: {
            value: { data: x.data, shape },
            constant,
            scaledValueGradient: { data: g.data, shape },
          },
          runs: 2,
        }),
      });
      const clean = await plans(input, outputGradient);
      const once: Record<string, Record<string, Numbers>> = {
        forward: { output: norm.output, inverseRms: norm.inverseRms },
        backward: { inputGradient: norm.inputGradient, gainGradient: norm.gainGradient },
        valveForward: await onGpu<VScaleForwardOptions, VScaleForwardResult>(
          gpu,
          vScaleForward,
          valve,
        ),
        valveBackward: await vScale(gpu, valve),
      };
      for (const [pass, runs] of Object.entries(clean)) {
        for (const run of runs as Record<string, Numbers>[]) {
          for (const [name, numbers] of Object.entries(run)) {
            const expected = once[pass]![name]!.data;
            tally.sameBits(`${pass}'s ${name}`, { actual: numbers.data, expected });
            assert(numbers.data.every(Number.isFinite), `${name} has elements nobody wrote`);
          }
        }
      }
      const row = seed % rows, column = seed % columns;
      for (const bad of [NaN, -Infinity]) {
        for (const spoiled of ["input", "outputGradient"] as const) {
          const data = { input: input.data.slice(), outputGradient: outputGradient.data.slice() };
          data[spoiled][row * columns + column] = bad;
          const dirty = await plans(
            { data: data.input, shape: input.shape },
            { data: data.outputGradient, shape: input.shape },
          );
          checkSpoiled(tally, { clean, dirty, row, columns, spoiled, nan: Number.isNaN(bad) });
        }
      }
      await checkSpoiledRest(gpu, tally, { drawn, inverseRms, row, column });
    },
  }, options);
}

type Plans = Readonly<Record<string, readonly unknown[]>>;

function checkSpoiled(
  tally: Tally,
  { clean, dirty, row, columns, spoiled, nan }: {
    readonly clean: Plans;
    readonly dirty: Plans;
    readonly row: number;
    readonly columns: number;
    readonly spoiled: "input" | "outputGradient";
    readonly nan: boolean;
  },
): void {
  for (const [pass, runs] of Object.entries(dirty)) {
    const before = clean[pass]![1] as Record<string, Numbers>;
    for (const [name, { data }] of Object.entries(runs[1] as Record<string, Numbers>)) {
      if (name === "gainGradient" || name === "constantGradient") continue;
      const width = name === "inverseRms" ? 1 : columns;
      const own = (_: number, i: number) => Math.floor(i / width) === row;
      const what = `${pass}'s ${name} beside a spoiled ${spoiled}`;
      const others = before[name]!.data.filter((x, i) => !own(x, i));
      if (others.length > 0) {
        tally.sameBits(what, { actual: data.filter((x, i) => !own(x, i)), expected: others });
      }
      const reached = spoiled === "input" || pass.toLowerCase().includes("backward");
      if (nan && reached) {
        assert(data.filter(own).every((x) => Number.isNaN(x)), `${what}: the NaN did not arrive`);
      }
      tally.count(width);
    }
  }
}

// The inputs that are not rows: a NaN in gain, inverseRms or constant.
async function checkSpoiledRest(
  gpu: Gpu,
  tally: Tally,
  { drawn, inverseRms, row, column }: {
    readonly drawn: RmsNormCase;
    readonly inverseRms: Numbers;
    readonly row: number;
    readonly column: number;
  },
): Promise<void> {
  const { input, gain, outputGradient } = drawn;
  const columns = gain.data.length;
  const spoil = ({ data, shape }: Numbers, i: number): Numbers => ({
    data: data.map((x, at) => at === i ? NaN : x),
    shape,
  });
  const nans = (numbers: Numbers) =>
    toFloat32(toTwin(numbers)).data.map((x) => Number(Number.isNaN(x)));
  const spoiledGain = spoil(gain, column);
  const forward = await onGpu<RmsNormForwardOptions, RmsNormForwardResult>(gpu, rmsNormForward, {
    input,
    gain: spoiledGain,
  });
  tally.sameBits("NaNs of output", {
    actual: nans(forward.output),
    expected: input.data.map((_, i) => Number(i % columns === column)),
  });
  const backward = await onGpu<RmsNormBackwardOptions, RmsNormBackwardResult>(
    gpu,
    rmsNormBackward,
    { input, gain, inverseRms: spoil(inverseRms, row), outputGradient },
  );
  tally.sameBits("NaNs of inputGradient", {
    actual: nans(backward.inputGradient),
    expected: input.data.map((_, i) => Number(Math.floor(i / columns) === row)),
  });
  assert(backward.gainGradient.data.every((x) => Number.isNaN(x)), "gainGradient lost a NaN");
}

/**
 * More rows than one dimension of a dispatch holds (65,535): the last ones are computed as well, and as the twin does.
 *
 * @param gpu where; its own limit is used as it is
 */
export async function rmsNormTakesManyRows(gpu: Gpu): Promise<Report> {
  return await checkCases(gpu, {
    name: "RMSNorm of more than 65,535 rows",
    arbitrary: rmsNormDescription,
    examples: [{ rows: 65_535 + 1031, columns: 2, seed: 86, pattern: "normal", epsilon: 0.1 }],
    seed: 756,
    runs: 0,
    async check(description, tally) {
      const drawn = drawRmsNorm(description);
      const actual = await rmsNorm(gpu, drawn);
      const twin = { input: toTwin(drawn.input), gain: toTwin(drawn.gain) };
      const forward = reference.rmsNormForward({ ...twin, epsilon: drawn.epsilon });
      const backward = reference.rmsNormBackward({
        ...twin,
        inverseRms: forward.inverseRms,
        outputGradient: toTwin(drawn.outputGradient),
      });
      const bounds = {
        ...rmsNormForwardBounds({ ...drawn, epsilon: drawn.epsilon ?? 1e-5 }),
        ...backwardBounds(drawn, actual),
      };
      const expected = { ...forward, ...backward };
      for (const name of ["output", "inverseRms", "inputGradient", "gainGradient"] as const) {
        tally.within(name, {
          actual: actual[name].data,
          expected: expected[name].data,
          bound: bounds[name],
        });
      }
    },
  });
}
