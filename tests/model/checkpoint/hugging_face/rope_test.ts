/** RoPE's fields, which config.json may have in several places. */
import { assertEquals } from "../../../support/assert/assert.ts";
import type { Fields } from "../../../support/model/configs.ts";
import { ownFields, parse, refused } from "./parse.ts";

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
    // Parameters for a kind of layer that the model lacks do not count.
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
