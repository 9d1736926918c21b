import { RunError } from "../../../src/experiments/run/error.ts";
import {
  adapterOf,
  parseRunState,
  restoreVariants,
  type RunState,
} from "../../../src/experiments/run/state.ts";
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { gpuInfo } from "../../support/gpu/info.ts";

const info = gpuInfo({ vendor: "nvidia", description: "H100" });

const state: RunState = {
  losses: [0.5, 0.25],
  oracleLosses: [null, null],
  adapter: "H100 (deno, vulkan)",
  variants: { "matmul/f32/large": "tiled-8" },
  corpusDigest: null,
};

Deno.test("restoreVariants() restores the variants that the run began with, on the same adapter only", () => {
  const notes: string[] = [];
  using same = createDryGpu(info);
  same.variants.set("rmsNormForward", "tuned since");
  restoreVariants(same, state, (text) => notes.push(text));
  assertEquals([...same.variants], [["matmul/f32/large", "tiled-8"]]);
  assertEquals(notes, []);
  using other = createDryGpu({ ...info, description: "", architecture: "ada" });
  other.variants.set("rmsNormForward", "its own");
  restoreVariants(other, state, (text) => notes.push(text));
  assertEquals([...other.variants], [["rmsNormForward", "its own"]]);
  assertEquals(notes, [
    "the run began on H100 (deno, vulkan) and goes on on nvidia ada (deno, vulkan): what follows differs in rounding",
  ]);
});

Deno.test("adapterOf() describes every adapter", () => {
  assertEquals(
    adapterOf({ ...info, vendor: "", description: " " }),
    "unknown adapter (deno, vulkan)",
  );
});

Deno.test("parseRunState() accepts a run's own state and nothing else", () => {
  assertEquals(parseRunState(JSON.parse(JSON.stringify(state))), state);
  const wrong: readonly unknown[] = [
    null,
    5,
    [],
    {},
    { ...state, losses: [1] },
    { ...state, losses: ["1", 2] },
    { ...state, oracleLosses: [1, "2"] },
    { ...state, adapter: undefined },
    { ...state, variants: null },
    { ...state, variants: { a: 5 } },
    { ...state, corpusDigest: 5 },
  ];
  for (const value of wrong) {
    assertThrows(() => parseRunState(value), RunError, "holds no state of a run");
  }
});
