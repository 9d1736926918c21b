/** Sliding windows in config.json. */
import { CONFIGS } from "../../../support/model/configs.ts";
import { ownFields, parse, refused } from "./parse.ts";

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
