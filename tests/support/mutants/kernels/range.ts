/** Mutants of kernels at the ends of float32's range. */
import type { Property } from "../../check_cases.ts";
import {
  adamWHoldsInRange,
  adamWStops,
  fakeQuantizeHoldsInRange,
  gradientNormHoldsInRange,
} from "../../properties/model/range.ts";
import { type Mutant, mutantsOf } from "../mutant.ts";

const norm: Property = (gpu) => gradientNormHoldsInRange(gpu);
const stops: Property = (gpu) => adamWStops(gpu);
const adamW: Property = (gpu) => adamWHoldsInRange(gpu);
const quantize: Property = (gpu) => fakeQuantizeHoldsInRange(gpu);

export const mutants: readonly Mutant[] = [
  ...mutantsOf("range.wgsl", norm, [
    ["nothing is found to be infinite", "== 0x7f800000u", "> 0x7f800000u", { caughtBy: stops }],
    ["nothing is scaled", "(255u - max(exponent, 1u)) << 23u", "0x3f800000u"],
    ["scaled the other way", "255u - max(exponent, 1u)", "max(exponent, 1u)"],
    ["what does not hold is no NaN", "bitcast<u32>(x), holds", "bitcast<u32>(x), true"],
  ]),
  ...mutantsOf("arithmetic/sum_squares.wgsl", norm, [
    ["large squares overflow", " && squares < 1.329228e36", ""],
    ["small squares are flushed", "squares > 8.271806e-25 && ", ""],
    ["the scale is forgotten", "vec2f(squares, scale)", "vec2f(squares, 1.0)"],
  ]),
  ...mutantsOf("arithmetic/norm.wgsl", norm, [
    ["scales are left out", "totals.y != 0.0 || ", ""],
    ["ratios are not squared", " * ratio * ratio", " * ratio"],
    ["runs of zeros have a say", "partial[i].x != 0.0", "true"],
    ["a factor that is flushed counts", " && factor >= 1.1754944e-38", ""],
  ]),
  ...mutantsOf("arithmetic/adamw.wgsl", stops, [
    ["no norm stops a step", " || isNotFinite(clipping[0]) || isNotFinite(clipping[1])", ""],
    ["a factor of NaN stops nothing", " || isNotFinite(clipping[1])", ""],
    ["a lost square keeps p", "- rate * update, v)", "- rate * update, p)", { caughtBy: adamW }],
  ]),
  ...mutantsOf("arithmetic/quantized.wgsl", quantize, [
    ["small numbers have a subnormal scale", "maximum < 8.6736174e-19", "false"],
    ["the largest numbers overflow", "maximum > 8.507059e37", "false"],
    ["a NaN is rounded", "x, isNotANumber)", "x, false)"],
    ["a step is too large by a few bits", "maximum * 0.0078125", "maximum * 0.00781255"],
    ["nothing is rounded", "round(x * steps.up / steps.divisor)", "x * steps.up / steps.divisor"],
    [
      "rounded to half steps",
      "round(x * steps.up / steps.divisor)",
      "0.5 * round(2.0 * x * steps.up / steps.divisor)",
    ],
  ]),
  ...mutantsOf("arithmetic/fake_quantize.wgsl", quantize, [
    ["a negative maximum counts", "maximum[0] >= 0.0)", "true)"],
  ]),
];
