/** Which calls compile their lengths into kernels. */
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { compiledLengths } from "../../../src/ops/shared/compiled_lengths.ts";
import { assertEquals } from "../../support/assert/assert.ts";
import { gpuInfo } from "../../support/gpu/info.ts";

Deno.test("large calls on a CPU compile their lengths into kernels", () => {
  const lengths = { ROWS: 3 };
  const compiled = (software: boolean, invocations: number) => {
    using gpu = createDryGpu(gpuInfo({ software }));
    return compiledLengths(gpu, { invocations, lengths });
  };
  assertEquals(compiled(true, 4096), lengths);
  assertEquals(compiled(true, 4095), {});
  assertEquals(compiled(false, 4096), {});
});
