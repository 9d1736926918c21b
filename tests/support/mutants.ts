/**
 * Kernels broken on purpose, one line each, and the property that must fail on each of them. What replaces what is the
 * WGSL text itself, so a mutant that no longer applies to a changed kernel is an error and not a silent pass.
 */
import { type Gpu, GpuError } from "../../mod.ts";
import { assert } from "./assert.ts";
import { type AttentionDescription, describeAttention } from "./attention_cases.ts";
import type { Property } from "./check_cases.ts";
import { siblingGpu } from "./gpu.ts";
import { modelMutants } from "./model_mutants.ts";
import { type Mutant, mutantsOf } from "./mutant.ts";
import {
  attentionBackwardIsCausal,
  attentionForwardIsCausal,
  vScaleLeavesTheWeightsAlone,
} from "./properties/attention_bits.ts";
import {
  attentionBackwardPassesNonFinite,
  attentionForwardPassesNonFinite,
} from "./properties/attention_non_finite.ts";
import {
  attentionBackwardMatchesTwin,
  attentionForwardMatchesTwin,
} from "./properties/attention_twin.ts";
import {
  rmsNormBackwardMatchesTwin,
  rmsNormForwardMatchesTwin,
  vScaleBackwardMatchesTwin,
  vScaleForwardMatchesTwin,
} from "./properties/rows_twin.ts";
import { sinkStatisticsMatchTwin } from "./properties/sink_statistics.ts";
import { operatorsStayInBounds } from "./properties/bounds.ts";
import { dispatchesSpread, narrowGpu } from "./properties/specialisations.ts";

// Small enough for software adapters: two tiles and a piece of a third; batches, heads and groups; a ninth vec4f column
// for eight lanes; V-scale in both modes; logits that overflow exp where the maximum is not subtracted.
const attentionCases: readonly AttentionDescription[] = [
  { batch: 2, keyHeads: 2, group: 2, length: 69, headDim: 36, seed: 11 },
  {
    batch: 2,
    keyHeads: 2,
    group: 2,
    length: 37,
    headDim: 36,
    seed: 12,
    scale: -0.4,
    vScale: { mode: "full" as const, size: "usual" as const },
  },
  {
    batch: 2,
    keyHeads: 3,
    length: 33,
    headDim: 12,
    seed: 13,
    vScale: { mode: "backward-only" as const, size: "usual" as const },
  },
  { length: 97, headDim: 8, seed: 14, pattern: "huge logits" as const },
].map(describeAttention);

const pinned = { runs: 0, endOnFailure: true } as const;
const forward: Property = (gpu) =>
  attentionForwardMatchesTwin(gpu, { ...pinned, examples: attentionCases });
const backward: Property = (gpu) =>
  attentionBackwardMatchesTwin(gpu, { ...pinned, examples: attentionCases });
const sink: Property = (gpu) => sinkStatisticsMatchTwin(gpu, pinned);
const normForward: Property = (gpu) => rmsNormForwardMatchesTwin(gpu, pinned);
const normBackward: Property = (gpu) => rmsNormBackwardMatchesTwin(gpu, pinned);
const valveForward: Property = (gpu) => vScaleForwardMatchesTwin(gpu, pinned);
const valveBackward: Property = (gpu) => vScaleBackwardMatchesTwin(gpu, pinned);
const spread = (operator: "attention" | "rmsNorm" | "vScale"): Property => (gpu) =>
  dispatchesSpread(gpu, { endOnFailure: true, operators: [operator] });
const bounds = (operator: "attention" | "rmsNorm" | "vScale"): Property => (gpu) =>
  operatorsStayInBounds(gpu, { operators: [operator] });
const spreadBounds = (operator: "attention" | "rmsNorm" | "vScale"): Property => (gpu) =>
  operatorsStayInBounds(narrowGpu(gpu), { operators: [operator] });
const forwardCausal: Property = (gpu) => attentionForwardIsCausal(gpu, pinned);
const backwardCausal: Property = (gpu) => attentionBackwardIsCausal(gpu, pinned);
const forwardNonFinite: Property = (gpu) => attentionForwardPassesNonFinite(gpu, pinned);
const backwardNonFinite: Property = (gpu) => attentionBackwardPassesNonFinite(gpu, pinned);
const weightsAlone: Property = (gpu) => vScaleLeavesTheWeightsAlone(gpu, pinned);

const wrap = "workgroup.y * workgroups.x + workgroup.x";
const head = "row / parameters.sequenceLength % parameters.keyValueHeads";

/** The mutants, by kernel. */
export const mutants: readonly Mutant[] = [
  ...mutantsOf("attention_forward.wgsl", forward, [
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
  ...mutantsOf("attention_tile.wgsl", forward, [
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
  ...mutantsOf("attention_backward_row.wgsl", backward, [
    ["D is zero", "product.x)", "0.0)"],
    ["D lacks the first vec4f", "var c = 0u", "var c = 1u"],
    ["D is 1 % too large", "product.x)", "1.01 * product.x)"],
    [
      "logSumExp and D change places",
      "vec2f(logSumExp[row], product.x)",
      "vec2f(product.x, logSumExp[row])",
    ],
    ["rows past the first dimension are lost", wrap, "workgroup.x", {
      caughtBy: spread("attention"),
    }],
  ]),
  ...mutantsOf("attention_backward_query.wgsl", backward, [
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
  ...mutantsOf("attention_backward_key_value.wgsl", backward, [
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
    ["no barrier before V-scale's products are read", "workgroupBarrier(); // also", "// also"],
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
  ...mutantsOf("attention_sink_statistics.wgsl", sink, [
    ["the window ends a row late", "t < parameters.windowEnd", "t <= parameters.windowEnd"],
    ["the window ends a row early", "t < parameters.windowEnd", "t + 1u < parameters.windowEnd"],
    ["the key's position is ignored", " + parameters.position) * vectors", ") * vectors"],
    ["rows before the position count", "parameters.position + lane.x", "lane.x"],
    ["the second moment is the first", "weight * weight", "weight"],
    [
      "the mean is over too many rows",
      "f32(parameters.windowEnd - parameters.position)",
      "f32(parameters.windowEnd)",
    ],
    ["the scale is dropped", "parameters.scale * product", "product"],
    [
      "queries take the wrong key head of their group",
      "workgroup.x / groupSize",
      "workgroup.x % parameters.keyValueHeads",
    ],
    ["the batch is ignored", "workgroup.y * parameters.queryHeads + ", ""],
    [
      "all but the first 64 rows are lost",
      "t < length; t += LANES",
      "t < min(length, parameters.position + LANES); t += LANES",
    ],
  ]),
  ...mutantsOf("rms_norm_forward.wgsl", normForward, [
    [
      "a row too many is written",
      "row >= parameters.rows",
      "row > parameters.rows",
      { caughtBy: spreadBounds("rmsNorm") },
    ],
    ["epsilon is dropped", " + parameters.epsilon", ""],
    ["epsilon is doubled", " + parameters.epsilon", " + 2.0 * parameters.epsilon"],
    ["the division by d is dropped", "sum / f32(columns)", "sum"],
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
  ...mutantsOf("rms_norm_backward_input.wgsl", normBackward, [
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
  ...mutantsOf("rms_norm_backward_gain.wgsl", normBackward, [
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
  ...mutantsOf("sum_rows.wgsl", normBackward, [
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
  ...mutantsOf("v_scale_forward.wgsl", valveForward, [
    ["C is forgotten", "squaredNorm + constant[head]", "squaredNorm + 0.0 * constant[head]"],
    ["all heads have the first one's constant", head, "0u"],
    ["the batch is not taken out of the head", head, "row / parameters.sequenceLength"],
    [
      "the norm is not squared",
      "squaredNorm / (squaredNorm +",
      "sqrt(squaredNorm) / (sqrt(squaredNorm) +",
    ],
    ["rows past the first dimension are lost", wrap, "workgroup.x", { caughtBy: spread("vScale") }],
  ]),
  ...mutantsOf("v_scale_backward.wgsl", valveBackward, [
    [
      "a row too many is written",
      "row >= parameters.rows",
      "row > parameters.rows",
      { caughtBy: bounds("vScale") },
    ],
    ["the eigenvalue term is dropped", " + along * value[i]", ""],
    ["the factor 2 is dropped", "2.0 * (c / sum)", "(c / sum)"],
    ["C stands for r + C", "(c / sum) / sum", "(c / sum) / c"],
    ["r stands for C", "(c / sum)", "(squaredNorm / sum)"],
    ["the constant's gradient has the wrong sign", "vec2f(-factor", "vec2f(factor"],
    [
      "the last element of a row is lost",
      "product += value[i] * scaledValueGradient[i];",
      "product += select(0.0, value[i] * scaledValueGradient[i], i + 1u < first + parameters.columns);",
    ],
    ["rows past the first dimension are lost", wrap, "workgroup.x", { caughtBy: spread("vScale") }],
  ]),
  ...mutantsOf("v_scale_constant_gradient.wgsl", valveBackward, [
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
  ...mutantsOf("v_scale_squared_norm.wgsl", forward, [
    [
      "a row too many is written",
      "row >= parameters.rows",
      "row > parameters.rows",
      { caughtBy: bounds("attention") },
    ],
    ["the head's constant is the first one's", head, "0u"],
    ["the last element of a row is lost", "c < parameters.columns", "c + 1u < parameters.columns"],
    ["the norm is not squared", "vec2f(squaredNorm,", "vec2f(sqrt(squaredNorm),"],
    ["rows past the first dimension are lost", wrap, "workgroup.x", {
      caughtBy: spread("attention"),
    }],
  ]),
  ...mutantsOf("workgroup_sum.wgsl", normForward, [
    ["no barrier before the summands are read", "workgroupBarrier();", ""],
    ["the last summand is lost", "l < LANES", "l + 1u < LANES"],
    ["the first summand is lost", "var l = 0u", "var l = 1u"],
  ]),
  ...modelMutants(),
];

/** The portable kernels on the device of a `Gpu`; their pipelines serve every mutant. */
export class MutantLaboratory {
  readonly #device: Gpu;
  #gpu: Gpu;

  constructor(gpu: Gpu) {
    this.#device = gpu;
    this.#gpu = this.#open();
  }

  #open(): Gpu {
    const gpu = siblingGpu(this.#device, {});
    gpu.variants.get = () => "portable";
    return gpu;
  }

  /** Throws if a property fails on the kernels as they are: then its failing on mutants would say nothing. */
  async checkHealthy(property: Property): Promise<void> {
    await property(this.#gpu);
    await this.#gpu.sync();
  }

  /**
   * Checks that the property fails on the broken kernel, by its numbers.
   *
   * @param mutant the broken kernel
   * @throws if the mutant does not apply or compile, its kernel did not run, or it survived
   */
  async check({ name, file, find, times, replace, caughtBy }: Mutant): Promise<void> {
    const gpu = this.#gpu;
    let applied = false;
    const { rewrite } = gpu.pipelines;
    const breakKernel: typeof rewrite = (part) => {
      if (part.file !== file) return part.source;
      const found = part.source.split(find).length - 1;
      if (found !== times) {
        throw new TypeError(`${file} has "${find}" ${found} times, the mutant wants ${times}`);
      }
      applied = true;
      return part.source.replaceAll(find, () => replace);
    };
    gpu.pipelines.rewrite = breakKernel;
    let failure: unknown;
    try {
      await caughtBy(gpu);
    } catch (error) {
      failure = error;
    } finally {
      gpu.pipelines.rewrite = rewrite;
    }
    const what = `${file}: ${name}`;
    const cause = failure instanceof Error ? failure.cause ?? failure : failure;
    if (cause instanceof TypeError && cause.message.includes("the mutant wants")) throw cause;
    assert(applied, `${what}: the kernel did not run`);
    assert(failure !== undefined, `${what}: survived`);
    const broken = await gpu.sync().then(() => undefined, (error: unknown) => error);
    if (broken !== undefined || cause instanceof GpuError) {
      this.#gpu = this.#open();
      throw new Error(`${what}: failed for another reason`, { cause: broken ?? cause });
    }
  }
}
