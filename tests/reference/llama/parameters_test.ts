import {
  INITIAL_DEVIATION,
  type LlamaConfig,
  PLAIN_LLAMA,
} from "../../../src/reference/llama/config.ts";
import {
  initialValues,
  listParameters,
  parameterLength,
} from "../../../src/reference/llama/parameters.ts";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "../../support/assert/assert.ts";

const config: LlamaConfig = {
  vocabulary: 50,
  layers: 2,
  modelDim: 8,
  queryHeads: 4,
  keyValueHeads: 2,
  headDim: 12,
  feedForwardDim: 20,
  ...PLAIN_LLAMA,
  vScale: "learned",
  layersWithoutAttention: [0],
};

Deno.test("listParameters() has Hugging Face's names and shapes", () => {
  assertEquals(listParameters(config).map(({ name, shape }) => `${name} ${shape.join("×")}`), [
    "model.embed_tokens.weight 50×8",
    "model.layers.0.post_attention_layernorm.weight 8",
    "model.layers.0.mlp.gate_proj.weight 20×8",
    "model.layers.0.mlp.up_proj.weight 20×8",
    "model.layers.0.mlp.down_proj.weight 8×20",
    "model.layers.1.input_layernorm.weight 8",
    "model.layers.1.self_attn.q_proj.weight 48×8",
    "model.layers.1.self_attn.k_proj.weight 24×8",
    "model.layers.1.self_attn.v_proj.weight 24×8",
    "model.layers.1.self_attn.v_scale_theta 2",
    "model.layers.1.self_attn.o_proj.weight 8×48",
    "model.layers.1.post_attention_layernorm.weight 8",
    "model.layers.1.mlp.gate_proj.weight 20×8",
    "model.layers.1.mlp.up_proj.weight 20×8",
    "model.layers.1.mlp.down_proj.weight 8×20",
    "model.norm.weight 8",
    "lm_head.weight 50×8",
  ]);
  const names = (change: Partial<LlamaConfig>) =>
    listParameters({ ...config, ...change }).map(({ name }) => name);
  assertEquals(names({ tiedHead: true }), names({}).slice(0, -1));
  const beyond = (change: Partial<LlamaConfig>) =>
    listParameters({ ...config, ...change })
      .filter(({ name }) => !names({}).includes(name))
      .map(({ name, shape }) => `${name} ${shape.join("×")}`);
  assertEquals(beyond({ projectionBiases: true }), [
    "model.layers.1.self_attn.q_proj.bias 48",
    "model.layers.1.self_attn.k_proj.bias 24",
    "model.layers.1.self_attn.v_proj.bias 24",
  ]);
  assertEquals(beyond({ attentionOutputBias: true }), [
    "model.layers.1.self_attn.o_proj.bias 8",
  ]);
  assertEquals(beyond({ queryKeyNorm: true }), [
    "model.layers.1.self_attn.q_norm.weight 12",
    "model.layers.1.self_attn.k_norm.weight 12",
  ]);
  assertEquals(beyond({ attentionGate: "head" }), [
    "model.layers.1.self_attn.gate_proj.weight 4×8",
  ]);
  assertEquals(beyond({ attentionGate: "element" }), [
    "model.layers.1.self_attn.gate_proj.weight 48×8",
  ]);
  assertEquals(beyond({ sinkLogit: "learned" }), ["model.layers.1.self_attn.sinks 4"]);
  assertEquals(names({ attentionGate: "none", sinkLogit: "zero" }), names({}));
  assertEquals(names({ vScale: "fixed" }), names({}).filter((name) => !name.endsWith("theta")));
});

Deno.test("listParameters() marks matrices for weight decay, and nothing else", () => {
  const all = { ...config, sinkLogit: "learned", attentionGate: "head" } as const;
  for (const { name, shape, decayed } of listParameters(all)) {
    assertEquals(decayed, shape.length === 2, name);
  }
});

Deno.test("initialValues() draws matrices, and starts gains at 1, θ and sinks at 0", () => {
  for (const parameter of listParameters({ ...config, sinkLogit: "learned" })) {
    const values = initialValues(parameter, { seed: 3 });
    assertEquals(values.length, parameterLength(parameter));
    if (parameter.shape.length === 1) {
      const start = /(theta|sinks)$/.test(parameter.name) ? 0 : 1;
      assert(values.every((value) => value === start), parameter.name);
    }
  }
  const wide = listParameters({ ...config, vocabulary: 5000 })[0]!;
  const values = initialValues(wide, { seed: 3 });
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
  // Five standard errors for 40,000 draws.
  assert(Math.abs(mean) < 5 * INITIAL_DEVIATION / 200, `mean ${mean}`);
  assert(
    Math.abs(square / INITIAL_DEVIATION ** 2 - 1) < 5 * Math.SQRT2 / 200,
    `mean square ${square}`,
  );
});

Deno.test("initialValues() depends on seed and name alone", () => {
  const drawn = (change: Partial<LlamaConfig>, seed: number) =>
    new Map(
      listParameters({ ...config, ...change })
        .filter(({ initial }) => initial === "normal")
        .map((parameter) => [parameter.name, initialValues(parameter, { seed })]),
    );
  const all = drawn({}, 5);
  for (
    const change of [{ vScale: "none" }, { layers: 3 }, {
      attentionGate: "head",
      sinkLogit: "learned",
    }] as const
  ) {
    const others = drawn(change, 5);
    for (const [name, values] of all) assertEquals(others.get(name), values, name);
  }
  // Parameters of different names have different values, even if their shapes are equal.
  const seeds = [5, 6, -5, 5 + 2 ** 40].map((seed) => drawn({}, seed));
  const beginnings = seeds.flatMap((values) =>
    [...values.values()].map((each) => each.subarray(0, 8).join())
  );
  assertEquals(new Set(beginnings).size, beginnings.length);
  assertNotEquals(seeds[0], seeds[1]);
  assertThrows(
    () => initialValues(listParameters(config)[0]!, { seed: 0.5 }),
    RangeError,
    "seed is 0.5",
  );
});
