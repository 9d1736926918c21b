/**
 * Learned sinks, and losses that depend on logSumExp, in the float64 twin: a case worked by hand,
 * NaN and wrong input.
 */
import * as reference from "../../../src/reference/mod.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { distance } from "../../support/vectors.ts";
import { drawSinks } from "./sink_case.ts";

const { attentionForward, attentionBackward, attentionWeights, tensor } = reference;

Deno.test("attentionForward() with a sink gives the values of a case worked by hand", () => {
  // Row 0 has logit 0, row 1 logits 0 and log 3. Head 0's sink of log 2 gives row 0 the weight 1/3,
  // and row 1 the weights 1/6 and 3/6. Head 1's sink of 0 gives row 0 the weight 1/2, and row 1 the
  // weights 1/5 and 3/5.
  const query = tensor([1, 1, 1, 1], [1, 2, 2, 1]);
  const key = tensor([0, Math.log(3)], [1, 1, 2, 1]);
  const value = tensor([4, 8], [1, 1, 2, 1]);
  const sinkLogit = tensor([Math.log(2), 0], [2]);
  const near = (actual: Float64Array, wanted: number[]) =>
    assert(distance(actual, wanted) < 1e-14, `${actual} is not ${wanted}`);
  const forward = attentionForward({ query, key, value, sinkLogit });
  near(forward.output.data, [4 / 3, 14 / 3, 2, 28 / 5]);
  near(forward.logSumExp.data, [3, 6, 2, 5].map(Math.log));
  near(attentionWeights({ query, key, sinkLogit }).data, [
    1 / 3,
    0,
    1 / 6,
    1 / 2,
    1 / 2,
    0,
    0.2,
    0.6,
  ]);
  // The sink's share b of rows 0 and 1 is 2/3 and 1/3 in head 0, 1/2 and 1/5 in head 1. The
  // output is D = ⟨g, y⟩, because g = 1. ∂L/∂s = Σ b (ℓ − D), where ℓ = ∂L/∂logSumExp.
  const outputGradient = tensor([1, 1, 1, 1], [1, 2, 2, 1]);
  const logSumExpGradient = tensor([1, 0, 0, 5], [1, 2, 2]);
  const inputs = { query, key, value, sinkLogit, ...forward, outputGradient };
  near(attentionBackward(inputs).sinkLogitGradient!.data, [-8 / 9 - 14 / 9, -1 - 28 / 25]);
  near(
    attentionBackward({ ...inputs, logSumExpGradient }).sinkLogitGradient!.data,
    [2 / 3 - 8 / 9 - 14 / 9, -1 + 1 - 28 / 25],
  );
});

Deno.test("NaN or +Infinity as one head's sink makes that head NaN, and the gradients of its keys", () => {
  const drawn = drawSinks({
    batch: 1,
    keyHeads: 2,
    group: 2,
    length: 3,
    headDim: 2,
    pattern: "normal",
    seed: 5,
    scale: undefined,
  });
  const run = (sinkLogit: reference.ReferenceTensor) => {
    const forward = attentionForward({ ...drawn, sinkLogit });
    return { ...forward, ...attentionBackward({ ...drawn, ...forward, sinkLogit }) };
  };
  const clean = run(drawn.sinkLogit);
  for (const bad of [NaN, Infinity]) {
    const spoiled = tensor(drawn.sinkLogit.data, [4]);
    spoiled.data[2] = bad;
    const dirty = run(spoiled);
    for (const [name, { data }] of Object.entries(dirty)) {
      const blocks = name === "keyGradient" || name === "valueGradient" ? 2 : 4;
      const lost = blocks === 2 ? 1 : 2;
      const size = data.length / blocks;
      data.forEach((x, i) => {
        if (Math.floor(i / size) === lost) assert(Number.isNaN(x), `${name}[${i}] is ${x}`);
        else assertEquals(x, clean[name as keyof typeof clean]!.data[i], `${name}[${i}]`);
      });
    }
  }
});

Deno.test("attention names a sink or a gradient of logSumExp that has a wrong shape", () => {
  const drawn = drawSinks({
    batch: 1,
    keyHeads: 1,
    group: 2,
    length: 3,
    headDim: 2,
    pattern: "normal",
    seed: 6,
    scale: undefined,
  });
  const forward = attentionForward(drawn);
  const wrong = tensor([1, 2, 3], [3]);
  for (
    const call of [
      () => attentionForward({ ...drawn, sinkLogit: wrong }),
      () => attentionWeights({ ...drawn, sinkLogit: wrong }),
      () => attentionBackward({ ...drawn, ...forward, sinkLogit: wrong }),
    ]
  ) {
    assertThrows(call, TypeError, "sinkLogit has shape [3], wanted [2] as query is [1, 2, 3, 2]");
  }
  assertThrows(
    () => attentionBackward({ ...drawn, ...forward, logSumExpGradient: wrong }),
    TypeError,
    "logSumExpGradient has shape [3], wanted [1, 2, 3] as query is [1, 2, 3, 2]",
  );
  assertThrows(
    () => attentionForward({ ...drawn, sinkLogit: null as never }),
    TypeError,
    "sinkLogit is null, wanted a tensor",
  );
});
