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

type Shaper = (...shape: number[]) => Tensor;
type Refusal = readonly [
  call: (gpu: Gpu, of: Shaper) => unknown,
  error: typeof TypeError | typeof RangeError,
  message: string,
];

const settings = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0 };

function adamWOf(gpu: Gpu, of: Shaper, changes: object): unknown {
  const four = () => of(4);
  return planAdamW(gpu, {
    parameter: four(),
    gradient: four(),
    firstMoment: four(),
    secondMoment: four(),
    step: of(3),
    clipping: of(2),
    ...settings,
    ...changes,
  });
}

const refusals: readonly Refusal[] = [
  [
    (gpu, of) => attentionGateForward(gpu, { input: of(2, 12), logits: of(2, 5) }),
    TypeError,
    "attentionGateForward: logits has rows of 5 gates, wanted a divisor of input's 12 columns",
  ],
  [
    (gpu, of) => attentionGateForward(gpu, { input: of(2, 12), logits: of(3, 4) }),
    TypeError,
    "attentionGateForward: logits has shape [3, 4], wanted [2, 4]",
  ],
  [
    (gpu, of) =>
      attentionGateBackward(gpu, {
        input: of(2, 12),
        logits: of(2, 3),
        outputGradient: of(2, 3),
      }),
    TypeError,
    "attentionGateBackward: outputGradient has shape [2, 3], wanted [2, 12]",
  ],
  [
    (gpu, of) => embeddingForward(gpu, { tokens: gpu.tensor([0, 2], [2]), table: of(2, 3) }),
    RangeError,
    "embeddingForward: tokens[1] is 2, wanted an integer from 0 to 1",
  ],
  [
    (gpu, of) => embeddingForward(gpu, { tokens: of(2), table: of(6) }),
    TypeError,
    "table has shape [6], wanted [V, d]",
  ],
  [
    (gpu, of) => embeddingBackward(gpu, { order: of(3), starts: of(4), outputGradient: of(2, 5) }),
    TypeError,
    "order has shape [3], wanted [2]",
  ],
  [
    (gpu, of) => embeddingBackward(gpu, { order: of(2), starts: of(1), outputGradient: of(2, 5) }),
    TypeError,
    "starts has shape [1]",
  ],
  [
    (gpu, of) =>
      embeddingBackward(gpu, {
        order: of(2),
        starts: of(4),
        outputGradient: of(2, 5),
        tableGradient: of(4, 5),
      }),
    TypeError,
    "tableGradient has shape [4, 5], wanted [3, 5]",
  ],
  [() => embeddingOrder([0, 3], 3), RangeError, "tokens[1] is 3, wanted an integer from 0 to 2"],
  [() => embeddingOrder([0.5], 3), RangeError, "tokens[0] is 0.5"],
  [() => embeddingOrder([0], 2 ** 24), RangeError, "wanted fewer than 16777216"],
  [
    (gpu, of) => splitHeads(gpu, { input: of(1, 2, 12), heads: 5 }),
    RangeError,
    "heads is 5, wanted a divisor of 12",
  ],
  [
    (gpu, of) => splitHeads(gpu, { input: of(1, 2, 12), heads: 2 }),
    TypeError,
    "a head has 6 columns",
  ],
  [(gpu, of) => mergeHeads(gpu, { input: of(1, 2, 3, 6) }), TypeError, "a head has 6 columns"],
  [
    (gpu, of) =>
      splitProjections(gpu, {
        projections: of(1, 2, 16),
        queryHeads: 1,
        keyValueHeads: 1,
        angles: of(2, 4),
      }),
    TypeError,
    "a head has 5.33",
  ],
  [
    (gpu, of) =>
      splitProjections(gpu, {
        projections: of(1, 2, 12),
        queryHeads: 1,
        keyValueHeads: 1,
        angles: of(3, 4),
      }),
    TypeError,
    "angles has shape [3, 4], wanted [2, 4]",
  ],
  [
    (gpu, of) =>
      splitProjections(gpu, {
        projections: of(1, 2, 12),
        queryHeads: 0,
        keyValueHeads: 1,
        angles: of(2, 4),
      }),
    RangeError,
    "queryHeads is 0",
  ],
  [
    (gpu, of) =>
      mergeProjections(gpu, {
        queryGradient: of(1, 1, 2, 4),
        keyGradient: of(1, 1, 2, 4),
        valueGradient: of(1, 2, 2, 4),
        angles: of(2, 4),
      }),
    TypeError,
    "valueGradient has shape [1, 2, 2, 4]",
  ],
  [
    () => rotaryAngles({ sequenceLength: 2, headDim: 3 }),
    RangeError,
    "headDim is 3, wanted an even number",
  ],
  [() => rotaryAngles({ sequenceLength: 2, headDim: 4, base: 0 }), RangeError, "base is 0"],
  [
    (gpu, of) => swigluForward(gpu, { projections: of(2, 5) }),
    TypeError,
    "rows of 5 numbers, wanted an even number",
  ],
  [
    (gpu, of) => swigluBackward(gpu, { projections: of(2, 6), hiddenGradient: of(2, 6) }),
    TypeError,
    "hiddenGradient has shape [2, 6], wanted [2, 3]",
  ],
  [
    (gpu, of) => crossEntropyForward(gpu, { logits: of(2, 3), targets: gpu.tensor([0, 3], [2]) }),
    RangeError,
    "targets[1] is 3, wanted an integer from 0 to 2",
  ],
  [
    (gpu, of) => crossEntropyForward(gpu, { logits: of(2, 3), targets: of(3) }),
    TypeError,
    "targets has shape [3], wanted [2]",
  ],
  [
    (gpu, of) =>
      crossEntropyBackward(gpu, {
        logits: of(2, 3),
        targets: of(2),
        logSumExp: of(2),
        factor: NaN,
      }),
    RangeError,
    "factor is NaN",
  ],
  [
    (gpu, of) => add(gpu, { terms: [of(2)] as never }),
    TypeError,
    "terms has 1 tensors, wanted 2 or 3",
  ],
  [
    (gpu, of) => add(gpu, { terms: [of(2), of(2), of(3)] }),
    TypeError,
    "terms[2] has shape [3], wanted [2]",
  ],
  [
    (gpu, of) => add(gpu, { terms: [of(2), of(2)], sum: of(3) }),
    TypeError,
    "sum has shape [3], wanted [2]",
  ],
  [
    (gpu, of) => {
      const one = of(2);
      accumulate(gpu, { term: one, total: one });
    },
    TypeError,
    "term and total lie in the same memory",
  ],
  [
    (gpu, of) => planCopy(gpu, { source: of(4), sourceStart: 3, copied: of(2) }),
    RangeError,
    "sourceStart is 3, wanted an integer from 0 to 2",
  ],
  [
    (gpu, of) => planCopy(gpu, { source: of(4), copied: of(2), length: 3 }),
    RangeError,
    "length is 3, wanted an integer from 1 to 2",
  ],
  [(gpu, of) => sum(gpu, { input: of(2), factor: Infinity }), RangeError, "factor is Infinity"],
  [
    (gpu) => planGradientNorm(gpu, { gradients: [], maximum: 1 }),
    TypeError,
    "wanted at least one tensor",
  ],
  [
    (gpu, of) => planGradientNorm(gpu, { gradients: [of(2)], maximum: 0 }),
    RangeError,
    "maximum is 0",
  ],
  [
    (gpu, of) => adamWOf(gpu, of, { gradient: of(5) }),
    TypeError,
    "gradient has shape [5], wanted [4]",
  ],
  [(gpu, of) => adamWOf(gpu, of, { step: of(2) }), TypeError, "step has shape [2], wanted [3]"],
  [(gpu, of) => adamWOf(gpu, of, { beta1: 1 }), RangeError, "beta1 is 1"],
  [(gpu, of) => adamWOf(gpu, of, { epsilon: 0 }), RangeError, "epsilon is 0"],
  [(gpu, of) => adamWOf(gpu, of, { weightDecay: -1 }), RangeError, "weightDecay is -1"],
  [(gpu, of) => learnedConstantForward(gpu, { theta: of(2), base: 0 }), RangeError, "base is 0"],
  [
    (gpu, of) => learnedConstantBackward(gpu, { constant: of(2), constantGradient: of(3) }),
    TypeError,
    "constantGradient has shape [3], wanted [2]",
  ],
  [
    (gpu, of) => fakeQuantize(gpu, { input: of(2), maximum: of(2) }),
    TypeError,
    "maximum has shape [2], wanted [1]",
  ],
  [
    (gpu, of) => planAbsoluteMaximum(gpu, { input: of(2), maximum: of(2) }),
    TypeError,
    "maximum has shape [2], wanted [1]",
  ],
  [
    (gpu, of) => matmul(gpu, { left: of(2, 3), right: of(3, 4), product: of(2, 3) }),
    TypeError,
    "product has shape [2, 3], wanted [2, 4]",
  ],
];

Deno.test(`a model's operators refuse wrong arguments (${refusals.length})`, async () => {
  const gpu = await testGpu("deno");
  await gpu.sync();
  for (const [call, error, message] of refusals) {
    const tensors: Tensor[] = [];
    const of: Shaper = (...shape) => {
      tensors.push(gpu.empty(shape));
      return tensors.at(-1)!;
    };
    assertThrows(() => call(gpu, of), error, message);
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
