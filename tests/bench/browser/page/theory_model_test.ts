import {
  computeTheory,
  SHOWN,
  type TheoryInput,
} from "../../../../bench/browser/page/theory/model.ts";
import { assert, assertEquals } from "../../../support/assert/assert.ts";
import { onEachRuntime } from "../../../support/gpu.ts";

const usual: TheoryInput = { strength: 6, activation: 1, value: 0.2, valve: "none", constant: 1 };

// The operators' accuracy goal, which is finer than the three digits that the picture shows.
const TOLERANCE = 1e-5;

onEachRuntime("computeTheory() draws the same picture on the GPU as in float64", async (gpu) => {
  const inputs: TheoryInput[] = [
    usual,
    { ...usual, strength: 0, valve: "full" },
    { ...usual, strength: 10, activation: 1000, valve: "backward-only", constant: 0.01 },
  ];
  const before = gpu.memory.buffers;
  for (const input of inputs) {
    const wanted = await computeTheory(input, undefined);
    const found = await computeTheory(input, gpu);
    assertEquals([wanted.by, found.by], ["reference", "gpu"]);
    for (const name of ["mass", "arriving", "passing", "hidden"] as const) {
      assertEquals(found[name].length, SHOWN);
      const scale = Math.max(...wanted[name]);
      assert(scale > 0, `${name} is not zero throughout`);
      found[name].forEach((value, token) => {
        const error = Math.abs(value - wanted[name][token]!) / scale;
        assert(error <= TOLERANCE, `${name} of token ${token} is off by ${error}`);
      });
    }
  }
  assertEquals(gpu.memory.buffers, before);
});

Deno.test("computeTheory() shows what the theory says", async () => {
  const at = (input: Partial<TheoryInput>) => computeTheory({ ...usual, ...input }, undefined);
  const [weak, strong] = [await at({ strength: 0 }), await at({ strength: 9 })];
  assert(strong.mass[0]! > 60 && weak.mass[0]! < 8, "a strong sink takes nearly all rows");
  assert(strong.arriving[0]! > 10 * weak.arriving[0]!, "and collects the gradients");
  assert(strong.arriving[0]! <= strong.bound, "within the bound");
  // RMSNorm's Jacobian shrinks as 1 / (length of the hidden state).
  const [short, long] = [await at({ activation: 10 }), await at({ activation: 100 })];
  assert(Math.abs(short.hidden[0]! / long.hidden[0]! - 10) < 0.01, "ten times as long, a tenth");
  assertEquals(short.hidden.slice(1), long.hidden.slice(1));
  // V-scale passes at most 3r/C of the gradient, where r = ‖v‖² and C is V-scale's constant. It
  // leaves the attention weights as they are.
  const open = await at({}), valved = await at({ valve: "full", value: 0.05 });
  assertEquals(open.passing, open.arriving);
  const share = valved.passing[0]! / valved.arriving[0]!;
  assert(share > 0 && share <= 3 * 0.05 ** 2, `the valve lets ${share} through`);
  assertEquals(valved.mass, open.mass);
  // Backward-only V-scale passes the same gradient as full V-scale: the gradient that arrives does
  // not depend on whether the forward pass scales the values.
  assertEquals((await at({ valve: "backward-only", value: 0.05 })).passing, valved.passing);
});
