/** Operators refuse calls over an adapter's limits. */
import { assertEquals } from "../../../support/assert/assert.ts";
import { onEachRuntime, siblingGpu } from "../../../support/gpu.ts";
import { type Args, free, make, refused } from "./refused.ts";

onEachRuntime("operators refuse more workgroups than a dimension holds", async (gpu) => {
  const narrow = siblingGpu(gpu, { limits: { maxComputeWorkgroupsPerDimension: 2 } });
  const attention = (query: readonly number[], heads: number) => ({
    query: make(narrow, query),
    key: make(narrow, query.with(1, heads)),
    value: make(narrow, query.with(1, heads)),
  });
  const cases: readonly [string, Args, string][] = [
    ["attentionForward", attention([1, 1, 65, 4], 1), "T needs 3 workgroups"],
    ["attentionForward", attention([1, 3, 2, 4], 1), "Hq needs 3 workgroups"],
    ["attentionForward", attention([3, 1, 2, 4], 1), "B needs 3 workgroups"],
    [
      "vScaleForward",
      { value: make(narrow, [1, 3, 1, 1]), constant: make(narrow, [3]) },
      "Hkv needs 3 workgroups",
    ],
    [
      "rmsNormBackward",
      {
        input: make(narrow, [1, 129]),
        gain: make(narrow, [129]),
        inverseRms: make(narrow, [1]),
        outputGradient: make(narrow, [1, 129]),
      },
      "d needs 3 workgroups",
    ],
  ];
  for (const [operator, args, words] of cases) {
    refused(narrow, operator, { args, error: RangeError, words: [words, "this adapter runs 2"] });
    free(args);
  }
  assertEquals(narrow.memory.buffers, 0);
  await narrow.sync();
});

onEachRuntime("operators refuse buffers over the adapter's limit", async (gpu) => {
  for (const limit of ["maxBufferSize", "maxStorageBufferBindingSize"]) {
    const small = siblingGpu(gpu, { limits: { [limit]: 400 } });
    // The tensors have at most 400 bytes and are within the limit. The backward also needs a buffer
    // of 8 bytes per row. For 100 rows that is 800 bytes, which exceeds the limit.
    const shape = [1, 1, 100, 1];
    const args = {
      value: make(small, shape),
      constant: make(small, [1]),
      scaledValueGradient: make(small, shape),
    };
    refused(small, "vScaleBackward", {
      args,
      error: RangeError,
      words: ["a buffer of 800 bytes is wanted, this adapter allows 400"],
    });
    free(args);
    assertEquals(small.memory.buffers, 0);
    await small.sync();
  }
});
