/** Plans of a user's own kernels report mistakes before anything reaches the GPU. */
import { type Gpu, openGpu, Plan, type PlanOptions } from "../../mod.ts";
import { kernelBindings } from "../../src/gpu/plan/kernel_bindings.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { eachRuntime } from "../support/gpu.ts";

const uniform =
  "struct Parameters { factor: f32 }\n@group(0) @binding(0) var<uniform> parameters: Parameters;";
const input = "@group(0) @binding(1) var<storage, read> x: array<f32>;";
const output = "@group(0) @binding(2) var<storage, read_write> y: array<f32>;";

function main(body: string): string {
  return `@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) { ${body} }`;
}

function softcap(
  gpu: Gpu,
  source: string,
  options: Partial<PlanOptions["dispatches"][number]> = {},
): Plan {
  return new Plan(gpu, {
    operator: "softcap",
    cost: { flops: 1, bytes: 1 },
    dispatches: [{
      kernel: { parts: [{ file: "softcap.wgsl", source }] },
      parameters: [],
      buffers: [],
      workgroups: [1],
      ...options,
    }],
  });
}

eachRuntime("a kernel without parameters needs no uniform", async (runtime) => {
  using gpu = await openGpu({ runtime, tuning: false });
  const x = gpu.tensor([1, -2, 3, -4], [4]), y = gpu.empty([4]);
  const source = `${input}\n${output}\n${main("y[id.x] = abs(x[id.x]);")}`;
  using plan = softcap(gpu, source, { buffers: [x, y] });
  gpu.run(plan);
  assertEquals([...await y.read()], [1, 2, 3, 4]);
  // A uniform that is declared but unused needs no parameters either: WebGPU drops its binding.
  using unused = softcap(gpu, `${uniform}\n${source}`, { buffers: [x, y] });
  gpu.run(unused);
  assertEquals([...await y.read()], [1, 2, 3, 4]);
  assertEquals(gpu.uniform([]).size, 16);
});

eachRuntime("a dispatch must provide what its kernel declares", async (runtime) => {
  using gpu = await openGpu({ runtime, tuning: false });
  const x = gpu.tensor([1, -2, 3, -4], [4]), y = gpu.empty([4]), z = gpu.empty([4]);
  const before = gpu.memory;
  const body = main("y[id.x] = parameters.factor * x[id.x];");
  const whole = `${uniform}\n${input}\n${output}\n${body}`;
  const two = { parameters: [{ f32: 2 }], buffers: [x, y] };
  const cases: readonly [string, Parameters<typeof softcap>[2], string][] = [
    [whole, { buffers: [x, y] }, "reads parameters at binding 0, the dispatch gives no parameters"],
    [
      `${input}\n${output}\n${main("y[id.x] = x[id.x];")}`,
      two,
      "has no uniform at binding 0, the dispatch gives 1 parameters",
    ],
    [
      `${uniform}\n${input}\n${output}\n${main("y[id.x] = x[id.x];")}`,
      two,
      "never uses parameters at binding 0",
    ],
    [
      `${uniform}\n${input}\n${output}\n${main("y[id.x] = parameters.factor; /* x */")}`,
      two,
      "never uses x at binding 1",
    ],
    [whole, { ...two, buffers: [x] }, "reads y at binding 2, the dispatch gives 1 buffers"],
    [whole, { ...two, buffers: [x, y, z] }, "has no binding 3, the dispatch gives 3 buffers"],
    [
      `@binding(0) @group(0) var<storage> x: array<f32>;\n${output}\n${main("y[id.x] = x[id.x];")}`,
      { buffers: [x, y] },
      "has the storage buffer x at binding 0",
    ],
  ];
  for (const [source, options, words] of cases) {
    const { message } = assertThrows(() => softcap(gpu, source, options), TypeError);
    for (const word of ["softcap: softcap.wgsl ", words, "Binding 0 is always the uniform"]) {
      assert(message.includes(word), `${message} lacks ${word}`);
    }
    assert(!message.endsWith("."), message);
  }
  for (const count of [65_536, 1.5, -1, NaN]) {
    assertThrows(
      () => softcap(gpu, whole, { ...two, workgroups: [1, count] }),
      RangeError,
      `softcap: softcap.wgsl: ${count} workgroups in y, wanted an integer from 0 to 65535`,
    );
  }
  assertEquals(gpu.memory, before);
  gpu.run(softcap(gpu, whole, two));
  assertEquals([...await y.read()], [2, -4, 6, -8]); // the Gpu still works
});

eachRuntime(
  "a dispatch cannot write memory that another of its bindings shares",
  async (runtime) => {
    using gpu = await openGpu({ runtime, tuning: false });
    const whole = gpu.tensor(Float32Array.from({ length: 16 }, (_, i) => i), [16]);
    const source = `${input}\n${output}\n${main("y[id.x] = x[id.x] + 1.0;")}`;
    const scratch = gpu.storage(16);
    const plan = (x: number, y: number) =>
      softcap(gpu, source, { buffers: [whole.slice(x, [4]), whole.slice(y, [4])] });
    for (const [x, y, words] of [[0, 0, "lie in the same memory"], [1, 3, "2 elements"]] as const) {
      const { message } = assertThrows(() => plan(x, y), TypeError);
      for (const word of ["softcap: ", "binding 1 (x)", "binding 2 (y)", "softcap writes", words]) {
        assert(message.includes(word), message);
      }
    }
    assertThrows(
      () => softcap(gpu, source, { buffers: [scratch, { buffer: scratch, offset: 0, size: 8 }] }),
      TypeError,
      "2 elements in common",
    );
    // Slices may be adjacent, in any order, and a dispatch may read what an earlier one wrote.
    const steps = [[0, 5], [5, 10], [0, 6], [5, 10], [9, 0], [4, 12]] as const;
    using chain = new Plan(gpu, {
      operator: "chain",
      cost: { flops: 1, bytes: 1 },
      dispatches: steps.map(([x, y]) => ({
        kernel: { parts: [{ file: "next.wgsl", source }] },
        parameters: [],
        buffers: [whole.slice(x, [4]), whole.slice(y, [4])],
        workgroups: [1],
      })),
    });
    const wanted = Array.from({ length: 16 }, (_, i) => i);
    for (const [x, y] of steps) {
      wanted.splice(y, 4, ...wanted.slice(x, x + 4).map((number) => number + 1));
    }
    gpu.run(chain);
    assertEquals([...await whole.read()], wanted);
    assert(chain.dispatches > 4);
  },
);

Deno.test("bindings are found in WGSL however they are written", () => {
  const text = `// @group(0) @binding(9) var<storage> nothing: array<f32>;
@binding( 0 )
@group(0)  var<uniform> parameters : P;
@group(0) @binding(1) var<storage,read> a: array<f32>; @group(0u) @binding(2u) var<storage> b: array<f32>; // a.b
/* @group(0) @binding(8) var<storage> nothing: array<f32>; */
@group(0) @binding(3) var < storage , read_write > ab: array<f32>;
@group(1) @binding(4) var<storage, read_write> other: array<f32>;
@binding(4) @group(0) var image : texture_storage_2d<rgba32float, read>;
@group(0) @binding(5) var copied: texture_storage_2d< rgba32float , write >;
fn main() { ab[0] = a[0] + parameters.b + textureLoad(image, vec2u()).x; }`;
  assertEquals(
    kernelBindings(text)?.map((each) => Object.values(each).join(" ")),
    [
      "0 parameters true false false true",
      "1 a false false false true",
      "2 b false false false false",
      "3 ab false false true true",
      "4 image false true false true",
      "5 copied false true true false",
    ],
  );
  assertEquals(
    kernelBindings("const B = 1; @group(0) @binding(B) var<storage> a: f32;"),
    undefined,
  );
});

Deno.test("new Plan names the option that a file without types lacks", () => {
  const dispatch = {
    kernel: { parts: [{ file: "a.wgsl", source: "" }] },
    ...{ parameters: [], buffers: [], workgroups: [1] },
  };
  const cases: readonly [change: object, says: string][] = [
    [{ cost: undefined }, "no valid cost, wanted { flops, bytes }, numbers from 0 on"],
    [{ cost: { flops: 1 } }, "no valid cost"],
    [{ cost: { flops: NaN, bytes: 1 } }, "no valid cost"],
    [{ dispatches: undefined }, "no list of dispatches, wanted one dispatch at least"],
    [{ dispatches: [{ ...dispatch, kernel: "a" }] }, "no list of kernel.parts in a dispatch"],
    [{ dispatches: [{ ...dispatch, parameters: undefined }] }, "no list of parameters in a disp"],
    [{ dispatches: [{ ...dispatch, buffers: {} }] }, "no list of buffers in a dispatch"],
    [{ dispatches: [{ ...dispatch, workgroups: 4 }] }, "no list of workgroups in a dispatch"],
  ];
  for (const [change, says] of cases) {
    const options = { operator: "softcap", cost: { flops: 1, bytes: 1 }, dispatches: [dispatch] };
    assertThrows(
      () => new Plan({} as Gpu, { ...options, ...change } as unknown as PlanOptions),
      TypeError,
      `softcap: new Plan has ${says}`,
    );
  }
});
