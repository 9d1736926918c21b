/** A model's operators refuse wrong arguments before they allocate anything. */
import {
  accumulate,
  add,
  attentionGateBackward,
  attentionGateForward,
  crossEntropyBackward,
  crossEntropyForward,
  embeddingBackward,
  embeddingForward,
  embeddingOrder,
  fakeQuantize,
  type Gpu,
  learnedConstantBackward,
  learnedConstantForward,
  matmul,
  mergeHeads,
  mergeProjections,
  planAbsoluteMaximum,
  planAdamW,
  planCopy,
  planGradientNorm,
  rotaryAngles,
  splitHeads,
  splitProjections,
  sum,
  swigluBackward,
  swigluForward,
  type Tensor,
} from "../../../mod.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { testGpu } from "../../support/gpu.ts";

// deno-lint-ignore no-explicit-any
type Call = (gpu: Gpu, args: any) => unknown;
type Refusal = readonly [
  call: Call,
  /**
   * The call's arguments. An array of numbers stands for a tensor of that shape, a Float32Array for
   * a tensor that holds its numbers.
   */
  args: Readonly<Record<string, unknown>>,
  error: typeof TypeError | typeof RangeError,
  message: string,
];

/** Replaces shapes and Float32Arrays in arguments by tensors, which it also adds to `tensors`. */
function materialize(gpu: Gpu, value: unknown, tensors: Tensor[]): unknown {
  if (value instanceof Float32Array) {
    tensors.push(gpu.tensor(value as Float32Array<ArrayBuffer>, [value.length]));
  } else if (Array.isArray(value) && typeof value[0] === "number") tensors.push(gpu.empty(value));
  else return Array.isArray(value) ? value.map((each) => materialize(gpu, each, tensors)) : value;
  return tensors.at(-1)!;
}

const adamW = {
  parameter: [4],
  gradient: [4],
  firstMoment: [4],
  secondMoment: [4],
  step: [3],
  clipping: [2],
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0,
};

const refusals: readonly Refusal[] = [
  [
    attentionGateForward,
    { input: [2, 12], logits: [2, 5] },
    TypeError,
    "attentionGateForward: logits has rows of 5 gates, wanted a divisor of input's 12 columns",
  ],
  [
    attentionGateForward,
    { input: [2, 12], logits: [3, 4] },
    TypeError,
    "attentionGateForward: logits has shape [3, 4], wanted [2, 4]",
  ],
  [
    attentionGateBackward,
    { input: [2, 12], logits: [2, 3], outputGradient: [2, 3] },
    TypeError,
    "attentionGateBackward: outputGradient has shape [2, 3], wanted [2, 12]",
  ],
  [
    embeddingForward,
    { tokens: Float32Array.of(0, 2), table: [2, 3] },
    RangeError,
    "embeddingForward: tokens[1] is 2, wanted an integer from 0 to 1",
  ],
  [embeddingForward, { tokens: [2], table: [6] }, TypeError, "table has shape [6], wanted [V, d]"],
  [
    embeddingBackward,
    { order: [3], starts: [4], outputGradient: [2, 5] },
    TypeError,
    "order has shape [3], wanted [2]",
  ],
  [
    embeddingBackward,
    { order: [2], starts: [1], outputGradient: [2, 5] },
    TypeError,
    "starts has shape [1]",
  ],
  [
    embeddingBackward,
    { order: [2], starts: [4], outputGradient: [2, 5], tableGradient: [4, 5] },
    TypeError,
    "tableGradient has shape [4, 5], wanted [3, 5]",
  ],
  [
    () => embeddingOrder([0, 3], 3),
    {},
    RangeError,
    "tokens[1] is 3, wanted an integer from 0 to 2",
  ],
  [() => embeddingOrder([0.5], 3), {}, RangeError, "tokens[0] is 0.5"],
  [() => embeddingOrder([0], 2 ** 24), {}, RangeError, "wanted fewer than 16777216"],
  [splitHeads, { input: [1, 2, 12], heads: 5 }, RangeError, "heads is 5, wanted a divisor of 12"],
  [splitHeads, { input: [1, 2, 12], heads: 2 }, TypeError, "a head has 6 columns"],
  [mergeHeads, { input: [1, 2, 3, 6] }, TypeError, "a head has 6 columns"],
  [
    splitProjections,
    { projections: [1, 2, 16], queryHeads: 1, keyValueHeads: 1, angles: [2, 4] },
    TypeError,
    "a head has 5.33",
  ],
  [
    splitProjections,
    { projections: [1, 2, 12], queryHeads: 1, keyValueHeads: 1, angles: [3, 4] },
    TypeError,
    "angles has shape [3, 4], wanted [2, 4]",
  ],
  [
    splitProjections,
    { projections: [1, 2, 12], queryHeads: 0, keyValueHeads: 1, angles: [2, 4] },
    RangeError,
    "queryHeads is 0",
  ],
  [
    mergeProjections,
    {
      queryGradient: [1, 1, 2, 4],
      keyGradient: [1, 1, 2, 4],
      valueGradient: [1, 2, 2, 4],
      angles: [2, 4],
    },
    TypeError,
    "valueGradient has shape [1, 2, 2, 4]",
  ],
  [
    () => rotaryAngles({ sequenceLength: 2, headDim: 3 }),
    {},
    RangeError,
    "headDim is 3, wanted an even number",
  ],
  [() => rotaryAngles({ sequenceLength: 2, headDim: 4, base: 0 }), {}, RangeError, "base is 0"],
  [swigluForward, { projections: [2, 5] }, TypeError, "rows of 5 numbers, wanted an even number"],
  [
    swigluBackward,
    { projections: [2, 6], hiddenGradient: [2, 6] },
    TypeError,
    "hiddenGradient has shape [2, 6], wanted [2, 3]",
  ],
  [
    crossEntropyForward,
    { logits: [2, 3], targets: Float32Array.of(0, 3) },
    RangeError,
    "targets[1] is 3, wanted an integer from 0 to 2",
  ],
  [
    crossEntropyForward,
    { logits: [2, 3], targets: [3] },
    TypeError,
    "targets has shape [3], wanted [2]",
  ],
  [
    crossEntropyBackward,
    { logits: [2, 3], targets: [2], logSumExp: [2], factor: NaN },
    RangeError,
    "factor is NaN",
  ],
  [add, { terms: [[2]] }, TypeError, "terms has 1 tensors, wanted 2 or 3"],
  [add, { terms: [[2], [2], [3]] }, TypeError, "terms[2] has shape [3], wanted [2]"],
  [add, { terms: [[2], [2]], sum: [3] }, TypeError, "sum has shape [3], wanted [2]"],
  [
    (gpu, { one }) => accumulate(gpu, { term: one, total: one }),
    { one: [2] },
    TypeError,
    "term and total lie in the same memory",
  ],
  [
    planCopy,
    { source: [4], sourceStart: 3, copied: [2] },
    RangeError,
    "sourceStart is 3, wanted an integer from 0 to 2",
  ],
  [
    planCopy,
    { source: [4], copied: [2], length: 3 },
    RangeError,
    "length is 3, wanted an integer from 1 to 2",
  ],
  [sum, { input: [2], factor: Infinity }, RangeError, "factor is Infinity"],
  [planGradientNorm, { gradients: [], maximum: 1 }, TypeError, "wanted at least one tensor"],
  [planGradientNorm, { gradients: [[2]], maximum: 0 }, RangeError, "maximum is 0"],
  [planAdamW, { ...adamW, gradient: [5] }, TypeError, "gradient has shape [5], wanted [4]"],
  [planAdamW, { ...adamW, step: [2] }, TypeError, "step has shape [2], wanted [3]"],
  [planAdamW, { ...adamW, beta1: 1 }, RangeError, "beta1 is 1"],
  [planAdamW, { ...adamW, epsilon: 0 }, RangeError, "epsilon is 0"],
  [planAdamW, { ...adamW, weightDecay: -1 }, RangeError, "weightDecay is -1"],
  [learnedConstantForward, { theta: [2], base: 0 }, RangeError, "base is 0"],
  [
    learnedConstantBackward,
    { constant: [2], constantGradient: [3] },
    TypeError,
    "constantGradient has shape [3], wanted [2]",
  ],
  [fakeQuantize, { input: [2], maximum: [2] }, TypeError, "maximum has shape [2], wanted [1]"],
  [
    planAbsoluteMaximum,
    { input: [2], maximum: [2] },
    TypeError,
    "maximum has shape [2], wanted [1]",
  ],
  [
    matmul,
    { left: [2, 3], right: [3, 4], product: [2, 3] },
    TypeError,
    "product has shape [2, 3], wanted [2, 4]",
  ],
];

Deno.test(`a model's operators refuse wrong arguments (${refusals.length})`, async () => {
  const gpu = await testGpu("deno");
  await gpu.sync();
  for (const [call, args, error, message] of refusals) {
    const tensors: Tensor[] = [];
    const given = Object.fromEntries(
      Object.entries(args).map(([name, value]) => [name, materialize(gpu, value, tensors)]),
    );
    assertThrows(() => call(gpu, given), error, message);
    for (const tensor of tensors) tensor.dispose();
  }
  await gpu.sync();
});

Deno.test("a model's operators refuse a tensor of another Gpu, and one disposed of", async () => {
  const gpu = await testGpu("deno");
  const tensor = gpu.empty([2]);
  tensor.dispose();
  const before = gpu.memory;
  assertThrows(() => sum(gpu, { input: tensor }), TypeError, "input has been disposed of");
  assertThrows(() => sum(gpu, { input: [1, 2] as never }), TypeError, "wanted a Tensor");
  assertThrows(() => sum({} as never, { input: tensor }), TypeError, "wanted an opened Gpu");
  assertThrows(() => sum(gpu, undefined as never), TypeError, "wanted an object of tensors");
  assertEquals(gpu.memory, before);
});
