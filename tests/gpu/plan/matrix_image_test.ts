import { type Gpu, openGpu, Plan, type Tensor } from "../../../mod.ts";
import { MatrixImage } from "../../../src/gpu/plan/matrix_image.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { eachRuntime } from "../../support/gpu.ts";

// Reads an image's texels in the order of the matrix.
const source = `
@group(0) @binding(1) var image: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> numbers: array<vec4f>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) count: vec3u) {
  numbers[id.y * count.x + id.x] = textureLoad(image, vec2u(id.x % 16u, id.y), id.x / 16u);
}`;

function planRead(
  gpu: Gpu,
  [rows, columns]: readonly [number, number],
  buffers: readonly (MatrixImage | Tensor)[],
): Plan {
  return new Plan(gpu, {
    operator: "readImage",
    cost: { flops: 0, bytes: 0 },
    dispatches: [{
      kernel: { parts: [{ file: "read_image.wgsl", source }] },
      parameters: [],
      buffers,
      workgroups: [columns / 4, rows],
    }],
  });
}

eachRuntime("an image holds the rows that were written, block by block", async (runtime) => {
  using gpu = await openGpu({ runtime });
  const shape = [5, 132] as const;
  const wanted = Float32Array.from({ length: 5 * 132 }, (_, i) => i);
  using image = new MatrixImage(gpu, shape);
  image.write(0, new Float32Array(5 * 132));
  image.write(3, wanted.slice(3 * 132));
  image.write(0, wanted.slice(0, 3 * 132));
  using numbers = gpu.empty(shape);
  using plan = planRead(gpu, shape, [image, numbers]);
  gpu.run(plan);
  assertEquals(await numbers.read(), wanted);
});

// Reads an image that has no blocks: each of its lines holds 256 texels.
const linesSource = source
  .replace("numbers[id.y * count.x + id.x]", "let i = id.y * count.x + id.x;\n  numbers[i]")
  .replace("vec2u(id.x % 16u, id.y), id.x / 16u", "vec2u(i % 256u, i / 256u), 0u");

eachRuntime(
  "a plan copies a matrix to an image, and from one image to another",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    // The matrix fills a whole line of 256 texels and a part of the next line.
    const shape = [9, 132] as const;
    const wanted = Float32Array.from({ length: 9 * 132 }, (_, i) => i);
    using whole = gpu.tensor(Float32Array.from([0, 0, 0, 0, ...wanted]), [4 + wanted.length]);
    const layout = { numbers: "f32", blocks: false } as const;
    const [image, other] = [
      new MatrixImage(gpu, shape, layout),
      new MatrixImage(gpu, shape, layout),
    ];
    using numbers = gpu.empty(shape);
    const read = (image: MatrixImage) => ({
      kernel: { parts: [{ file: "read_image.wgsl", source: linesSource }] },
      parameters: [],
      buffers: [image, numbers],
      workgroups: [33, 9] as const,
    });
    const options = { operator: "copy", cost: { flops: 0, bytes: 0 } };
    const copy = { image, source: whole.slice(4, shape) };
    using plan = new Plan(gpu, { ...options, dispatches: [copy, read(image)], scratch: [image] });
    gpu.run(plan);
    assertEquals(await numbers.read(), wanted);
    assertEquals(plan.dispatches, 2);
    assertThrows(
      () => image.write(0, wanted),
      TypeError,
      "without blocks",
    );
    const encoder = gpu.device.createCommandEncoder();
    image.copyTo(encoder, other);
    gpu.device.queue.submit([encoder.finish()]);
    using again = new Plan(gpu, { ...options, dispatches: [read(other)], scratch: [other] });
    numbers.write(new Float32Array(wanted.length));
    gpu.run(again);
    assertEquals(await numbers.read(), wanted);
    const { memory } = gpu;
    plan.dispose();
    assertEquals(memory.bytes - gpu.memory.bytes, image.bytes);
  },
);

eachRuntime("an image's memory is counted and freed", async (runtime) => {
  using gpu = await openGpu({ runtime });
  const { memory } = gpu;
  const image = new MatrixImage(gpu, [5, 132]);
  // Three blocks of 64 columns.
  assertEquals(gpu.memory.bytes - memory.bytes, 4 * 5 * 3 * 64);
  using numbers = gpu.empty([5, 132]);
  using plan = planRead(gpu, [5, 132], [image, numbers]);
  image.dispose();
  assertEquals(gpu.memory.bytes - memory.bytes, 4 * numbers.length);
  assertThrows(() => gpu.run(plan), TypeError, "binding 1 (image) has been disposed of");
  assertThrows(() => image.write(0, new Float32Array(132)), TypeError, "disposed");
});

eachRuntime("an image refuses what it cannot hold", async (runtime) => {
  using gpu = await openGpu({ runtime });
  for (const shape of [[3, 6], [100_000, 4], [4, 10_000_000]] as const) {
    assertThrows(
      () => new MatrixImage(gpu, shape),
      RangeError,
      `the matrix is [${shape.join(", ")}]`,
    );
  }
  using image = new MatrixImage(gpu, [3, 8]);
  for (const [row, length] of [[0, 4], [0, 0], [-1, 8], [1, 24]] as const) {
    assertThrows(
      () => image.write(row, new Float32Array(length)),
      RangeError,
      "whole rows of [3, 8]",
    );
  }
});

eachRuntime(
  "a dispatch gives an image where the kernel declares one, and only there",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    using image = new MatrixImage(gpu, [1, 4]);
    using numbers = gpu.empty([1, 4]);
    assertThrows(
      () => planRead(gpu, [1, 4], [numbers, numbers]),
      TypeError,
      "declares image at 1 as an image, the dispatch gives a buffer",
    );
    assertThrows(
      () => planRead(gpu, [1, 4], [image, image]),
      TypeError,
      "declares numbers at 2 as a buffer, the dispatch gives an image",
    );
  },
);
