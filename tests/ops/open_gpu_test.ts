import { openGpu, type OpenGpuOptions } from "../../mod.ts";
import { assertEquals, assertRejects } from "../support/assert/assert.ts";

Deno.test("openGpu() refuses a `tuning` that is neither true nor false", async () => {
  for (const tuning of ["off", 0, null]) {
    await assertRejects(
      () => openGpu({ tuning } as unknown as OpenGpuOptions),
      TypeError,
      `tuning is ${JSON.stringify(tuning)}, wanted true or false`,
    );
  }
});

Deno.test("openGpu() without tuning has only the choices made for its kind of adapter", async () => {
  using gpu = await openGpu({ tuning: false });
  assertEquals(gpu.variants.size, 0);
});
