import { CheckpointError } from "../../../src/model/checkpoint/error.ts";
import {
  huggingFaceConfig,
  parseHuggingFaceConfig,
} from "../../../src/model/checkpoint/hugging_face.ts";
import type { Architecture } from "../../../src/model/pretrained/architecture.ts";
import { checkConfig, type LlamaConfig, PLAIN_LLAMA } from "../../../src/reference/llama/config.ts";
import { listParameters } from "../../../src/reference/llama/parameters.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { SMALL_LLAMA } from "../../support/model/llama.ts";
import { CONFIGS, type Fields } from "../../support/model/configs.ts";

const own: LlamaConfig = { ...SMALL_LLAMA, vScale: "learned" };
const ownFields = huggingFaceConfig(own, 9);

function parse(fields: Fields, context?: number): Architecture {
  return parseHuggingFaceConfig(JSON.stringify(fields), "c.json", { context });
}

function refused(fields: Fields, message: string, context?: number): void {
  const error = assertThrows(() => parse(fields, context), CheckpointError, message);
  assert(error.message.startsWith("c.json: "), error.message);
  assert(!error.message.includes("\n"), error.message);
}

Deno.test("huggingFaceConfig() names a model Llama only if every Llama program computes it correctly", () => {
  const named = (change: Partial<typeof own>) => {
    const fields = huggingFaceConfig({ ...own, ...change }, 9);
    assertEquals(parse(fields).config, { ...own, ...change }, "it is read again");
    // Older files call every model a Llama.
    const before = { model_type: "llama", architectures: ["LlamaForCausalLM"] };
    assertEquals(parse({ ...fields, ...before }).config, { ...own, ...change });
    return [fields.model_type, fields.architectures];
  };
  const plain = { vScale: "none", layersWithoutAttention: [] } as const;
  const special = ["gradsink_llama", ["GradsinkLlamaForCausalLM"]];
  assertEquals(named(plain), ["llama", ["LlamaForCausalLM"]]);
  for (const vScale of ["fixed", "learned", "backward-only"] as const) {
    assertEquals(named({ ...plain, vScale }), special);
  }
  assertEquals(named({ ...plain, layersWithoutAttention: [0] }), special);
  for (const sinkLogit of ["learned", "zero"] as const) {
    assertEquals(named({ ...plain, sinkLogit }), special);
  }
  for (const attentionGate of ["head", "element"] as const) {
    assertEquals(named({ ...plain, attentionGate }), special);
  }
});

Deno.test("parseHuggingFaceConfig() undoes huggingFaceConfig(), and refuses impossible shapes", () => {
  assertEquals(parse(ownFields), {
    family: "llama",
    config: own,
    positions: 9,
    beginToken: undefined,
    endTokens: [],
    unknownFields: [],
  });
  const change = (fields: Fields) => ({ ...ownFields, ...fields });
  assertEquals(
    parse(change({ num_key_value_heads: undefined })).config.keyValueHeads,
    own.queryHeads,
  );
  refused(
    change({ num_attention_heads: 3 }),
    "num_attention_heads is 3, wanted a multiple of the 2",
  );
  refused(change({ hidden_size: undefined }), "hidden_size is missing, wanted an integer");
  refused(change({ hidden_size: "12" }), 'hidden_size is "12"');
  refused(change({ head_dim: undefined }), "head_dim is 3, wanted");
  refused(change({ rms_norm_eps: undefined }), "rms_norm_eps is missing");
  refused(change({ max_position_embeddings: 0 }), "max_position_embeddings is 0");
  refused(change({ gradsink: { v_scale: "most" } }), 'gradsink.v_scale is "most"');
  refused(
    change({ gradsink: { layers_without_attention: [3] } }),
    "gradsink.layers_without_attention is [3]",
  );
  refused(change({ gradsink: { attention_gate: 1 } }), "gradsink.attention_gate is 1, wanted one");
  refused(change({ gradsink: { sink_logit: "one" } }), 'gradsink.sink_logit is "one", wanted');
  refused(change({ gradsink: 5 }), "gradsink: is 5, wanted an object");
  refused(
    change({ gradsink: { v_scale: "none", gate: 1 } }),
    "gradsink.gate is unknown: a later version wrote it",
  );
  refused(
    change({ gradsink: { v_scale: "fixed", v_scale_constant: 7 } }),
    "gradsink.v_scale_constant is 7, wanted 0.0",
  );
  refused(change({ bos_token_id: "<s>" }), 'bos_token_id is "<s>", wanted a token\'s number');
  for (const text of ["", "[]", "null", '"{}"', "{"]) {
    assertThrows(() => parseHuggingFaceConfig(text, "c.json"), CheckpointError, "c.json: is ");
  }
  // An inherited property is not a field of the file.
  assertThrows(
    () => parseHuggingFaceConfig('{"__proto__":{"model_type":"llama"}}', "c.json"),
    CheckpointError,
    "model_type is missing",
  );
});

Deno.test("huggingFaceConfig() refuses a model that its fields cannot describe", () => {
  assertThrows(
    () => huggingFaceConfig({ ...own, projectionBiases: true }, 9),
    RangeError,
    "huggingFaceConfig: projectionBiases is true",
  );
});

Deno.test("parseHuggingFaceConfig() reads each family, as transformers 4 and 5 write it", () => {
  const shape = {
    vocabulary: 64,
    layers: 2,
    modelDim: 32,
    queryHeads: 4,
    keyValueHeads: 2,
    headDim: 8,
    feedForwardDim: 48,
    ...PLAIN_LLAMA,
    normEpsilon: 1e-6,
  } as const satisfies LlamaConfig;
  const llama3 = {
    type: "llama3",
    factor: 32,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalPositions: 16,
  } as const;
  const wanted: Record<keyof typeof CONFIGS, Partial<Architecture> & { config: LlamaConfig }> = {
    llamaOf4: {
      config: { ...shape, ropeBase: 500_000, tiedHead: true, ropeScaling: llama3 },
      beginToken: 1,
      endTokens: [2, 3],
    },
    llamaOf5: {
      config: { ...shape, ropeBase: 500_000, tiedHead: true, ropeScaling: llama3 },
      beginToken: 1,
      endTokens: [2, 3],
    },
    mistralOf4: { family: "mistral", config: { ...shape, ropeBase: 1e6 } },
    qwen2Of4: {
      family: "qwen2",
      config: { ...shape, ropeBase: 1e6, tiedHead: true, projectionBiases: true },
    },
    qwen2Of5: {
      family: "qwen2",
      config: { ...shape, ropeBase: 1e6, tiedHead: true, projectionBiases: true },
    },
    qwen3Of4: {
      family: "qwen3",
      config: { ...shape, headDim: 16, ropeBase: 1e6, tiedHead: true, queryKeyNorm: true },
    },
    qwen3Of5: {
      family: "qwen3",
      config: { ...shape, headDim: 16, ropeBase: 1e6, tiedHead: true, queryKeyNorm: true },
    },
  };
  for (const [name, fields] of Object.entries(CONFIGS)) {
    assertEquals(parse(fields), {
      family: "llama",
      positions: 128,
      beginToken: undefined,
      endTokens: [],
      unknownFields: [],
      ...wanted[name as keyof typeof CONFIGS],
    }, name);
  }
});

Deno.test("parseHuggingFaceConfig() takes the defaults of each family", () => {
  const { head_dim: _, num_key_value_heads: __, ...qwen3 } = CONFIGS.qwen3Of4;
  const wide = { ...qwen3, num_attention_heads: 64 };
  assertEquals(parse(wide).config.headDim, 128);
  assertEquals(parse(wide).config.keyValueHeads, 32);
  const { num_key_value_heads: ___, ...mistral } = CONFIGS.mistralOf4;
  assertEquals(parse({ ...mistral, num_attention_heads: 8, head_dim: 4 }).config.keyValueHeads, 8);
  // Null means as many key heads as query heads.
  assertEquals(parse({ ...mistral, num_key_value_heads: null }).config.keyValueHeads, 4);
  const { rope_theta: ____, ...plain } = CONFIGS.mistralOf4;
  assertEquals(parse(plain).config.ropeBase, 10_000);
});

Deno.test("parseHuggingFaceConfig() reads RoPE's fields from every place that holds them, and refuses contradictions", () => {
  const { rope_theta: _, rope_scaling: __, ...none } = ownFields;
  const ropeOf = (fields: Fields): unknown[] => {
    const { config: { ropeBase, ropeScaling }, unknownFields } = parse({ ...none, ...fields });
    return [ropeBase, ropeScaling, unknownFields];
  };
  const plain = [500, undefined, []];
  assertEquals(ropeOf({ rope_theta: 500, rope_scaling: null }), plain);
  assertEquals(ropeOf({ rope_theta: 500, rope_scaling: { rope_type: "default" } }), plain);
  assertEquals(ropeOf({ rope_theta: 500, rope_scaling: { type: "default" } }), plain);
  assertEquals(ropeOf({ rope_parameters: { rope_type: "default", rope_theta: 500 } }), plain);
  assertEquals(ropeOf({ rope_parameters: { rope_theta: 500 } }), plain);
  assertEquals(
    ropeOf({ rope_parameters: { full_attention: { rope_type: "default", rope_theta: 500 } } }),
    plain,
  );
  const parameters = { rope_type: "default", rope_theta: 500 };
  assertEquals(ropeOf({ rope_theta: 500, rope_parameters: parameters }), plain);
  assertEquals(ropeOf({ rope_scaling: {}, rope_parameters: parameters }), plain);
  const linear = [10_000, { type: "linear", factor: 4 }, []];
  assertEquals(ropeOf({ rope_scaling: { type: "linear", factor: 4 } }), linear);
  assertEquals(
    ropeOf({ rope_scaling: { type: "linear", rope_type: "linear", factor: 4 } }),
    linear,
  );
  assertEquals(ropeOf({ rope_parameters: { rope_type: "linear", factor: 4 } }), linear);
  assertEquals(
    ropeOf({ rope_theta: 500, rope_scaling: { type: "default", beta: 1, mscale: null } }),
    [500, undefined, ["rope_scaling.beta"]],
  );
  const wrong: readonly [Fields, string][] = [
    [
      { rope_theta: 10_000, rope_parameters: parameters },
      "rope_theta is 10000, but rope_parameters.rope_theta is 500: remove the one",
    ],
    [
      { rope_scaling: { type: "linear", factor: 4 }, rope_parameters: parameters },
      'rope_parameters is "default", but rope_scaling is {"type":"linear","factor":4}',
    ],
    [
      { rope_scaling: { type: "linear", rope_type: "default", factor: 4 } },
      'rope_scaling.rope_type is "default", but rope_scaling.type is "linear"',
    ],
    [{ rope_scaling: { factor: 2 } }, "rope_scaling.rope_type is missing, wanted one of default"],
    [{ rope_scaling: "linear" }, 'rope_scaling: is "linear", wanted an object'],
    [{ rope_parameters: { rope_type: "yarn", factor: 4 } }, 'rope_type is "yarn", wanted one of'],
    [{ rope_scaling: { type: "dynamic", factor: 4 } }, 'rope_type is "dynamic", wanted one of'],
    [{ rope_scaling: { type: "toString" } }, 'rope_type is "toString", wanted one of'],
    [{ rope_scaling: { type: "linear" } }, "rope_scaling.factor is missing, wanted a number"],
    [{ rope_scaling: { type: "linear", factor: -1 } }, "RoPE's factor is -1, wanted a finite"],
    [
      { rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1 } },
      "rope_scaling.high_freq_factor is missing",
    ],
    [
      { rope_parameters: { rope_type: "default", partial_rotary_factor: 0.5 } },
      "rope_parameters.partial_rotary_factor is 0.5, wanted 1",
    ],
    [{ rope_theta: "10000" }, 'rope_theta is "10000"'],
  ];
  for (const [fields, message] of wrong) refused({ ...none, ...fields }, message);
});

Deno.test("parseHuggingFaceConfig() refuses RoPE that differs between the kinds of layers", () => {
  const { rope_theta: _, rope_scaling: __, ...none } = ownFields;
  const [full, sliding] = [{ rope_theta: 500 }, { rope_theta: 500, rope_type: "default", new: 1 }];
  const given = (rope_parameters: Fields, layer_types?: readonly string[]) => ({
    ...none,
    sliding_window: 128,
    rope_parameters,
    ...layer_types === undefined ? {} : { layer_types },
  });
  const both = ["full_attention", "sliding_attention", "full_attention"];
  const same = given({ full_attention: full, sliding_attention: sliding }, both);
  const { config: { ropeBase }, unknownFields } = parse(same);
  assertEquals([ropeBase, unknownFields], [500, ["rope_parameters.sliding_attention.new"]]);
  const differ = "rope_parameters.full_attention and rope_parameters.sliding_attention differ";
  for (
    const other of [
      { rope_theta: 10_000 },
      { ...full, rope_type: "linear", factor: 2 },
      {}, // The default base is not 500.
    ]
  ) {
    const parameters = { full_attention: full, sliding_attention: other };
    refused(given(parameters, both), differ);
    refused(given(parameters), differ);
    // Only the kinds that the model has count.
    assertEquals(parse(given(parameters, Array(3).fill(both[0]))).config.ropeBase, 500);
    const all = given({ full_attention: other, sliding_attention: full }, Array(3).fill(both[1]));
    assertEquals(parse(all).config.ropeBase, 500);
  }
  parse({ ...given({ full_attention: full, sliding_attention: {} }, both), rope_theta: 500 });
  refused(
    given({ full_attention: full }, both),
    "rope_parameters lacks sliding_attention, which layer_types names",
  );
});

Deno.test("parseHuggingFaceConfig() refuses a sliding window only if it excludes keys", () => {
  const { mistralOf4: mistral, qwen2Of4: qwen2 } = CONFIGS;
  const binds = "sliding_window is 8, wanted at least the context of 128 tokens or null";
  for (const fields of [mistral, { ...ownFields, max_position_embeddings: 128 }]) {
    refused({ ...fields, sliding_window: 8 }, binds);
    parse({ ...fields, sliding_window: 8 }, 8);
    parse({ ...fields, sliding_window: 128 });
    refused({ ...fields, sliding_window: 8 }, "the context of 9 tokens", 9);
    refused({ ...fields, sliding_window: "8" }, 'sliding_window is "8"');
    refused({ ...fields, sliding_window: 0 }, "sliding_window is 0");
  }
  parse({ ...qwen2, sliding_window: 8, use_sliding_window: false, max_window_layers: 0 });
  const sliding = { ...qwen2, sliding_window: 8, use_sliding_window: true };
  refused({ ...sliding, max_window_layers: 1 }, binds);
  parse({ ...sliding, max_window_layers: 2 });
  parse({ ...sliding, max_window_layers: 0, layer_types: Array(2).fill("full_attention") });
  const types = ["full_attention", "sliding_attention"];
  refused({ ...sliding, layer_types: types }, binds);
  refused({ ...mistral, layer_types: types }, "layer_types names sliding_attention, but");
  refused(
    { ...mistral, layer_types: ["full_attention", "chunked_attention"] },
    'layer_types names "chunked_attention", wanted full_attention or sliding_attention',
  );
  refused({ ...mistral, layer_types: ["full_attention"] }, "wanted a list of the 2 layers' kinds");
  // A missing field has the family's default.
  const long = { sliding_window: undefined, max_position_embeddings: 8192 };
  const byDefault = "sliding_window is missing, which stands for 4096 in";
  refused({ ...mistral, ...long }, `${byDefault} mistral, wanted at least the context of 8192`);
  parse({ ...mistral, ...long }, 4096);
  parse({ ...mistral, ...long, sliding_window: null });
  parse({ ...qwen2, ...long });
  refused(
    { ...qwen2, ...long, use_sliding_window: true, max_window_layers: 0 },
    `${byDefault} qwen2`,
  );
  parse({ ...ownFields, ...long });
});

Deno.test("parseHuggingFaceConfig() refuses features that it does not compute, by name", () => {
  const wrong: readonly [Fields, string][] = [
    [{ model_type: "gpt_neox" }, 'model_type is "gpt_neox", wanted one of llama, mistral, qwen2'],
    [{ model_type: "mixtral" }, 'model_type is "mixtral"'],
    [{ architectures: ["LlamaForSequenceClassification"] }, "architectures is"],
    [{ architectures: ["MistralForCausalLM"] }, 'wanted ["GradsinkLlamaForCausalLM"]'],
    [{ hidden_act: "gelu" }, 'hidden_act is "gelu", wanted "silu"'],
    [{ hidden_act: undefined }, "hidden_act is missing"],
    [{ attention_bias: "yes" }, 'attention_bias is "yes", wanted true or false'],
    [{ mlp_bias: true }, "mlp_bias is true, wanted false"],
    [{ qkv_bias: true }, "qkv_bias is true, wanted false"],
    [{ rope_interleaved: true }, "rope_interleaved is true, wanted false"],
    [{ rotary_interleaved: true }, "rotary_interleaved is true, wanted false"],
    [{ quantization_config: { bits: 4, quant_method: "gptq" } }, "quantization_config is"],
    [{ partial_rotary_factor: 0.5 }, "partial_rotary_factor is 0.5, wanted 1"],
    [{ num_local_experts: 8 }, "num_local_experts is 8, wanted 0"],
    [{ num_experts: 60 }, "num_experts is 60"],
    [{ norm_type: "layernorm" }, 'norm_type is "layernorm", wanted "rmsnorm"'],
    [{ layer_norm_eps: 1e-3 }, "layer_norm_eps is 0.001, wanted 0.00001"],
    [{ final_logit_softcapping: 30 }, "final_logit_softcapping is 30, wanted null"],
    [{ residual_multiplier: 0.22 }, "residual_multiplier is 0.22, wanted 1"],
    [{ no_rope_layers: [1, 1, 0] }, "no_rope_layers is [1,1,0], wanted []"],
    [{ is_encoder_decoder: true }, "is_encoder_decoder is true"],
    [{ pruned_heads: { 1: [0] } }, "pruned_heads is"],
    [{ per_layer_config: { 0: { head_dim: 4 } } }, "per_layer_config is"],
  ];
  for (const [fields, message] of wrong) refused({ ...ownFields, ...fields }, message);
  refused(
    { ...CONFIGS.mistralOf4, attention_bias: true },
    "attention_bias is true, wanted false: the family has no biases",
  );
});

Deno.test("parseHuggingFaceConfig() accepts neutral values and harmless fields, and lists all others", () => {
  const { unknownFields } = parse({
    ...ownFields,
    quantization_config: null,
    num_experts: 0,
    pruned_heads: {},
    residual_multiplier: 1,
    layer_norm_eps: own.normEpsilon,
    rope_interleaved: false,
    is_llama_config: true,
    id2label: { 0: "LABEL_0" },
    transformers_version: "4.57.1",
    _name_or_path: "here",
    eos_token_id: -1,
    auto_map: { AutoModelForCausalLM: "modeling.Model" },
    gate_softness: 0.3,
  });
  assertEquals(unknownFields, ["auto_map", "gate_softness"]);
  // Qwen2 always has biases on query, key and value; its class ignores the field.
  for (const given of [true, false]) {
    const { config, unknownFields } = parse({ ...CONFIGS.qwen2Of4, attention_bias: given });
    assertEquals([config.projectionBiases, unknownFields], [true, ["attention_bias"]]);
    assertEquals(config.attentionOutputBias, undefined);
  }
});

Deno.test("parseHuggingFaceConfig() adds attention's biases if config.json asks for them", () => {
  for (const fields of [CONFIGS.llamaOf4, CONFIGS.qwen3Of5]) {
    for (const given of [true, false, null]) {
      const { config, unknownFields } = parse({ ...fields, attention_bias: given });
      assertEquals(config.projectionBiases ?? false, given ?? false);
      assertEquals(config.attentionOutputBias ?? false, given ?? false);
      assertEquals(unknownFields, []);
    }
  }
});

Deno.test("parseHuggingFaceConfig() turns any value of any field into a possible model, or an error of one line", () => {
  const values = [null, true, false, 0, -1, 0.5, 3, 1e99, "x", "", [], [0], {}, { a: 1 }, [null]];
  const answers = { read: 0, refused: 0 };
  const ropeFields = ["rope_type", "rope_theta", "factor", "low_freq_factor", "type"];
  for (const fields of Object.values(CONFIGS) as Fields[]) {
    const changes = Object.keys({ ...fields, layer_types: 0, gradsink: 0, quantization_config: 0 })
      .flatMap((name) => values.map((value) => ({ ...fields, [name]: value })));
    const rope = "rope_parameters" in fields ? "rope_parameters" : "rope_scaling";
    for (const name of ropeFields) {
      for (const value of values) {
        changes.push({ ...fields, [rope]: { ...fields[rope] as Fields, [name]: value } });
      }
    }
    for (const change of changes) {
      try {
        const { config, positions } = parse(change);
        checkConfig(config);
        assert(Number.isSafeInteger(positions) && positions > 0);
        // listParameters() throws unless every parameter has a shape.
        listParameters(config);
        answers.read++;
      } catch (error) {
        const what = `${JSON.stringify(change)}: ${error}`;
        assert(error instanceof CheckpointError, what);
        assert(/^c\.json: [^\n]+$/.test(error.message), what);
        answers.refused++;
      }
    }
  }
  assert(answers.read > 500 && answers.refused > 500, JSON.stringify(answers));
});
