/** Mutants of attention's forward kernel, and of the parts that it shares with other kernels. */
import {
  attentionForwardIsCausal,
  vScaleLeavesTheWeightsAlone,
} from "../../properties/attention/bits.ts";
import { attentionForwardPassesNonFinite } from "../../properties/attention/non_finite.ts";
import type { Property } from "../../check_cases.ts";
import { attentionForward as forward, pinned } from "../catching.ts";
import { type Mutant, mutantsOf } from "../mutant.ts";

const forwardCausal: Property = (gpu) => attentionForwardIsCausal(gpu, pinned);
const forwardNonFinite: Property = (gpu) => attentionForwardPassesNonFinite(gpu, pinned);
const weightsAlone: Property = (gpu) => vScaleLeavesTheWeightsAlone(gpu, pinned);

export const mutants: readonly Mutant[] = [
  ...mutantsOf("attention/forward.wgsl", forward, [
    [
      "the mask lets the next key in",
      "position >= vec4u(keyPosition[k])",
      "position + 1u >= vec4u(keyPosition[k])",
      { times: 2 },
    ],
    [
      "the mask hides a row's own key",
      "position >= vec4u(keyPosition[k])",
      "position > vec4u(keyPosition[k])",
      { thorough: true, times: 2 },
    ],
    [
      "the maximum looks one key ahead",
      "scores[k], position >= vec4u",
      "scores[k], position + 1u >= vec4u",
      { caughtBy: forwardCausal },
    ],
    ["a row's own value is lost", "i >= k)", "i > k)", { thorough: true }],
    [
      "masked values are multiplied by zero",
      "i >= k)",
      "i + 3u >= k)",
      { caughtBy: forwardNonFinite },
    ],
    ["the scale is dropped", "parameters.scale * scores[k]", "scores[k]"],
    [
      "the scale is applied twice",
      "parameters.scale * scores[k]",
      "parameters.scale * parameters.scale * scores[k]",
      { thorough: true },
    ],
    [
      "the logits are 5 % too large",
      "parameters.scale * scores[k]",
      "1.05 * parameters.scale * scores[k]",
      { thorough: true },
    ],
    [
      "no barrier between writing and reading the tile's maxima",
      "= tileMaximum;\n    workgroupBarrier();",
      "= tileMaximum;",
    ],
    [
      "no barrier between writing and reading the weights",
      "= factor * weight;\n    }\n    workgroupBarrier();",
      "= factor * weight;\n    }",
    ],
    [
      "no barrier between writing and reading the sums",
      "= runningSum;\n  workgroupBarrier();",
      "= runningSum;",
    ],
    [
      "queries take the wrong key head of their group",
      "workgroup.y / groupSize",
      "workgroup.y % parameters.keyValueHeads",
    ],
    [
      "the batch stride of keys is that of queries",
      "workgroup.z * parameters.keyValueHeads",
      "workgroup.z * parameters.queryHeads",
      { thorough: true },
    ],
    ["all batches read the first one's keys", "workgroup.z * parameters.keyValueHeads + ", "", {
      thorough: true,
    }],
    ["the output is not corrected for a new maximum", "sum[i] *= correction[i];", ""],
    ["the sum is not corrected for a new maximum", "runningSum *= correction;", ""],
    [
      "each tile has a maximum of its own",
      "var newMaximum = runningMaximum;",
      "var newMaximum = vec4f(MASKED);",
      { thorough: true },
    ],
    ["logSumExp lacks the maximum", "runningMaximum[i] + logarithm", "logarithm", {
      thorough: true,
    }],
    ["logSumExp is in base 2", "log(denominator)", "log2(denominator)"],
    [
      "weights are in base 2",
      "exponential(scores[k] - newMaximum)",
      "exponential2(scores[k] - newMaximum)",
      { thorough: true },
    ],
    ["a last partial tile is not written", "position[i] < length", "position[i] < (length & ~31u)"],
    ["a row too many is written", "position[i] < length", "position[i] <= length"],
    ["the last vec4f column is dropped", "c < vectors) {", "c + 1u < vectors) {", { times: 2 }],
    ["the tile on the diagonal is skipped", "keyTile <= queryTile", "keyTile < queryTile", {
      thorough: true,
    }],
    ["the first tile is skipped", "var keyTile = 0u", "var keyTile = min(1u, queryTile)", {
      thorough: true,
    }],
    ["blocks on the diagonal are not computed", "y <= x", "y < x", { thorough: true }],
    [
      "a block is added up once more",
      "select(TILE, 4u * x, diagonal)",
      "select(TILE, 4u * x + 1u, diagonal)",
      { thorough: true },
    ],
    ["V-scale's factor is forgotten", "= factor * weight;", "= weight;", { thorough: true }],
    [
      "V-scale acts on the forward in mode backward-only",
      "parameters.vScale == V_SCALE_FULL",
      "parameters.vScale != 0u",
      { caughtBy: weightsAlone },
    ],
    [
      "weights are rounded to the digits of float16",
      "= factor * weight;",
      "= bitcast<vec4f>(bitcast<vec4u>(factor * weight) & vec4u(0xffffe000u));",
    ],
    [
      "the output is 0.01 % too large",
      "running[n][i] / denominator[i]",
      "1.0001 * running[n][i] / denominator[i]",
    ],
  ]),
  ...mutantsOf("attention/tile.wgsl", forward, [
    ["V-scale's factor lacks r below", "valve.x / (valve.x + valve.y)", "valve.x / valve.y"],
    [
      "V-scale's factor is its complement",
      "valve.x / (valve.x + valve.y)",
      "valve.y / (valve.x + valve.y)",
    ],
    [
      "the columns that fill no lane are dropped",
      "(parameters.vectors + LANES - 1u) / LANES",
      "max(1u, parameters.vectors / LANES)",
    ],
  ]),
  ...mutantsOf("not_a_number.wgsl", forwardNonFinite, [
    ["a NaN becomes zero", "argument, isNotANumber", "vec4f(0.0), isNotANumber"],
    ["numbers beyond 2 count as NaN", "vec4u(0x7f800000u)", "vec4u(0x40000000u)", {
      caughtBy: forward,
    }],
    ["negative numbers count as NaN", "& vec4u(0x7fffffffu)", "& vec4u(0xffffffffu)", {
      caughtBy: forward,
    }],
    ["exp is exp2", "passNotANumber(exp(x), x)", "passNotANumber(exp2(x), x)", {
      caughtBy: forward,
    }],
  ]),
];
