/** RMSNorm and V-scale on the GPU agree with the float64 twin on equal float32 inputs. */
import { rmsNormBackward, rmsNormForward, vScaleBackward, vScaleForward } from "../../../../mod.ts";
import * as reference from "../../../../src/reference/mod.ts";
import { toFloat32, toTwins } from "../../attention/cases.ts";
import { propertyOf } from "../../check_cases.ts";
import { onGpu } from "../../on_gpu.ts";
import {
  drawRmsNorm,
  drawVScale,
  type RmsNormDescription,
  rmsNormDescription,
  type VScaleDescription,
  vScaleDescription,
} from "../../rows/cases.ts";
import {
  rmsNormBackwardBounds,
  rmsNormForwardBounds,
  vScaleBackwardBounds,
  vScaleForwardBounds,
} from "../../rows/tolerance.ts";

const rmsNormExamples: readonly RmsNormDescription[] = [
  { rows: 37, columns: 131, seed: 31, pattern: "normal" },
  // Numbers so small that their squares are lost beside the default epsilon.
  { rows: 3, columns: 1, seed: 32, pattern: "tiny" },
  { rows: 5, columns: 70, seed: 33, pattern: "normal", epsilon: 0.5 },
  // More than 4,096 rows: gainGradient sums runs of more than 16 rows, and the last run is shorter.
  { rows: 4643, columns: 3, seed: 34, pattern: "normal" },
  { rows: 4, columns: 1000, seed: 35, pattern: "normal", epsilon: 0 },
  // These cases have whole tiles of rows and part of one. Rows of 6 columns start at an even index
  // in the data, rows of 5 at any index, rows of 12 at a multiple of 4.
  { rows: 1031, columns: 6, seed: 36, pattern: "normal" },
  { rows: 1031, columns: 5, seed: 37, pattern: "normal" },
  { rows: 531, columns: 12, seed: 38, pattern: "normal" },
];

export const rmsNormForwardMatchesTwin = propertyOf({
  name: "rmsNormForward vs twin",
  arbitrary: rmsNormDescription,
  examples: rmsNormExamples,
  seed: 711,
  runs: 40,
  async check(description, tally, gpu) {
    const drawn = drawRmsNorm(description);
    const { input, gain, epsilon = 1e-5 } = drawn;
    const actual = await onGpu(gpu, rmsNormForward, { input, gain, epsilon: drawn.epsilon });
    const expected = reference.rmsNormForward({ ...toTwins({ input, gain }), epsilon });
    const bounds = rmsNormForwardBounds({ ...drawn, epsilon });
    for (const name of ["output", "inverseRms"] as const) {
      const pair = { actual: actual[name].data, expected: expected[name].data };
      tally.within(`rmsNormForward's ${name}`, { ...pair, bound: bounds[name] });
      tally.normwise(`rmsNormForward's ${name} as promised`, { ...pair, limit: 2e-6 });
    }
  },
});

export const rmsNormBackwardMatchesTwin = propertyOf({
  name: "rmsNormBackward vs twin",
  arbitrary: rmsNormDescription,
  examples: rmsNormExamples,
  seed: 712,
  runs: 40,
  async check(description, tally, gpu) {
    const drawn = drawRmsNorm(description);
    const { input, gain, outputGradient, epsilon } = drawn;
    const forward = reference.rmsNormForward({ ...toTwins({ input, gain }), epsilon });
    const inverseRms = toFloat32(forward.inverseRms);
    const args = { input, gain, inverseRms, outputGradient };
    const actual = await onGpu(gpu, rmsNormBackward, args);
    const expected = reference.rmsNormBackward(toTwins(args));
    const bounds = rmsNormBackwardBounds({ ...drawn, inverseRms });
    for (const name of ["inputGradient", "gainGradient"] as const) {
      const pair = { actual: actual[name].data, expected: expected[name].data };
      tally.within(`rmsNormBackward's ${name}`, { ...pair, bound: bounds[name] });
      // With one or two columns and a tiny epsilon, the terms of the gradient can cancel almost
      // completely, so a relative error means nothing.
      if (description.columns > 2) {
        tally.normwise(`rmsNormBackward's ${name} as promised`, { ...pair, limit: 1e-5 });
      }
    }
  },
});

const vScaleExamples: readonly VScaleDescription[] = [
  { batch: 2, heads: 3, length: 67, columns: 12, seed: 41, pattern: "normal", constant: 1 },
  { batch: 2, heads: 2, length: 200, columns: 3, seed: 42, pattern: "normal", constant: 1 / 3 },
];

export const vScaleForwardMatchesTwin = propertyOf({
  name: "vScaleForward vs twin",
  arbitrary: vScaleDescription,
  examples: vScaleExamples,
  seed: 721,
  runs: 40,
  async check(description, tally, gpu) {
    const { value, constant } = drawVScale(description);
    const actual = await onGpu(gpu, vScaleForward, { value, constant });
    const expected = reference.vScaleForward(toTwins({ value, constant }));
    const pair = { actual: actual.scaledValue.data, expected: expected.scaledValue.data };
    tally.within("vScaleForward", { ...pair, bound: vScaleForwardBounds(value, constant) });
    tally.normwise("vScaleForward as promised", { ...pair, limit: 2e-6 });
  },
});

export const vScaleBackwardMatchesTwin = propertyOf({
  name: "vScaleBackward vs twin",
  arbitrary: vScaleDescription,
  examples: vScaleExamples,
  seed: 722,
  runs: 40,
  async check(description, tally, gpu) {
    const drawn = drawVScale(description);
    const { value, constant, scaledValueGradient } = drawn;
    const actual = await onGpu(gpu, vScaleBackward, drawn);
    const expected = reference.vScaleBackward(toTwins({ value, constant, scaledValueGradient }));
    const bounds = vScaleBackwardBounds({
      value,
      constant,
      gradient: scaledValueGradient.data,
      gradientError: new Float64Array(value.data.length),
      chain: description.columns,
    });
    const names = ["valueGradient", "constantGradient"] as const;
    tally.eachWithin("vScaleBackward's ", names, { actual, expected, bounds });
    tally.normwise("vScaleBackward's valueGradient as promised", {
      actual: actual.valueGradient.data,
      expected: expected.valueGradient.data,
      limit: 1e-5,
    });
  },
});
