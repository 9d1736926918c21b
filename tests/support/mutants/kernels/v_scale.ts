/** Mutants of V-scale's kernels, alone and within attention. */
import type { Property } from "../../check_cases.ts";
import { vScaleBackwardMatchesTwin, vScaleForwardMatchesTwin } from "../../properties/rows/twin.ts";
import { vScaleHoldsInRange } from "../../properties/rows/v_scale_range.ts";
import { attentionForward as forward, bounds, pinned, spread, wrap } from "../catching.ts";
import { type Mutant, mutantsOf } from "../mutant.ts";

const valveForward: Property = (gpu) => vScaleForwardMatchesTwin(gpu, pinned);
const valveBackward: Property = (gpu) => vScaleBackwardMatchesTwin(gpu, pinned);
const range: Property = (gpu) => vScaleHoldsInRange(gpu);
const head = "row / parameters.sequenceLength % parameters.keyValueHeads";

export const mutants: readonly Mutant[] = [
  ...mutantsOf("v_scale/forward.wgsl", valveForward, [
    ["C is forgotten", "squaredNorm + c *", "squaredNorm + 0.0 * c *"],
    ["all heads have the first one's constant", head, "0u"],
    ["the batch is not taken out of the head", head, "row / parameters.sequenceLength"],
    [
      "the norm is not squared",
      "squaredNorm / sum;",
      "sqrt(squaredNorm) / (sqrt(squaredNorm) + headConstant);",
    ],
    ["rows past the first dimension are lost", wrap, "workgroup.x", { caughtBy: spread("vScale") }],
  ]),
  ...mutantsOf("v_scale/forward.wgsl", range, [
    ["large squares overflow", "(small | !(sum <= 1.2676506e30))", "small"],
    ["small squares are flushed", "(small | !(sum", "(!(sum"],
    ["C is not scaled", "c * scale * scale", "c"],
    ["a small row's C is wrong", "min(headConstant, 2.0)", "1e-30"],
    ["a large C flushes the row", "8.271806e-25, 9.313226e-10", "8.271806e-25, 8.271806e-25"],
    ["a large row overflows again", "8.271806e-25, 9.313226e-10", "9.313226e-10, 9.313226e-10"],
  ]),
  ...mutantsOf("v_scale/backward.wgsl", valveBackward, [
    [
      "a row too many is written",
      "row < parameters.rows",
      "row <= parameters.rows",
      { caughtBy: bounds("vScale") },
    ],
    ["the eigenvalue term is dropped", " +\n      along * (value[first + i] * scale)", ""],
    ["the factor 2 is dropped", "2.0 * (c / sum)", "(c / sum)"],
    ["C stands for r + C", "(c / sum) / sum", "(c / sum) / c"],
    ["r stands for C", "(c / sum)", "(squaredNorm / sum)"],
    ["the constant's gradient has the wrong sign", "term = -(factor", "term = (factor"],
    [
      "the last element of a row is lost",
      "products += v * scaledValueGradient[first + i];",
      "products += select(Element(), v * scaledValueGradient[first + i], i + 1u < length);",
    ],
    ["rows past the first dimension are lost", wrap, "workgroup.x", { caughtBy: spread("vScale") }],
  ]),
  ...mutantsOf("v_scale/backward.wgsl", range, [
    ["every row is usual", "(usual & (turn", "((turn"],
    ["C is not scaled", "headConstant * scale * scale", "headConstant"],
    ["C is not scaled in the share", "(root * lastScale) * (root * lastScale)", "headConstant"],
    ["the row alone decides", "38), root))", "38), 0.0))"],
    ["small squares are flushed", "notSmall, 1.2676506e30, squ", "notSmall, 1.0, squ"],
    ["large squares overflow", "select(8.271806e-25, 1.0", "select(1.0, 1.0"],
    [
      "a norm that overflows has no scale",
      "min(scaledNorm / scale, 1.7014118e38)",
      "scaledNorm / scale",
    ],
    ["the share is the factor", "factor = select(share, ", "factor = select(share * share, "],
    ["v is not scaled", "(value[first + i] * scale)", "value[first + i]"],
    ["the term of dC is not scaled back", "select(product, share * scale", "select(product, share"],
    ["a small product is multiplied first", "abs(product) >= 1.0", "true"],
    ["a large product is multiplied last", "abs(product) >= 1.0", "false"],
  ]),
  ...mutantsOf("v_scale/lanes_single.wgsl", valveForward, [
    ["every second row is left out", "LANES_PER_ROW: u32 = 1u", "LANES_PER_ROW: u32 = 2u"],
    ["half the sum is lost", "return summand;", "return 0.5 * summand;"],
  ]),
  ...mutantsOf("v_scale/constant_gradient.wgsl", valveBackward, [
    ["batches but the first are lost", "b < parameters.batches", "b < 1u"],
    [
      "a batch too many is read",
      "b < parameters.batches",
      "b <= parameters.batches",
      { caughtBy: bounds("vScale") },
    ],
    [
      "positions but the first 64 are lost",
      "s < parameters.sequenceLength",
      "s < min(64u, parameters.sequenceLength)",
    ],
    ["the head stride is missing", "(b * parameters.keyValueHeads + head)", "(b + head)"],
  ]),
  ...mutantsOf("v_scale/squared_norm.wgsl", forward, [
    [
      "a row too many is written",
      "row >= parameters.rows",
      "row > parameters.rows",
      { caughtBy: bounds("attention") },
    ],
    ["the head's constant is the first one's", head, "0u"],
    ["the last element of a row is lost", "c < parameters.columns", "c + 1u < parameters.columns", {
      times: 2,
    }],
    ["the norm is not squared", "orNotANumber(squaredNorm,", "orNotANumber(sqrt(squaredNorm),"],
    ["rows past the first dimension are lost", wrap, "workgroup.x", {
      caughtBy: spread("attention"),
    }],
  ]),
];
