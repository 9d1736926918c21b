/** Mutants of attention's backward kernels. */
import { attentionBackwardIsCausal } from "../../properties/attention/bits.ts";
import { attentionBackwardPassesNonFinite } from "../../properties/attention/non_finite.ts";
import type { Property } from "../../check_cases.ts";
import { attentionBackward as backward, pinned, spread, wrap } from "../catching.ts";
import { type Mutant, mutantsOf } from "../mutant.ts";

const backwardCausal: Property = (gpu) => attentionBackwardIsCausal(gpu, pinned);
const backwardNonFinite: Property = (gpu) => attentionBackwardPassesNonFinite(gpu, pinned);

export const mutants: readonly Mutant[] = [
  ...mutantsOf("attention/backward_row.wgsl", backward, [
    [
      "logSumExp and D change places",
      "vec2f(logSumExp[row], rowProduct(row, parameters.vectors))",
      "vec2f(rowProduct(row, parameters.vectors), logSumExp[row])",
    ],
    ["rows past the first dimension are lost", wrap, "workgroup.x", {
      caughtBy: spread("attention"),
    }],
  ]),
  ...mutantsOf("attention/row_product.wgsl", backward, [
    ["D is zero", "return product.x", "return 0.0"],
    ["D lacks the first vec4f", "var c = 0u", "var c = 1u"],
    ["D is 1 % too large", "return product.x", "return 1.01 * product.x"],
  ]),
  ...mutantsOf("attention/backward_query.wgsl", backward, [
    ["D is omitted", "weightGradients[k] - rowDot", "weightGradients[k]"],
    [
      "the scale of the gradient is dropped",
      "= parameters.scale * running[n][i]",
      "= running[n][i]",
      { thorough: true },
    ],
    ["the scale of the logits is dropped", "parameters.scale * scores[k]", "scores[k]", {
      thorough: true,
    }],
    ["logSumExp is omitted", "scores[k] - logSumExp)", "scores[k])", { thorough: true }],
    [
      "no barrier before the gradients of the logits are read",
      "    }\n    workgroupBarrier();\n\n    for (var n",
      "    }\n\n    for (var n",
    ],
    [
      "no barrier after the gradients of the logits are read",
      "    }\n    workgroupBarrier();\n  }\n",
      "    }\n  }\n",
    ],
    ["a row does not see its own key", "i >= j)", "i > j)"],
    ["masked keys are multiplied", "i >= j)", "i + 3u >= j)", { caughtBy: backwardCausal }],
    [
      "queries take the wrong key head of their group",
      "workgroup.y / groupSize",
      "workgroup.y % parameters.keyValueHeads",
    ],
    ["the tile on the diagonal is skipped", "keyTile <= queryTile", "keyTile < queryTile", {
      thorough: true,
    }],
    ["V-scale's factor is forgotten", "(factor * weightGradients[k]", "(weightGradients[k]", {
      thorough: true,
    }],
    [
      "V-scale acts on the logits in mode backward-only",
      "parameters.vScale == V_SCALE_FULL",
      "parameters.vScale != 0u",
    ],
    ["the last vec4f column is dropped", "c < vectors) {", "c + 1u < vectors) {", {
      thorough: true,
      times: 2,
    }],
    [
      "a last partial tile is not written",
      "position[i] < length",
      "position[i] < (length & ~31u)",
      { thorough: true },
    ],
  ]),
  ...mutantsOf("attention/backward_key_value.wgsl", backward, [
    ["D is omitted", "weightGradients[k] - vec4f(statistics.y)", "weightGradients[k]"],
    [
      "the scale of the gradient is applied twice",
      "= parameters.scale * running",
      "= parameters.scale * parameters.scale * running",
      { thorough: true },
    ],
    ["logSumExp is omitted", "scores[k] - vec4f(statistics.x)", "scores[k]", { thorough: true }],
    [
      "no barrier before weights are read",
      "      }\n      workgroupBarrier();\n\n      let tileStart",
      "      }\n\n      let tileStart",
    ],
    [
      "no barrier after weights are read",
      "      }\n      workgroupBarrier();\n    }\n  }\n",
      "      }\n    }\n  }\n",
    ],
    ["no barrier before V-scale's products are read", "\n    workgroupBarrier();", "\n    "],
    ["the second query head of a group is lost", "member < groupSize", "member < 1u"],
    [
      "the query heads of a group overlap",
      "workgroup.y * groupSize + member",
      "workgroup.y + member",
      { thorough: true },
    ],
    [
      "the batch stride of queries is that of keys",
      "workgroup.z * parameters.queryHeads",
      "workgroup.z * parameters.keyValueHeads",
      { thorough: true },
    ],
    ["a key does not see its own query", "4u * x + i <= j", "4u * x + i < j", { thorough: true }],
    [
      "masked queries are multiplied",
      "4u * x + i <= j",
      "4u * x + i <= j + 3u",
      { caughtBy: backwardNonFinite },
    ],
    ["queries past the end count", "min(TILE, length - tileStart)", "TILE", { thorough: true }],
    ["the tile on the diagonal is skipped", "queryTile = keyTile;", "queryTile = keyTile + 1u;", {
      thorough: true,
    }],
    ["blocks on the diagonal are not computed", "y >= x", "y > x", { thorough: true }],
    [
      "V-scale's factor of the logits is forgotten",
      "(factors * weightGradients[k]",
      "(weightGradients[k]",
      { thorough: true },
    ],
    ["V-scale's eigenvalue term is dropped", " + along[i] * value[keyRow[i] + c]", ""],
    ["the factor 2 of V-scale's Jacobian is dropped", "2.0 * (constant / sum)", "(constant / sum)"],
    [
      "C stands for r + C in V-scale's Jacobian",
      "(constant / sum) / sum",
      "(constant / sum) / constant",
      { thorough: true },
    ],
    ["φ is dropped from the value gradient", "factors[i] * gradient + ", "gradient + ", {
      thorough: true,
    }],
    ["the constant's gradient has the wrong sign", "vec2f(-factors[i]", "vec2f(factors[i]", {
      thorough: true,
    }],
    ["the last vec4f column is dropped", "c < vectors) {", "c + 1u < vectors) {", { times: 3 }],
    ["V-scale's product lacks a share", "l < LANES; l++", "l + 1u < LANES; l++", {
      thorough: true,
    }],
  ]),
];
