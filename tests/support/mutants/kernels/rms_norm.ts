/** Mutants of RMSNorm's kernels, and of the parts that these share with other kernels. */
import type { Property } from "../../check_cases.ts";
import {
  rmsNormBackwardMatchesTwin,
  rmsNormForwardMatchesTwin,
} from "../../properties/rows/twin.ts";
import { rmsNormHoldsInRange } from "../../properties/rows/range.ts";
import { bounds, pinned, spread, spreadBounds, wrap } from "../catching.ts";
import { type Mutant, mutantsOf } from "../mutant.ts";

const normForward: Property = (gpu) => rmsNormForwardMatchesTwin(gpu, pinned);
const normBackward: Property = (gpu) => rmsNormBackwardMatchesTwin(gpu, pinned);
const range: Property = (gpu) => rmsNormHoldsInRange(gpu);

export const mutants: readonly Mutant[] = [
  ...mutantsOf("rms_norm/forward.wgsl", normForward, [
    [
      "a row too many is written",
      "row >= parameters.rows",
      "row > parameters.rows",
      { caughtBy: spreadBounds("rmsNorm") },
    ],
    ["the gain is forgotten", "gain[c] * (input", "(1.0 + 0.0 * gain[c]) * (input"],
    [
      "inverseRms is the root mean square",
      "inverseRms[row] = inverse;",
      "inverseRms[row] = 1.0 / inverse;",
    ],
    [
      "all but the first 64 squares are lost",
      "squares += input[first + c] * input[first + c];",
      "squares = select(squares, input[first + c] * input[first + c], c < LANES);",
    ],
    ["rows past the first dimension are lost", wrap, "workgroup.x", {
      caughtBy: spread("rmsNorm"),
    }],
  ]),
  ...mutantsOf("rms_norm/inverse.wgsl", normForward, [
    ["epsilon is dropped", " + parameters.epsilon * scale * scale", ""],
    ["epsilon is doubled", " + parameters.epsilon", " + 2.0 * parameters.epsilon"],
    ["the division by d is dropped", "sum / f32(parameters.columns)", "sum"],
    ["large squares overflow", "1.0, mean <= 1e38", "1.0, true", { caughtBy: range }],
    ["small squares are flushed", "mean < 7.888609e-31", "false", { caughtBy: range }],
    ["epsilon is not scaled", "epsilon * scale * scale", "epsilon", { caughtBy: range }],
    ["the inverse is not scaled back", "1.0 / root * scale", "1.0 / root", { caughtBy: range }],
    ["a subnormal inverse counts", "(scale != LARGE_ROW_SCALE) | (root <= 7.0368744e13)", "true", {
      caughtBy: range,
    }],
    ["the next row is scaled", "row * parameters.columns", "(row + 1u) * parameters.columns", {
      caughtBy: range,
    }],
  ]),
  ...mutantsOf("rms_norm/backward_input.wgsl", normBackward, [
    [
      "a row too many is written",
      "row >= parameters.rows",
      "row > parameters.rows",
      { caughtBy: spreadBounds("rmsNorm") },
    ],
    ["the gain is forgotten in u", "(gain[c] * outputGradient[i] -", "(outputGradient[i] -"],
    [
      "the gain is forgotten in ⟨u, x⟩",
      "gain[c] * outputGradient[first + c]",
      "outputGradient[first + c]",
    ],
    ["the radial term is dropped", " - mean * (input[i] * inverse)", ""],
    ["the division by d is dropped", ".x / f32(columns)", ".x"],
    ["inverseRms is missing once", "inverse * (gain", "(gain"],
    ["rows past the first dimension are lost", wrap, "workgroup.x", {
      caughtBy: spread("rmsNorm"),
    }],
  ]),
  ...mutantsOf("rms_norm/backward_gain.wgsl", normBackward, [
    ["the first row of a run is lost", "var row = first;", "var row = first + 1u;"],
    ["the last row of a run is lost", "row < end", "row + 1u < end"],
    [
      "inverseRms is forgotten",
      "(input[i] * inverseRms[row])",
      "(input[i] + 0.0 * inverseRms[row])",
    ],
    [
      "all runs write to the first one's place",
      "partialGain[workgroup.y * parameters.columns + column]",
      "partialGain[column]",
    ],
  ]),
  ...mutantsOf("rows/column_sums.wgsl", normBackward, [
    ["the first run is lost", "var row = 0u", "var row = 1u"],
    ["the last run is lost", "row < parameters.rows", "row + 1u < parameters.rows"],
    [
      "a run too many is read",
      "row < parameters.rows",
      "row <= parameters.rows",
      { caughtBy: bounds("rmsNorm") },
    ],
    [
      "a column too many is written",
      "column >= length",
      "column > length",
      { caughtBy: bounds("rmsNorm") },
    ],
  ]),
  ...mutantsOf("workgroup_sum.wgsl", normForward, [
    ["no barrier before the summands are read", "workgroupBarrier();", ""],
    ["the last summand is lost", "l < LANES", "l + 1u < LANES"],
    ["the first summand is lost", "var l = 0u", "var l = 1u"],
  ]),
];
