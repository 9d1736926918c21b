import { readTensors } from "../../src/gpu/read_tensors.ts";
import { assertEquals, assertRejects } from "../support/assert.ts";
import { onEachRuntime, siblingGpu } from "../support/gpu.ts";

onEachRuntime(
  "readTensors() gives each tensor's elements, also where they fit no buffer together",
  async (gpu) => {
    const small = siblingGpu(gpu, { limits: { maxBufferSize: 32 } });
    for (const where of [gpu, small]) {
      const lengths = [3, 1, 5, 8, 2];
      const tensors = lengths.map((length, i) =>
        where.tensor(Float32Array.from({ length }, (_, j) => 100 * i + j), [length])
      );
      const { buffers } = where.memory;
      const read = await readTensors(where, tensors);
      assertEquals(read.map(({ length }) => length), lengths);
      read.forEach((elements, i) =>
        assertEquals([...elements], [...elements.keys()].map((j) => 100 * i + j))
      );
      assertEquals(where.memory.buffers, buffers);
      for (const tensor of tensors) tensor.dispose();
    }
    assertEquals(await readTensors(gpu, []), []);
    const other = small.tensor([1], [1]);
    await assertRejects(() => readTensors(gpu, [other]), TypeError, "belongs to another Gpu");
    other.dispose();
  },
);
