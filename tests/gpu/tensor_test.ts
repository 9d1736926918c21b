import { openGpu } from "../../mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../support/assert/assert.ts";
import { eachRuntime } from "../support/gpu.ts";

eachRuntime(
  "Tensor.write() changes what is read later, not what was read before",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    const tensor = gpu.tensor([1, 2, 3], [3]);
    const before = tensor.read();
    await before;
    tensor.write(Float32Array.of(4, 5, 6));
    assertEquals([...await before], [1, 2, 3]);
    assertEquals([...await tensor.read()], [4, 5, 6]);
    assertEquals([...tensor.uploaded ?? []], [4, 5, 6]);
    assertThrows(() => tensor.write(Float32Array.of(1)), TypeError, "wanted a Float32Array of 3");
    tensor.dispose();
    assertThrows(() => tensor.write(Float32Array.of(1, 2, 3)), TypeError, "disposed");
  },
);

eachRuntime(
  "Tensor.slice() shares memory, reads and writes its own part, and frees nothing",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    const numbers = Float32Array.from({ length: 200 }, (_, i) => i);
    const tensor = gpu.tensor(numbers, [10, 20]);
    const slice = tensor.slice(64, [2, 3]);
    assertEquals([...await slice.read()], [64, 65, 66, 67, 68, 69]);
    slice.slice(4, [2]).write(Float32Array.of(-1, -2));
    assertEquals([...(await tensor.read()).subarray(66, 71)], [66, 67, -1, -2, 70]);
    assertEquals(slice.binding, { buffer: tensor.buffer, offset: 256, size: 24 });
    assertThrows(() => slice.buffer, TypeError, "begins inside it");
    assertThrows(() => tensor.slice(1, [2]).binding, TypeError, "byte 4");
    assertThrows(() => tensor.slice(195, [6]), RangeError, "within 200");
    assertThrows(() => tensor.slice(-1, [1]), RangeError, "within 200");
    assertThrows(() => tensor.slice(0, [0]), TypeError, "positive integers");
    const { memory } = gpu;
    slice.dispose();
    assertEquals(gpu.memory, memory);
    assertEquals((await tensor.read())[64], 64);
    const other = tensor.slice(0, [4]);
    tensor.dispose();
    assertThrows(() => other.binding, TypeError, "disposed");
  },
);

eachRuntime("Tensor.read() fills an array that it is given", async (runtime) => {
  using gpu = await openGpu({ runtime });
  using tensor = gpu.tensor([1, 2, 3, 4], [4]);
  const whole = new Float32Array(6).fill(9);
  const into = whole.subarray(1, 5);
  assert(await tensor.read(into) === into, "another array was filled");
  assertEquals([...whole], [9, 1, 2, 3, 4, 9]);
  await assertRejects(
    () => tensor.read(whole),
    TypeError,
    "Cannot read the tensor: into has 6 elements, wanted 4",
  );
});
