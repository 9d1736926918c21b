/** Custom operators: errors for wrong exports, and the example's correctness. */
import type { KernelPart } from "../../mod.ts";
import { addCustomOperator } from "../../src/measure/custom_operator.ts";
import { checkedOperator } from "../../src/measure/custom_operator/exports.ts";
import { outlineOf } from "../../src/measure/custom_operator/outline.ts";
import { tensorSource } from "../../src/measure/custom_operator/tensors.ts";
import { createWorkload } from "../../src/measure/workloads.ts";
import { passesOf } from "../../src/measure/workloads/operators.ts";
import { shapesOf } from "../../src/measure/workloads/shapes.ts";
import { chosenVariant, variantsOf } from "../../src/measure/workloads/variants.ts";
import * as softcap from "../../bench/operators/softcap.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../support/assert/assert.ts";
import { onEachRuntime, siblingGpu, testGpu } from "../support/gpu.ts";

const digest = "0123456789abcdef";
addCustomOperator(softcap, { digest });

/** A planner that throws, for operators that no test may plan. */
function noPlan(): never {
  throw new Error("nothing is planned here");
}

const sound = {
  name: "double",
  shapes: [{ n: 4 }],
  inputs: () => ({ x: { data: [1, 2, 3, 4], shape: [4] } }),
  twin: () => ({ y: [2, 4, 6, 8] }),
  cost: () => ({ flops: 4, bytes: 32 }),
  plan: noPlan,
};

const wrong: readonly (readonly [given: Record<string, unknown>, message: string])[] = [
  [{ name: undefined }, "exports no name, wanted a text"],
  [{ name: "Double" }, 'name is "Double", wanted lower-case words'],
  [{ name: undefined, nam: "double" }, "did you mean name?"],
  [{ twin: 3 }, "twin is 3, wanted a function"],
  [{ inputs: undefined }, "exports no inputs, wanted a function (lengths, random)"],
  [{ cost: undefined }, "exports no cost, wanted a function"],
  [{ plan: {} }, "plan is {}, wanted a function (gpu, inputs, lengths)"],
  [{ plan: { fast: 1 } }, "plan.fast is 1, wanted a function"],
  [{ plan: { all: noPlan } }, "which --variants takes for a group"],
  [{ plan: { "a b": noPlan } }, 'a variant "a b", wanted letters'],
  [{ tolerance: 2 }, "tolerance is 2, wanted a relative error between 0 and 1"],
  [{ shapes: [] }, "shapes is [], wanted at least one call's lengths"],
  [{ shapes: 5 }, "shapes is 5, wanted a list of lengths"],
  [{
    shapes: () => {
      throw new Error("no idea");
    },
  }, "shapes({ software: false }) threw Error: no idea"],
  [{ shapes: () => Promise.resolve([]) }, "shapes({ software: false }) returned a promise"],
  [{ shapes: [{ n: 1.5 }] }, "shapes[0].n is 1.5, wanted a whole number"],
  [{ shapes: [{ n1: 1 }] }, 'a length "n1", wanted a name of letters only'],
  [{ shapes: [{ n: 1 }, { m: 1 }] }, "wanted the same names in each"],
  [{ backward: 7 }, "backward is 7, wanted an object"],
  [
    { backward: { ...sound, shapes: undefined, name: undefined } },
    "backward has name, which nothi",
  ],
  [{ backward: { inputs: noPlan } }, "exports no backward.twin, wanted a function"],
];

Deno.test("checkedOperator() says what is wanted in place of a wrong export", () => {
  checkedOperator(sound);
  checkedOperator({ ...sound, planDouble: noPlan }); // a helper function of the file
  for (const [given, message] of wrong) {
    const exported = Object.fromEntries(
      Object.entries({ ...sound, ...given }).filter(([, value]) => value !== undefined),
    );
    assertThrows(() => checkedOperator(exported), Error, message);
  }
  assertThrows(() => checkedOperator({ default: sound }), TypeError, "has a default export only");
});

const uncomputable: readonly (readonly [given: Record<string, unknown>, message: string])[] = [
  [{ cost: () => ({ flops: 0, bytes: 0 }) }, "cost at n=4 is"],
  [{ cost: () => Promise.resolve({}) }, "cost at n=4 returned a promise"],
  [{ inputs: () => ({ x: [1, 2] }) }, "inputs at n=4 returned [1,2] for x, wanted { data, shape }"],
  [
    { inputs: () => ({ x: { data: [1], shape: [4] } }) },
    "inputs at n=4 returned 1 numbers for x of shape [4], wanted 4",
  ],
  [{ twin: () => ({ y: [1, NaN] }) }, "twin at n=4 computed NaN for y[1], wanted a number"],
  [{ twin: () => ({ y: "2" }) }, 'twin at n=4 returned "2" for y, wanted a list of numbers'],
  [{ twin: () => [1] }, "twin at n=4 returned [1], wanted the outputs' numbers by name"],
  [{ twin: () => noPlan() }, "twin at n=4 threw Error: nothing is planned here"],
];

Deno.test("outlineOf() names the function and the shape that it cannot compute", () => {
  const outline = outlineOf(checkedOperator(sound), digest);
  assertEquals(outline.passes, { forward: ["portable"] });
  for (const [given, message] of uncomputable) {
    const operator = checkedOperator({ ...sound, ...given });
    assertThrows(() => outlineOf(operator, digest), Error, message);
  }
});

Deno.test("addCustomOperator() refuses a name that is taken", () => {
  for (const name of ["rms-norm", "softcap"]) {
    const again = {
      ...sound,
      name,
      inputs: softcap.inputs,
      twin: softcap.twin,
      shapes: [{ n: 8 }],
    };
    assertThrows(() => addCustomOperator(again), RangeError, `name is "${name}"`);
  }
});

Deno.test("the example's tolerances cover the errors that WGSL allows, and little beyond", () => {
  const random = tensorSource(1);
  const [cap, ulp, n] = [30, 2 ** -23, 2 ** 18];
  // The largest tanh(|x| / cap) that WGSL allows: exponentials may be off by 3 + 2 |z| ulp, and
  // divisions by 2.5 ulp.
  const largestTanh = (x: number) => {
    const z = Math.abs(x) / cap * (1 + 2.5 * ulp);
    const error = (3 + 2 * z) * ulp;
    const [grown, shrunk] = [Math.exp(z), Math.exp(-z) * (1 - error)];
    const sinh = (grown * (1 + error) - shrunk) * (1 + ulp);
    return sinh / ((grown * (1 - error) + shrunk) * (1 - ulp)) * (1 + 2.5 * ulp);
  };
  const compare = (wanted: Float64Array, actual: (i: number) => number, tolerance: number) => {
    const largest = wanted.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    const error =
      wanted.reduce((most, each, i) => Math.max(most, Math.abs(actual(i) - Math.abs(each))), 0) /
      largest;
    const share = error / tolerance;
    assert(share > 0.6 && share <= 1, `the error is ${share} of the tolerance`);
  };
  const { x } = softcap.inputs({ n }, random);
  const { y } = softcap.twin({ x });
  compare(y, (i) => cap * largestTanh(x.data[i]!) * (1 + ulp), softcap.tolerance);
  const drawn = softcap.backward.inputs({ n }, random);
  const { inputGradient } = softcap.backward.twin(drawn);
  compare(Float64Array.from(inputGradient), (i) => {
    const square = largestTanh(drawn.x.data[i]!) ** 2 * (1 + ulp);
    return (1 - square) * (1 - ulp) ** 2 * Math.abs(drawn.gradient.data[i]!);
  }, softcap.backward.tolerance);
});

onEachRuntime("every variant of the example passes its check", async (gpu) => {
  const shape = { name: "small", dimensions: { n: 1000 } };
  for (const pass of passesOf("softcap")) {
    for (const variant of variantsOf("softcap", pass)) {
      using workload = createWorkload(gpu, { kernel: "softcap", pass, shape, variant });
      const { error, tolerance, output } = await workload.check();
      assert(error <= tolerance, `${pass} ${variant}: ${output} is off by ${error}`);
      assert(error > 0 && workload.cost.flops > 0);
    }
  }
  assertEquals(chosenVariant(gpu, { kernel: "softcap", pass: "forward", shape }), "vec4");
  assertEquals(shapesOf("softcap", { software: true, grid: "quick" }).length, 1);
  const odd = { name: "odd", dimensions: { n: 1001 } };
  assertThrows(
    () => createWorkload(gpu, { kernel: "softcap", pass: "forward", shape: odd }),
    RangeError,
    "wanted a multiple of 4",
  );
});

Deno.test("the check of the example fails for broken kernels", async () => {
  const shape = { name: "small", dimensions: { n: 1000 } };
  for (
    const [find, replace, pass] of [
      ["/ parameters.cap)", "/ (1.01 * parameters.cap))", "forward"],
      ["i >= parameters.elements", "i + 1u >= parameters.elements", "forward"],
      ["(1.0 - t * t)", "(1.0 - 0.99 * t * t)", "backward"],
    ] as const
  ) {
    const gpu = siblingGpu(await testGpu("deno"), {});
    gpu.pipelines.rewrite = ({ source }: KernelPart) => source.replaceAll(find, replace);
    using workload = createWorkload(gpu, { kernel: "softcap", pass, shape });
    const { error, tolerance } = await workload.check();
    assert(!(error <= tolerance), `${replace} passes with an error of ${error}`);
  }
});

Deno.test("a plan must carry the operator's cost, and compute the twin's outputs", async () => {
  const gpu = await testGpu("deno");
  const shape = { name: "small", dimensions: { n: 64 } };
  addCustomOperator({ ...softcap, name: "costly", cost: ({ n }) => ({ flops: n, bytes: n }) });
  assertThrows(
    () => createWorkload(gpu, { kernel: "costly", pass: "forward", shape }),
    TypeError,
    "give cost(lengths) to new Plan",
  );
  addCustomOperator({ ...softcap, name: "renamed", twin: ({ x }) => ({ z: x.data }) });
  using renamed = createWorkload(gpu, { kernel: "renamed", pass: "forward", shape });
  await assertRejects(() => renamed.check(), TypeError, "twin at n=64 computes z, and the plan y");
  addCustomOperator({ ...softcap, name: "short", twin: ({ x }) => ({ y: x.data.slice(1) }) });
  using short = createWorkload(gpu, { kernel: "short", pass: "forward", shape });
  await assertRejects(
    () => short.check(),
    TypeError,
    "63 numbers for y, and the plan's tensor has",
  );
});
