/** config.json as huggingFaceConfig() writes it, and as parseHuggingFaceConfig() reads it. */
import { CheckpointError } from "../../../src/model/checkpoint/error.ts";
import {
  huggingFaceConfig,
  parseHuggingFaceConfig,
} from "../../../src/model/checkpoint/hugging_face.ts";
import type { Architecture } from "../../../src/model/pretrained/architecture.ts";
import { checkConfig, type LlamaConfig, PLAIN_LLAMA } from "../../../src/reference/llama/config.ts";
import { listParameters } from "../../../src/reference/llama/parameters.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { CONFIGS, type Fields } from "../../support/model/configs.ts";
import { own, ownFields, parse, refused } from "./hugging_face/parse.ts";

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
