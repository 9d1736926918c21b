import { chooseKernels } from "../../../src/model/llama/build.ts";
import { attentionBackwardVariants } from "../../../src/ops/attention/backward_variants.ts";
import { attentionForwardVariants } from "../../../src/ops/attention/forward_variants.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { siblingGpu, testGpu } from "../../support/gpu.ts";

const attention = {
  batches: 2,
  queryHeads: 2,
  keyValueHeads: 1,
  sequenceLength: 64,
  headDim: 32,
};

Deno.test("chooseKernels() leaves the choice to the operators on GPUs", async () => {
  const gpu = siblingGpu(await testGpu("deno"), { software: false });
  assertEquals(chooseKernels(gpu, { preference: "steps", attention }), {});
  assertEquals(chooseKernels(gpu, { preference: "start", attention }), {});
});

Deno.test("chooseKernels() takes variants that fit the adapter, fast to compile or fast to run", async () => {
  const gpu = siblingGpu(await testGpu("deno"), { software: true });
  assertEquals(chooseKernels(gpu, { preference: "start", attention }), {
    matmul: "portable",
    attentionForward: "portable",
    attentionBackward: "portable",
  });
  for (const headDim of [8, 64, 128, 256]) {
    const short = { ...attention, headDim, sequenceLength: 8 };
    const long = { ...short, sequenceLength: 1024 };
    const chosen = chooseKernels(gpu, { preference: "steps", attention: short });
    for (
      const [name, variants] of [
        [chosen.attentionForward, attentionForwardVariants],
        [chosen.attentionBackward, attentionBackwardVariants],
      ] as const
    ) {
      const variant = variants.find((each) => each.name === name);
      assert(variant !== undefined && variant.name !== "portable", `${name} for D = ${headDim}`);
      assertEquals(variant.unfit(gpu, short), undefined);
      // For the short or the long sequence the operator itself chooses this variant, so compiling
      // the variant is justified.
      assert(variant.suits(gpu, short) || variant.suits(gpu, long), `${name} for D = ${headDim}`);
    }
  }
});
