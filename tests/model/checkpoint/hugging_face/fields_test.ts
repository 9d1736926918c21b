/** The fields of config.json that parseHuggingFaceConfig() refuses, accepts and lists. */
import { assertEquals } from "../../../support/assert/assert.ts";
import { CONFIGS, type Fields } from "../../../support/model/configs.ts";
import { own, ownFields, parse, refused } from "./parse.ts";

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
  // Qwen2 always has biases on query, key and value: transformers ignores its `attention_bias`.
  for (const given of [true, false]) {
    const { config, unknownFields } = parse({ ...CONFIGS.qwen2Of4, attention_bias: given });
    assertEquals([config.projectionBiases, unknownFields], [true, ["attention_bias"]]);
    assertEquals(config.attentionOutputBias, undefined);
  }
});
