import {
  ATTENTION_GATES,
  attentionGates,
  checkConfig,
  describeInterventions,
  isPlainLlama,
  type LlamaConfig,
  PLAIN_LLAMA,
  refusePretrainedParts,
  refuseTrainedParts,
  SINK_LOGITS,
  V_SCALE_VARIANTS,
  vScaleConstant,
} from "../../../src/reference/llama/config.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";

const config: LlamaConfig = {
  vocabulary: 50,
  layers: 3,
  modelDim: 64,
  queryHeads: 4,
  keyValueHeads: 2,
  headDim: 16,
  feedForwardDim: 176,
  ...PLAIN_LLAMA,
};

const llama3 = {
  type: "llama3",
  factor: 32,
  lowFrequencyFactor: 1,
  highFrequencyFactor: 4,
  originalPositions: 8192,
} as const;

Deno.test("vScaleConstant() is d D σ²", () => {
  // The paper's model of 0.1B parameters: d D σ² = 512 · 64 · 0.0004.
  assert(Math.abs(vScaleConstant({ modelDim: 512, headDim: 64 }) - 13.1072) < 1e-12);
});

Deno.test("checkConfig() accepts every part that models can have", () => {
  checkConfig(config);
  for (const vScale of V_SCALE_VARIANTS) checkConfig({ ...config, vScale });
  checkConfig({ ...config, layersWithoutAttention: [2, 0] });
  for (const attentionGate of ATTENTION_GATES) checkConfig({ ...config, attentionGate });
  for (const sinkLogit of SINK_LOGITS) checkConfig({ ...config, sinkLogit });
  checkConfig({
    ...config,
    vocabulary: 2,
    layers: 1,
    modelDim: 4,
    queryHeads: 1,
    keyValueHeads: 1,
    headDim: 4,
    feedForwardDim: 4,
  });
  checkConfig({ ...config, projectionBiases: true, queryKeyNorm: true, attentionOutputBias: true });
  checkConfig({ ...config, ropeScaling: { type: "linear", factor: 0.5 } });
  checkConfig({ ...config, ropeScaling: llama3 });
});

Deno.test("refusePretrainedParts() names the parts that a program does not compute", () => {
  const refuse = (change: Partial<LlamaConfig>) =>
    refusePretrainedParts({ ...config, ...change }, { operation: "f" });
  refuse({ projectionBiases: false, queryKeyNorm: undefined });
  for (
    const [change, message] of [
      [{ projectionBiases: true }, "f: projectionBiases is true, which it does not compute"],
      [{ attentionOutputBias: true }, "f: attentionOutputBias is true"],
      [{ queryKeyNorm: true }, "f: queryKeyNorm is true"],
      [{ ropeScaling: llama3 }, 'f: ropeScaling is {"type":"llama3"'],
    ] as const
  ) {
    assertThrows(() => refuse(change), RangeError, message);
  }
});

Deno.test("refuseTrainedParts() names the parts that only this project's models have", () => {
  const refuse = (change: Partial<LlamaConfig>) =>
    refuseTrainedParts({ ...config, layersWithoutAttention: [], ...change }, { operation: "f" });
  refuse({ vScale: "none", attentionGate: "none" });
  for (
    const [change, message] of [
      [{ vScale: "fixed" }, "f: vScale is fixed, which it does not compute"],
      [{ vScale: "none", attentionGate: "head" }, "f: attentionGate is head, which it does not"],
      [{ vScale: "none", sinkLogit: "zero" }, "f: sinkLogit is zero"],
      [{ vScale: "none", layersWithoutAttention: [0, 1] }, "f: layers 0,1 have no attention"],
    ] as const
  ) {
    assertThrows(() => refuse(change), RangeError, message);
  }
});

Deno.test("isPlainLlama() is true for models without parts of this project", () => {
  const plain = { ...config, vScale: "none", layersWithoutAttention: [] } as const;
  assert(isPlainLlama(plain));
  assert(isPlainLlama({ ...plain, attentionGate: "none", sinkLogit: "none", tiedHead: true }));
  const others: readonly Partial<LlamaConfig>[] = [
    { vScale: "backward-only" },
    { layersWithoutAttention: [1] },
    { attentionGate: "head" },
    { sinkLogit: "zero" },
    { sinkLogit: "learned" },
  ];
  for (const change of others) assert(!isPlainLlama({ ...plain, ...change }));
});

Deno.test("describeInterventions() names the changes to attention", () => {
  const described = (change: Partial<LlamaConfig>) =>
    describeInterventions({ ...config, vScale: "none", ...change });
  assertEquals(described({}), "plain attention");
  assertEquals(described({ vScale: "backward-only" }), "V-scale backward-only");
  assertEquals(
    described({ vScale: "fixed", sinkLogit: "learned", attentionGate: "head" }),
    "V-scale fixed, learned sinks, a gate per head",
  );
  assertEquals(described({ sinkLogit: "zero" }), "softmax-off-by-one");
});

Deno.test("attentionGates() counts a gate for each head or each element", () => {
  const counts = ([undefined, ...ATTENTION_GATES] as const).map((attentionGate) =>
    attentionGates({ attentionGate, queryHeads: 3, headDim: 8 })
  );
  assertEquals(counts, [0, 0, 3, 24]);
});

Deno.test("checkConfig() names the field, what was given and what is wanted", () => {
  const wrong: readonly [Partial<Record<keyof LlamaConfig, unknown>>, string][] = [
    [{ vocabulary: 1 }, "vocabulary is 1, wanted an integer from 2 to 16777215"],
    [{ layers: 0 }, "layers is 0, wanted an integer from 1 to 1024"],
    [{ layers: 1e9 }, "layers is 1000000000, wanted an integer from 1 to 1024"],
    [{ layers: 1.5 }, "layers is 1.5, wanted an integer"],
    [{ layers: "3" }, 'layers is "3", wanted an integer'],
    [{ modelDim: 66 }, "modelDim is 66, wanted a multiple of 4"],
    [{ feedForwardDim: 6 }, "feedForwardDim is 6, wanted a multiple of 4"],
    [{ headDim: 260 }, "headDim is 260, wanted an integer from 4 to 256"],
    [{ headDim: 18 }, "headDim is 18, wanted a multiple of 4"],
    [{ queryHeads: 3 }, "queryHeads is 3, wanted a multiple of the 2 key and value heads"],
    [{ keyValueHeads: 3 }, "queryHeads is 4, wanted a multiple of the 3 key and value heads"],
    [{ normEpsilon: 0 }, "normEpsilon is 0, wanted a number above 0, and at most 1"],
    [{ normEpsilon: 1e300 }, "normEpsilon is 1e+300, wanted a number above 0, and at most 1"],
    [{ ropeBase: 1 }, "ropeBase is 1, wanted a finite number above 1"],
    // JavaScript compares such a string with numbers as if it were a number, but adds it as text.
    [{ normEpsilon: "1e-5" }, 'normEpsilon is "1e-5", wanted a number above 0, and at most 1'],
    [{ ropeBase: "10000" }, 'ropeBase is "10000", wanted a finite number above 1'],
    [{ ropeScaling: { type: "linear", factor: "2" } }, 'ropeScaling.factor is "2", wanted'],
    [{ tiedHead: 1 }, "tiedHead is 1, wanted true or false"],
    [{ vScale: "Fixed" }, 'vScale is "Fixed", wanted one of none, fixed, learned, backward-only'],
    [{ attentionGate: true }, "attentionGate is true, wanted one of none, head, element"],
    [{ sinkLogit: null }, "sinkLogit is null, wanted one of none, learned, zero"],
    [{ layersWithoutAttention: [3] }, "layersWithoutAttention is [3], wanted different layers"],
    [{ layersWithoutAttention: [1, 1] }, "layersWithoutAttention is [1,1], wanted different"],
    [{ layersWithoutAttention: 0 }, "layersWithoutAttention is 0, wanted different layers"],
    [{ projectionBiases: 1 }, "projectionBiases is 1, wanted true or false"],
    [{ attentionOutputBias: "" }, 'attentionOutputBias is "", wanted true or false'],
    [{ queryKeyNorm: "no" }, 'queryKeyNorm is "no", wanted true or false'],
    [{ ropeScaling: { type: "yarn" } }, 'ropeScaling.type is "yarn", wanted linear or llama3'],
    [
      { ropeScaling: { type: "linear", factor: 0 } },
      "ropeScaling.factor is 0, wanted a finite number above 0",
    ],
    [
      { ropeScaling: { ...llama3, highFrequencyFactor: 1 } },
      "ropeScaling.highFrequencyFactor is 1, wanted a finite number above 1",
    ],
    [
      { ropeScaling: { ...llama3, originalPositions: Infinity } },
      "ropeScaling.originalPositions is null, wanted a finite number above 0",
    ],
  ];
  for (const [change, message] of wrong) {
    assertThrows(
      () => checkConfig({ ...config, ...change } as LlamaConfig),
      RangeError,
      `LlamaConfig: ${message}`,
    );
  }
  assertEquals(wrong.length, 31);
});
