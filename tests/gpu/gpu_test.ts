import {
  attentionBackward,
  attentionForward,
  attentionSinkStatistics,
  type Gpu,
  GpuError,
  openGpu,
  Plan,
  planRmsNormForward,
  rmsNormBackward,
  rmsNormForward,
  type Tensor,
  vScaleBackward,
} from "../../mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../support/assert/assert.ts";
import { eachRuntime } from "../support/gpu.ts";

function row(gpu: Gpu): { input: Tensor; gain: Tensor } {
  return { input: gpu.tensor([3, 4], [1, 2]), gain: gpu.tensor([1, 1], [2]) };
}

eachRuntime("tensor() and read() keep every bit", async (runtime) => {
  using gpu = await openGpu({ runtime });
  const bits = new Uint32Array([0, 0x80000000, 1, 0x7fc00001, 0x7f800000, 0xff800000, 0x3f800001]);
  const data = new Float32Array(bits.slice().buffer);
  const tensor = gpu.tensor(data, [7, 1]);
  data.fill(0); // the tensor has copied them
  assertEquals(new Uint32Array((await tensor.read()).buffer), bits);
  assertEquals(tensor.shape, [7, 1]);
});

eachRuntime("tensor() refuses anything but numbers of the given shape", async (runtime) => {
  using gpu = await openGpu({ runtime });
  const refused: [unknown, unknown, string][] = [
    [[1, 2], [3], "2 elements, wanted 3"],
    [[1], [], "wanted a list of positive integers"],
    [[], [0], "shape is [0]"],
    [[1], [-1], "shape is [-1]"],
    [[1], [1.5], "shape is [1.5]"],
    [[1], "1", "shape is 1"],
    [["1"], [1], "data[0] is string"],
    [new Float64Array(1), [1], "Float64Array, wanted Float32Array"],
    [undefined, [1], "Undefined"],
  ];
  for (const [data, shape, message] of refused) {
    assertThrows(() => gpu.tensor(data as number[], shape as number[]), TypeError, message);
  }
  assertEquals(gpu.memory, { buffers: 0, bytes: 0 });
});

eachRuntime("empty() refuses more than the adapter allows, before asking it", async (runtime) => {
  using gpu = await openGpu({ runtime });
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.device.limits;
  assertEquals(gpu.largestStorage, Math.min(maxBufferSize, maxStorageBufferBindingSize));
  const limit = Math.floor(gpu.largestStorage / 4);
  assertThrows(() => gpu.empty([limit + 1]), RangeError, `allows`);
  await gpu.sync();
});

eachRuntime("run() enqueues several plans in one submission", async (runtime) => {
  using gpu = await openGpu({ runtime });
  const { input, gain } = row(gpu);
  const first = planRmsNormForward(gpu, { input, gain, epsilon: 0 });
  const second = planRmsNormForward(gpu, { input: first.output, gain, epsilon: 0 });
  let submissions = 0;
  const submit = gpu.device.queue.submit.bind(gpu.device.queue);
  gpu.device.queue.submit = (buffers) => {
    submissions++;
    submit(buffers);
  };
  gpu.run([first.plan, second.plan]);
  assertEquals(submissions, 1);
  const [a, b] = [await first.output.read(), await second.output.read()];
  // Normalizing a normalized row changes it only by rounding: five roundings are 3e-7.
  assert(a.every((x, i) => Math.abs(x - (b[i] ?? NaN)) < 3e-7) && (a[0] ?? 0) > 0.8);
});

eachRuntime("run() refuses plans of another Gpu and plans disposed of", async (runtime) => {
  using gpu = await openGpu({ runtime });
  using other = await openGpu({ runtime });
  const { plan } = planRmsNormForward(gpu, row(gpu));
  assertThrows(() => other.run(plan), TypeError, "rmsNormForward: the plan belongs to another Gpu");
  plan.dispose();
  assertThrows(() => gpu.run(plan), TypeError, "rmsNormForward: the plan has been disposed of");
  await gpu.sync();
});

eachRuntime("every buffer is freed when tensors and plans are disposed of", async (runtime) => {
  using gpu = await openGpu({ runtime });
  const shape = [1, 2, 5, 8];
  const numbers = Float32Array.from({ length: 80 }, (_, i) => Math.sin(i));
  {
    using query = gpu.tensor(numbers, shape);
    using constant = gpu.tensor([1, 2], [2]);
    const inputs = {
      query,
      key: query,
      value: query,
      vScale: { constant, mode: "full" as const },
    };
    const forward = attentionForward(gpu, inputs);
    const backward = attentionBackward(gpu, { ...inputs, ...forward, outputGradient: query });
    const statistics = attentionSinkStatistics(gpu, { ...inputs, logSumExp: forward.logSumExp });
    const valve = vScaleBackward(gpu, { value: query, constant, scaledValueGradient: query });
    using gain = gpu.tensor(numbers.subarray(0, 8), [8]);
    const norm = rmsNormForward(gpu, { input: query, gain });
    const normBackward = rmsNormBackward(gpu, {
      input: query,
      gain,
      inverseRms: norm.inverseRms,
      outputGradient: query,
    });
    await gpu.sync();
    const results = [forward, backward, statistics, valve, norm, normBackward];
    for (const tensor of results.flatMap((result): Tensor[] => Object.values(result))) {
      assert((await tensor.read()).every(Number.isFinite));
      tensor.dispose();
      tensor.dispose(); // a second call does nothing
    }
    assertEquals(gpu.memory.buffers, 3);
  }
  assertEquals(gpu.memory, { buffers: 0, bytes: 0 });
});

eachRuntime("a disposed tensor or Gpu refuses to be used", async (runtime) => {
  const gpu = await openGpu({ runtime });
  const { input, gain } = row(gpu);
  input.dispose();
  await assertRejects(() => input.read(), TypeError, "has been disposed of");
  assertThrows(() => rmsNormForward(gpu, { input, gain }), TypeError, "input has been disposed of");
  gpu.dispose();
  gpu.dispose();
  assertEquals(gpu.memory, { buffers: 0, bytes: 0 });
  await assertRejects(() => gain.read(), TypeError, "has been disposed of");
  await assertRejects(() => gpu.sync(), TypeError, "has been disposed of");
  assertThrows(() => gpu.tensor([1], [1]), TypeError, "has been disposed of");
  assertThrows(() => rmsNormForward(gpu, { input, gain }), TypeError, "gpu has been disposed of");
});

eachRuntime(
  "a kernel that does not compile causes a GpuError with the faulty line",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    gpu.pipelines.rewrite = ({ file, source }) =>
      file === "rms_norm/forward.wgsl"
        ? source.replace("var squares = 0.0;", "var squares = 0u;")
        : source;
    const { output } = rmsNormForward(gpu, { ...row(gpu), variant: "portable" });
    const error = await assertRejects(
      () => output.read(),
      GpuError,
      "rmsNormForward: rms_norm/forward.wgsl:34",
    );
    assertEquals(error.operator, "rmsNormForward");
    assert(error.message.includes("squares += input[first + c]"), error.message);
    await assertRejects(() => gpu.sync(), GpuError, "rms_norm/forward.wgsl:34"); // again
  },
);

eachRuntime(
  "an error in a helper file is reported with the helper's name and line",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    let line = 0;
    gpu.pipelines.rewrite = ({ file, source }) => {
      if (file !== "workgroup_sum.wgsl") return source;
      line = source.split("\n").findIndex((text) => text.includes("return sum;")) + 1;
      return source.replace("return sum;", "return summ;");
    };
    const { output } = rmsNormForward(gpu, { ...row(gpu), variant: "portable" });
    await assertRejects(() => output.read(), GpuError, `workgroup_sum.wgsl:${line}:`);
  },
);

eachRuntime(
  "an error from the device becomes a GpuError that names the operator",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    const { output } = rmsNormForward(gpu, row(gpu));
    gpu.guard(
      "tooLarge",
      () => gpu.device.createBuffer({ size: 2 ** 45, usage: GPUBufferUsage.STORAGE }),
    );
    const error = await assertRejects(() => output.read(), GpuError, "tooLarge: ");
    assertEquals(error.operator, "tooLarge");
  },
);

eachRuntime("an error in a submission of many plans names a few of them", async (runtime) => {
  using gpu = await openGpu({ runtime });
  const buffer = gpu.storage(4);
  const source = `struct Parameters { value: f32 }
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> written: array<f32>;
@compute @workgroup_size(1) fn main() { written[0] = parameters.value; }`;
  const plans = ["a", "b", "c", "d", "a", "e"].map((operator) =>
    new Plan(gpu, {
      operator,
      cost: { flops: 0, bytes: 4 },
      dispatches: [{
        kernel: { parts: [{ file: "write.wgsl", source }] },
        parameters: [{ f32: 1 }],
        buffers: [buffer],
        workgroups: [1],
      }],
    })
  );
  buffer.destroy();
  gpu.run(plans);
  await assertRejects(() => gpu.sync(), GpuError, "a, b, c and 2 other operators: ");
});

eachRuntime("an error outside any operator is not lost", async (runtime) => {
  using gpu = await openGpu({ runtime });
  const { output } = rmsNormForward(gpu, row(gpu));
  gpu.device.createBuffer({ size: 2 ** 45, usage: GPUBufferUsage.STORAGE });
  await assertRejects(() => output.read(), GpuError);
});

eachRuntime(
  "a lost device causes a GpuError, also for later work",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    const { gain } = row(gpu);
    const { output } = rmsNormForward(gpu, row(gpu));
    gpu.device.destroy();
    await assertRejects(() => output.read(), GpuError, "rmsNormForward: the device was lost");
    const again = rmsNormForward(gpu, { input: output, gain });
    await assertRejects(() => again.output.read(), GpuError, "the device was lost");
    await assertRejects(() => gpu.sync(), GpuError, "the device was lost");
  },
);

eachRuntime("read() rejects if the Gpu is disposed of meanwhile", async (runtime) => {
  const gpu = await openGpu({ runtime });
  const { output } = rmsNormForward(gpu, row(gpu));
  const reading = output.read();
  gpu.dispose();
  await assertRejects(() => reading, TypeError, "has been disposed of");
});
