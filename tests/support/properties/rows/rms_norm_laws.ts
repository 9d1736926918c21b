/** Laws of RMSNorm on the GPU: identities, bounds, scaling, and very many rows. */
import * as reference from "../../../../src/reference/mod.ts";
import { toTwins } from "../../attention/cases.ts";
import { propertyOf } from "../../check_cases.ts";
import { drawRmsNorm, type RmsNormDescription, rmsNormDescription } from "../../rows/cases.ts";
import * as identities from "../../rows/identities.ts";
import { rmsNormForwardBounds } from "../../rows/tolerance.ts";
import { U } from "../../tolerance.ts";
import { exactBackwardBounds, rmsNorm } from "./passes.ts";

const rmsNormExamples: readonly RmsNormDescription[] = [
  { rows: 35, columns: 70, seed: 81, pattern: "normal", epsilon: 0 },
  { rows: 3, columns: 5, seed: 82, pattern: "normal", epsilon: 0.3 },
];

/** Small rows, because the Jacobian is a dense matrix here. */
const smallRmsNorm = rmsNormDescription.filter(({ columns }) => columns >= 2 && columns <= 130);

/**
 * RMSNorm's identities and bounds N1 to N4 hold for the GPU's gradients. The tolerance covers the
 * chains of additions in the row sums, as in ../../rows/tolerance.ts.
 */
export const rmsNormObeysItsIdentities = propertyOf({
  name: "RMSNorm's identities and bounds",
  arbitrary: smallRmsNorm,
  examples: rmsNormExamples,
  seed: 751,
  runs: 12,
  async check(description, tally, gpu) {
    const { columns } = description;
    const drawn = drawRmsNorm(description);
    const epsilon = drawn.epsilon ?? 1e-5;
    const numbers = { ...drawn, ...await rmsNorm(gpu, drawn), epsilon };
    // The tolerance allows one chain of additions for the mean, one for inverseRms, and single
    // operations. A square root halves relative errors, so each use of inverseRms has only half of
    // its chain's error.
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
});

/**
 * With ε = 0 and any c > 0: RMSNorm(c x) = RMSNorm(x), inverseRms(c x) = inverseRms(x) / c,
 * inputGradient at c x is inputGradient at x, divided by c, and gainGradient stays. x is a multiple
 * of 1/1024 with about 13 significant bits, c has at most 2, so c x is exact. The tolerance adds
 * the error bounds of the results at x and at c x.
 */
export const rmsNormScales = propertyOf({
  name: "RMSNorm's scaling laws",
  arbitrary: rmsNormDescription.filter(({ pattern }) => pattern === "normal"),
  examples: rmsNormExamples,
  seed: 752,
  runs: 8,
  async check(description, tally, gpu) {
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
      for (const own of Object.keys(factors) as (keyof typeof factors)[]) {
        const factor = factors[own];
        tally.within(`${own} of ${c} x`, {
          actual: after[own].data,
          expected: Float64Array.from(before[own].data, (x) => factor * x),
          bound: bounds[1][own].map((bound, i) => bound + factor * bounds[0][own][i]!),
        });
      }
    }
  },
});

/**
 * All rows agree with the twin even if there are more rows than one dimension of a dispatch holds,
 * 65,535.
 */
export const rmsNormTakesManyRows = propertyOf({
  name: "RMSNorm of more than 65,535 rows",
  arbitrary: rmsNormDescription,
  examples: [{ rows: 65_535 + 1031, columns: 2, seed: 86, pattern: "normal", epsilon: 0.1 }],
  seed: 756,
  runs: 0,
  async check(description, tally, gpu) {
    const drawn = drawRmsNorm(description);
    const { input, gain, outputGradient, epsilon } = drawn;
    const actual = await rmsNorm(gpu, drawn);
    const twin = toTwins({ input, gain, outputGradient });
    const forward = reference.rmsNormForward({ ...twin, epsilon });
    const { inverseRms } = forward;
    const expected = { ...forward, ...reference.rmsNormBackward({ ...twin, inverseRms }) };
    const bounds = {
      ...rmsNormForwardBounds({ ...drawn, epsilon: epsilon ?? 1e-5 }),
      ...exactBackwardBounds(drawn, actual),
    };
    const names = ["output", "inverseRms", "inputGradient", "gainGradient"] as const;
    tally.eachWithin("", names, { actual, expected, bounds });
  },
});
