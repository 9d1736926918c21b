/** Mutants of the kernels that only a model needs. */
import type { Property } from "../../check_cases.ts";
import { adamWMatchesTwin } from "../../properties/model/adamw.ts";
import { attentionGateMatchesTwin } from "../../properties/model/attention_gate.ts";
import { crossEntropyMatchesTwin } from "../../properties/model/cross_entropy.ts";
import { embeddingMatchesTwin } from "../../properties/model/embedding.ts";
import { fakeQuantizeMatchesTwin } from "../../properties/model/fake_quantize.ts";
import { headNormMatchesTwin } from "../../properties/model/head_norm.ts";
import { headsMatchTwin, projectionsMatchTwin } from "../../properties/model/heads.ts";
import { learnedConstantMatchesTwin } from "../../properties/model/learned_constant.ts";
import { additionsMatchFloat32, sumsMatchTwin } from "../../properties/model/sums.ts";
import { swigluMatchesTwin } from "../../properties/model/swiglu.ts";
import { type Mutant, mutantsOf } from "../mutant.ts";

const embedding: Property = (gpu) => embeddingMatchesTwin(gpu);
const headNorm: Property = (gpu) => headNormMatchesTwin(gpu);
const heads: Property = (gpu) => headsMatchTwin(gpu);
const projections: Property = (gpu) => projectionsMatchTwin(gpu);
const swiglu: Property = (gpu) => swigluMatchesTwin(gpu);
const attentionGate: Property = (gpu) => attentionGateMatchesTwin(gpu);
const crossEntropy: Property = (gpu) => crossEntropyMatchesTwin(gpu);
const additions: Property = (gpu) => additionsMatchFloat32(gpu);
const sums: Property = (gpu) => sumsMatchTwin(gpu);
const adamW: Property = (gpu) => adamWMatchesTwin(gpu);
const constants: Property = (gpu) => learnedConstantMatchesTwin(gpu);
const quantize: Property = (gpu) => fakeQuantizeMatchesTwin(gpu);

export const mutants: readonly Mutant[] = [
  ...mutantsOf("model/embedding_forward.wgsl", embedding, [
    [
      "the token's neighbor is read",
      "u32(tokens[index / parameters.elements])",
      "u32(tokens[index / parameters.elements]) + 1u",
    ],
    ["every column is the first", "+ index % parameters.elements", ""],
    ["the last row is not written", ">= parameters.rows *", ">= (parameters.rows - 1u) *"],
  ]),
  ...mutantsOf("model/embedding_backward.wgsl", embedding, [
    [
      "a token's last place is lost",
      "min(u32(starts[token + 1u]), parameters.rows)",
      "min(u32(starts[token + 1u]), parameters.rows) - 1u",
    ],
    ["places are taken twice", "u32(order[i])", "u32(order[i / 2u * 2u])"],
    ["the first place counts alone", "sum += outputGradient", "sum = outputGradient"],
  ]),
  ...mutantsOf("model/head_norm/head.wgsl", headNorm, [
    ["values are normalized too", "head < normalized,", "true,"],
    ["keys have the queries' gain", "head < parameters.queryHeads,", "head < normalized,"],
    [
      "heads have the next one's statistic",
      "min(head, normalized - 1u)",
      "min(head + 1u, normalized)",
    ],
    ["the last row is not written", "row < parameters.rows,", "row + 1u < parameters.rows,"],
  ]),
  ...mutantsOf("model/head_norm/forward.wgsl", headNorm, [
    [
      "the squares are summed, not averaged",
      "let mean = sum / f32(4u * parameters.columns)",
      "let mean = sum",
    ],
    ["epsilon is lost", ") + parameters.epsilon;", ");"],
    ["small squares are flushed", "mean >= 7.888609e-31 && ", ""],
    ["large squares overflow", " && mean <= 1e38", ""],
    ["the gain is twice itself", "gainOf(head, c) * (", "2.0 * gainOf(head, c) * ("],
    [
      "a square is left out",
      "squares += x * x;\n  }\n  let sum = (squares.x + squares.y) + (squares.z + squares.w);\n  let mean",
      "squares += x * x;\n  }\n  let sum = (squares.x + squares.y) + squares.z;\n  let mean",
    ],
  ]),
  ...mutantsOf("model/head_norm/backward.wgsl", headNorm, [
    ["what the norm takes away is left out", "(u - normalized * mean)", "u"],
    ["the sum for the mean", "/ f32(4u * parameters.columns)", ""],
    [
      "the gain is lost in the product",
      "products += u * (",
      "products += outputGradient[head.start + c] * (",
    ],
    ["the gradient is not scaled", "(u - normalized * mean) * inverse", "(u - normalized * mean)"],
  ]),
  ...mutantsOf("model/heads.wgsl", heads, [
    ["batches are mixed up", "matrix / outer * inner", "matrix % outer * inner"],
    ["all heads are the first", "+ matrix % outer", ""],
    ["positions are not told apart", "* inner + row % inner)", "* inner)"],
    [
      "the last head is not written",
      ">= parameters.batches * outer",
      ">= parameters.batches * outer - 1u",
    ],
  ]),
  ...mutantsOf("model/projections.wgsl", projections, [
    ["values are turned too", "part != VALUE", "true"],
    ["keys stay as they are", "part != VALUE", "part == QUERY"],
    [
      "all positions are turned alike",
      "2u * half * position + column;\n    cosine",
      "column;\n    cosine",
    ],
    [
      "keys count as values",
      "if (head >= keyHeads)",
      "if (head + 1u >= keyHeads)",
    ],
    ["sine is cosine", "sine = angles[angle + half]", "sine = angles[angle]"],
  ]),
  ...mutantsOf("model/split_projections.wgsl", projections, [
    [
      "turned the other way",
      "x * place.cosine - y * place.sine",
      "x * place.cosine + y * place.sine",
    ],
    [
      "pairs are neighbors",
      "projections[place.joint + parameters.elements]",
      "projections[place.joint + 1u]",
    ],
    [
      "the second half is the first",
      "query[place.own + parameters.elements] = second",
      "query[place.own + parameters.elements] = first",
    ],
  ]),
  ...mutantsOf("model/merge_projections.wgsl", projections, [
    ["not turned back", "y * place.cosine - x * place.sine", "y * place.cosine + x * place.sine"],
    ["keys are taken for values", "if (place.part == KEY)", "if (place.part == VALUE)"],
  ]),
  ...mutantsOf("model/sigmoid.wgsl", swiglu, [
    ["negative numbers as positive ones", "x >= Element(0.0)", "x >= Element(-1e30)"],
    ["a base of 2", "exp(-abs(x))", "exp2(-abs(x))"],
  ]),
  ...mutantsOf("model/swiglu_forward.wgsl", swiglu, [
    ["no gate", "g * sigmoid(g) *", "g *"],
    ["up is gate", "projections[place + elements]", "projections[place]"],
    ["rows overlap", "i / elements * elements + i", "i"],
  ]),
  ...mutantsOf("model/swiglu_backward.wgsl", swiglu, [
    ["the gate's slope is left out", "(s * (Element(1.0) + g * (Element(1.0) - s)))", "s"],
    ["s for 1 - s", "g * (Element(1.0) - s)", "g * s"],
    ["the gradient by up lacks the gate", "h * (g * s)", "h * g"],
  ]),
  ...mutantsOf("model/attention_gate/opening.wgsl", attentionGate, [
    ["an infinity is taken for a NaN", "> 0x7f800000u", ">= 0x7f800000u"],
    ["a gate opens without bound", "return sigmoid(Element(logit));", "return Element(logit);"],
  ]),
  ...mutantsOf("model/attention_gate/forward.wgsl", attentionGate, [
    ["every number has a gate of its own", "let gate = i / parameters.elements", "let gate = i"],
    ["no gate", "opening * input[i]", "input[i]"],
    [
      "the last number is not written",
      ">= parameters.gates * parameters.elements",
      ">= parameters.gates * parameters.elements - 1u",
    ],
    ["the first gate's opening alone is kept", "i % parameters.elements == 0u", "i == 0u"],
  ]),
  ...mutantsOf("model/attention_gate/backward.wgsl", attentionGate, [
    ["the gate's slope is left out", "opening * openingOf(-logits[gate])", "opening"],
    ["1 - s for s(-x)", "openingOf(-logits[gate])", "(Element(1.0) - opening)"],
    ["the gradient passes a closed gate", "= opening * gradient", "= gradient"],
    ["the last product counts alone", "products += gradient", "products = gradient"],
    ["the last gate is not written", "gate >= parameters.gates", "gate + 1u >= parameters.gates"],
  ]),
  ...mutantsOf("model/cross_entropy_row.wgsl", crossEntropy, [
    [
      "the last columns count more than once",
      "select(vec4f(0.0), terms, column + FOUR < vec4u(parameters.columns))",
      "terms",
    ],
    [
      "the target is its neighbor",
      "parameters.columns + column]",
      "parameters.columns + column + 1u]",
    ],
    ["a target below a slice stands in its last column", "own == column);", "own >= column);"],
    [
      "slices begin at the first column",
      "u32(classes[row]) - parameters.first",
      "u32(classes[row])",
    ],
    ["logSumExp lacks the maximum", "= maximum + logarithm", "= logarithm"],
    ["a base of 2", "log(sum)", "log2(sum)"],
    ["a quad's last column is never the largest", "max(x.z, x.w)", "x.z"],
  ]),
  ...mutantsOf("model/cross_entropy_forward.wgsl", crossEntropy, [
    ["lanes keep their own maximum", "maximum = max(maximum, maxima[l]);", ""],
    [
      "later columns are left out",
      "c += 4u * LANES) {\n    terms",
      "c += 4u * LANES * 1000u) {\n    terms",
    ],
    ["another row is written", "writeRow(row,", "writeRow(row + 1u,"],
  ]),
  ...mutantsOf("model/cross_entropy_backward.wgsl", crossEntropy, [
    ["the target is not taken off", "vec4f(1.0), hit", "vec4f(0.0), hit"],
    ["the factor is lost", "parameters.factor\n    *", "1.0\n    *"],
    ["slices begin at the first column", "parameters.first + columns ==", "columns =="],
    ["not normalized", "z - logSumExp[row]", "z - 0.5 * logSumExp[row]"],
    [
      "the last column is not written",
      "columns[i] < parameters.columns",
      "columns[i] + 1u < parameters.columns",
    ],
  ]),
  ...mutantsOf("arithmetic/add.wgsl", additions, [
    ["the third term is always left out", "parameters.terms == 3u", "false"],
    ["the third term is always added", "parameters.terms == 3u", "true"],
    [
      "the last element is not written",
      "i >= parameters.elements",
      "i + 1u >= parameters.elements",
    ],
  ]),
  ...mutantsOf("arithmetic/add_bias.wgsl", additions, [
    ["the first number is added everywhere", "bias[i % parameters.columns]", "bias[0]"],
    [
      "the last element is not written",
      "i >= parameters.elements",
      "i + 1u >= parameters.elements",
    ],
  ]),
  ...mutantsOf("arithmetic/accumulate.wgsl", additions, [
    ["it overwrites", "+= term[i]", "= term[i]"],
    [
      "the last element is not written",
      "i >= parameters.elements",
      "i + 1u >= parameters.elements",
    ],
  ]),
  ...mutantsOf("arithmetic/copy.wgsl", additions, [
    ["it begins at the source's first element", "parameters.sourceStart + i", "i"],
    ["it goes to the first element", "parameters.copiedStart + i", "i"],
    ["an element too many", "i < parameters.elements", "i <= parameters.elements"],
  ]),
  ...mutantsOf("arithmetic/sum.wgsl", sums, [
    ["later elements are left out", "i += LANES", "i += LANES * 1000u"],
    ["the factor is lost", "parameters.factor * ", ""],
  ]),
  ...mutantsOf("arithmetic/sum_squares.wgsl", sums, [
    ["magnitudes for squares", "input[i] * input[i]", "abs(input[i])"],
    [
      "runs overlap",
      "first + parameters.elementsPerRun",
      "first + 2u * parameters.elementsPerRun",
    ],
    ["tensors overwrite each other", "parameters.start + workgroup.x", "workgroup.x"],
  ]),
  ...mutantsOf("arithmetic/norm.wgsl", sums, [
    [
      "the root is left out",
      "sqrt(totals.x)",
      "totals.x",
    ],
    ["small gradients are scaled up", "norm > parameters.maximum", "true"],
    ["large gradients are left alone", "norm > parameters.maximum", "false"],
  ]),
  ...mutantsOf("arithmetic/adamw.wgsl", adamW, [
    ["the clipping is left out", "= clipping[1] *", "= (0.0 * clipping[1] + 1.0) *"],
    ["the norm is taken for the factor", "= clipping[1] *", "= clipping[0] *"],
    ["the first moment is not corrected", "m * step[1]", "m"],
    ["the second moment is not corrected", "v * step[2]", "v"],
    ["no weight decay", "(rate * parameters.weightDecay) * p", "0.0 * p"],
    [
      "weight decay without the rate",
      "(rate * parameters.weightDecay)",
      "parameters.weightDecay",
    ],
    [
      "the first moment is forgotten",
      "firstMoment[i] = whereFinite(m, v);",
      "firstMoment[i] = Element(0.0);",
    ],
    ["the second moment is of the gradient itself", "(g * g)", "g"],
  ]),
  ...mutantsOf("v_scale/learned_constant_forward.wgsl", constants, [
    ["a base of 2", "exp(theta[head])", "exp2(theta[head])"],
    ["the base is lost", "parameters.base * exp", "exp"],
    ["the last head is not written", "head >= parameters.heads", "head + 1u >= parameters.heads"],
  ]),
  ...mutantsOf("v_scale/learned_constant_backward.wgsl", constants, [
    ["the constant is too large", "constant[head] *", "(constant[head] + 1.0) *"],
    ["the last head is not written", "head >= parameters.heads", "head + 1u >= parameters.heads"],
  ]),
  ...mutantsOf("arithmetic/quantized.wgsl", quantize, [
    ["halves are cut off", "round(x * steps.up", "trunc(x * steps.up"],
    ["nothing is clamped", "-127.0, 127.0)", "-1e9, 1e9)"],
    ["128 steps", "up / 127.0", "up / 128.0"],
    ["a scale of zero keeps numbers", "x, isNotANumber)", "x, isNotANumber || steps.size == 0.0)"],
  ]),
  ...mutantsOf("arithmetic/fake_quantize.wgsl", quantize, [
    ["nothing is rounded", "quantized(input[i], steps)", "input[i] + 0.0 * steps.size"],
    [
      "the last element is not written",
      "RUN, parameters.elements)",
      "RUN, parameters.elements - 1u)",
    ],
    [
      "only the first run",
      "min(first + RUN, parameters.elements)",
      "min(RUN, parameters.elements)",
    ],
  ]),
  ...mutantsOf("arithmetic/fake_quantize_rows.wgsl", quantize, [
    ["lanes have maxima of their own", "maximum = max(maximum, maxima[l]);", ""],
    ["magnitudes below zero do not count", "abs(input[first + c])", "input[first + c]"],
  ]),
  ...mutantsOf("arithmetic/absolute_maximum.wgsl", quantize, [
    ["what was found before is forgotten", "max(maximum[0], largest)", "largest"],
    ["only the first lane looks", "largest = max(largest, maxima[l]);", ""],
  ]),
];
