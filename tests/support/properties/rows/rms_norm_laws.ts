/** Laws of RMSNorm on the GPU: identities, bounds, scaling, and as many rows as there may be. */
import type { Gpu } from "../../../../mod.ts";
import * as reference from "../../../../src/reference/mod.ts";
import { toTwin } from "../../attention/cases.ts";
import { checkCases, type PropertyOptions } from "../../check_cases.ts";
import type { Report } from "../../report.ts";
import { drawRmsNorm, type RmsNormDescription, rmsNormDescription } from "../../rows/cases.ts";
import * as identities from "../../rows/identities.ts";
import { rmsNormForwardBounds } from "../../rows/tolerance.ts";
import { U } from "../../tolerance.ts";
import { exactBackwardBounds, type RmsNorm, rmsNorm } from "./passes.ts";

const rmsNormExamples: readonly RmsNormDescription[] = [
  { rows: 35, columns: 70, seed: 81, pattern: "normal", epsilon: 0 },
  { rows: 3, columns: 5, seed: 82, pattern: "normal", epsilon: 0.3 },
];

/** Of moderate size: the Jacobian is a dense matrix here. */
const smallRmsNorm = rmsNormDescription.filter(({ columns }) => columns >= 2 && columns <= 130);

/**
 * N1 to N4 for the GPU's gradients; tolerance: the chains of the row sums, as in rows/tolerance.ts.
 */
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
      // Half a chain for inverseRms, thrice but never all at full size, one for the mean, and
      // single operations.
      const tolerance = (2 * (columns / 64 + Math.min(columns, 64)) + 40) * U;
      const largest = [...drawn.gain.data].reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const target = largest * Math.sqrt(columns) / 2;
      const equalities = {
        "N1 Jacobian": identities.rmsNormIsItsJacobian(numbers),
        "N2 bound": identities.rmsNormBound(numbers),
        "N4 radial": identities.rmsNormRadialGradient(numbers),
      };
      for (const [what, violation] of Object.entries(equalities)) {
        tally.holds(what, { violation, tolerance });
      }
      const met = identities.rmsNormMeetsTarget(numbers, { target });
      if (met.compared > 0) tally.holds("N3 target", { violation: met, tolerance });
    },
  }, options);
}

/**
 * With ε = 0, RMSNorm(c x) = RMSNorm(x), inverseRms(c x) = inverseRms(x)/c and the gradient by c x
 * is that by x over c, for any c > 0: x has 12 significant bits and c few, so that c x is exact,
 * and each side is allowed its own bounds.
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
          { ...rmsNormForwardBounds(drawn), ...exactBackwardBounds(drawn, before) },
          { ...rmsNormForwardBounds(scaled), ...exactBackwardBounds(scaled, after) },
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

/**
 * More rows than one dimension of a dispatch holds (65,535): the last ones are computed as well,
 * and as the twin does.
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
        ...exactBackwardBounds(drawn, actual),
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
