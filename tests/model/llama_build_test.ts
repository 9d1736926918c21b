import { chooseKernels } from "../../src/model/llama_build.ts";
import { attentionBackwardVariants } from "../../src/ops/attention_backward_variants.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { siblingGpu, testGpu } from "../support/gpu.ts";

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

Deno.test("chooseKernels() takes what fits the adapter, fast to compile or fast to run", async () => {
  const gpu = siblingGpu(await testGpu("deno"), { software: true });
  assertEquals(chooseKernels(gpu, { preference: "start", attention }), {
    matmul: "portable",
    attentionForward: "portable",
    attentionBackward: "portable",
  });
  for (const headDim of [8, 64, 128, 256]) {
    const short = { ...attention, headDim, sequenceLength: 8 };
    const { attentionBackward, ...others } = chooseKernels(gpu, {
      preference: "steps",
      attention: short,
    });
    assertEquals(others, {}, "the operators' own choice");
    const chosen = attentionBackwardVariants.find(({ name }) => name === attentionBackward);
    assert(chosen !== undefined && chosen.name !== "portable", `D = ${headDim}`);
    assertEquals(chosen.unfit(gpu, short), undefined);
    // The operator's own choice for sequences long enough to compile for.
    const long = { ...short, sequenceLength: 1024 };
    const own = attentionBackwardVariants.find((each) =>
      each.unfit(gpu, long) === undefined && each.suits(gpu, long)
    );
    assertEquals(attentionBackward, own?.name);
  }
});
