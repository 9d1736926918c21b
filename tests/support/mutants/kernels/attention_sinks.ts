/**
 * Mutants of attention's kernels for learned sinks, for a gradient of logSumExp, and for `precise`.
 */
import {
  attentionWithSinksMatchesTwin,
  sinksHaveLimits,
  sinksStayInTheirHeads,
} from "../../properties/attention/sinks.ts";
import {
  preciseBackwardKeepsFourDigits,
  preciseBackwardMatchesTwin,
} from "../../properties/attention/precise.ts";
import type { Property } from "../../check_cases.ts";
import { attentionForward as forward, pinned } from "../catching.ts";
import { type Mutant, mutantsOf } from "../mutant.ts";

const sinks: Property = (gpu) => attentionWithSinksMatchesTwin(gpu, pinned);
const limits: Property = (gpu) => sinksHaveLimits(gpu, pinned);
const heads: Property = (gpu) => sinksStayInTheirHeads(gpu, pinned);

const precise: Property = (gpu) => preciseBackwardMatchesTwin(gpu, pinned);
const digits: Property = (gpu) => preciseBackwardKeepsFourDigits(gpu, pinned);

export const mutants: readonly Mutant[] = [
  ...mutantsOf("attention/sink/forward.wgsl", sinks, [
    ["the sink has no weight", "select(0x3f800000u, 0x7fc00000u, isLost)", "0u"],
    ["the sink counts twice", "select(0x3f800000u, ", "select(0x40000000u, ", { thorough: true }],
    ["the sink is 0 for all heads", "clamp(sinkLogit[head], -LARGEST, LARGEST)", "0.0", {
      thorough: true,
    }],
    [
      "all heads have the first sink",
      "clamp(sinkLogit[head], -LARGEST,",
      "clamp(sinkLogit[0], -LARGEST,",
      { thorough: true },
    ],
    ["negative sinks are 0", "-LARGEST, LARGEST)", "0.0, LARGEST)", { thorough: true }],
    ["sinks end at 1e30", "-LARGEST, LARGEST)", "-1e30, 1e30)", {
      caughtBy: limits,
      thorough: true,
    }],
    ["NaN is a sink of weight 1", "0x7fc00000u, isLost", "0x7fc00000u, false", {
      caughtBy: heads,
    }],
    ["+Infinity is a sink of weight 1", "bits == 0x7f800000u || ", "", {
      caughtBy: heads,
      thorough: true,
    }],
    ["-Infinity is NaN", "bits == 0x7f800000u ||", "(bits & 0x7fffffffu) == 0x7f800000u ||", {
      caughtBy: limits,
      thorough: true,
    }],
  ]),
  ...mutantsOf("attention/sink/none.wgsl", forward, [
    // No mutant changes the sum's initial value, because no property could tell: the first key's
    // correction multiplies this value by 0.
    ["the maximum begins above all logits", "return -3.4e38;", "return 1e5;"],
  ]),
  ...mutantsOf("attention/sink/backward.wgsl", sinks, [
    ["the gradient has the wrong sign", "sum -= exp", "sum += exp"],
    ["the share is forgotten", "exponential(vec4f(sink - statistics.x)).x * ", ""],
    ["all heads have the first sink", "sinkLogit[head]", "sinkLogit[0]"],
    ["only the first sequence counts", "b < parameters.batches", "b < 1u"],
    ["the batch is ignored", "(b * parameters.queryHeads + head)", "head"],
    [
      "all but the first 64 rows are lost",
      "t < parameters.sequenceLength",
      "t < min(parameters.sequenceLength, LANES)",
    ],
    ["the share is in base 2", "exponential(vec4f", "exponential2(vec4f"],
    ["only an invocation's last row counts", "sum -= exp", "sum = -exp"],
  ]),
  ...mutantsOf("attention/sink/stored_row.wgsl", sinks, [
    ["all rows have the first one's statistics", "rowStatistics[row]", "rowStatistics[0]"],
  ]),
  ...mutantsOf("attention/sink/new_row.wgsl", sinks, [
    ["the gradient of logSumExp is added to D", "statistics.y -= logSum", "statistics.y += logSum"],
    ["the gradient of logSumExp is forgotten", "Gradient == 1u", "Gradient == 2u"],
    ["logSumExp counts as its own gradient", "Gradient == 1u", "Gradient <= 1u"],
    ["all rows have the first gradient", "logSumExpGradient[row]", "logSumExpGradient[0]"],
    [
      "the statistics lack the gradient of logSumExp",
      "= statistics;",
      "= vec2f(statistics.x, rowProduct(row, parameters.vectors));",
    ],
    [
      "D lacks the last vec4f",
      "rowProduct(row, parameters.vectors)",
      "rowProduct(row, parameters.vectors - 1u)",
    ],
  ]),
  ...mutantsOf("attention/backward_log_sum_exp.wgsl", sinks, [
    ["the gradient is added to D", "-= logSumExpGradient", "+= logSumExpGradient"],
    ["all rows have the first gradient", "logSumExpGradient[row]", "logSumExpGradient[0]"],
    [
      "a last partial workgroup is left out",
      "row < parameters.rows",
      "row < (parameters.rows & ~63u)",
    ],
  ]),
  ...mutantsOf("attention/precise/shift.wgsl", precise, [
    ["another value is taken", "+ parameters.position", "+ 0u", { thorough: true }],
    ["nothing is taken", "- factorOf(reference) * taken", "", { caughtBy: digits }],
    ["all heads lose the first head's value", "row - row % parameters.sequenceLength +", "", {
      caughtBy: digits,
    }],
    ["V-scale's factor is forgotten", "return v.x / (v.x + v.y);", "return 1.0;"],
    ["the value that is taken has the row's factor", "factorOf(reference)", "factorOf(row)"],
    [
      "a last partial workgroup is left out",
      "i >= parameters.count",
      "i >= (parameters.count & ~63u)",
    ],
  ]),
  ...mutantsOf("attention/precise/sink.wgsl", precise, [
    ["what the sink takes is forgotten", "share * factor * dot(products, vec4f(1.0))", "0.0"],
    ["the sink takes all", "share * factor", "factor"],
    ["V-scale's factor is forgotten", "share * factor", "share"],
    [
      "the gradient of logSumExp is forgotten",
      "+= logSumExpGradient[row]",
      "+= 0.0 * logSumExpGradient[row]",
    ],
    ["all heads have the first sink", "sinkLogit[head % parameters.queryHeads]", "sinkLogit[0]"],
    ["queries take the first key head", "(head / groupSize) * parameters.sequenceLength", "0u"],
    ["the position is ignored", "+ parameters.position", "+ 0u"],
    ["the last vec4f column is dropped", "c < parameters.vectors", "c + 1u < parameters.vectors"],
  ]),
];
