/**
 * The test that every adapter must pass before its numbers are believed. `claims.ts` tests what an
 * adapter may offer beyond WebGPU's floor.
 *
 * `runSelfTest` refers to nothing outside itself, because it also runs, as text, in the Worker that
 * looks at an adapter before this isolate commits to it (see `adapter/probe.ts`).
 */
import source from "../../../kernels/self_test/adapter.wgsl" with { type: "text" };

/** The WGSL of the self-test. */
export const selfTestSource: string = source;

/**
 * Runs the self-test on a device.
 *
 * @param device the device to test
 * @param code the WGSL
 * @returns what was computed wrong, one sentence each; empty if the adapter passes
 */
export async function runSelfTest(device: GPUDevice, code: string): Promise<string[]> {
  const run = async (): Promise<Uint32Array> => {
    const size = 192 * 4;
    // Literal flags: buffer usages STORAGE | COPY_SRC | COPY_DST and MAP_READ | COPY_DST.
    const buffer = device.createBuffer({ size, usage: 0x80 | 0x04 | 0x08 });
    const staging = device.createBuffer({ size, usage: 0x01 | 0x08 });
    try {
      device.queue.writeBuffer(buffer, 0, new Uint32Array([300, 250]));
      const pipeline = device.createComputePipeline({
        layout: "auto",
        compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
      });
      const bindGroup = device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [{ binding: 0, resource: { buffer } }],
      });
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(1);
      pass.end();
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, size);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(0x01);
      return new Uint32Array(staging.getMappedRange().slice(0));
    } finally {
      buffer.destroy();
      staging.destroy();
    }
  };

  const faults: string[] = [];
  const base = await run();
  const counted = base.subarray(0, 64).find((count) => count !== 75_000);
  if (counted !== undefined) faults.push(`a loop of 75,000 iterations ended after ${counted}`);
  if (base.subarray(64, 128).some((sum, lane) => sum !== 64 + lane)) {
    faults.push("workgroupBarrier does not order workgroup memory");
  }
  if (base.subarray(128, 192).some((exact) => exact !== 1)) {
    faults.push("exp, sqrt or division is less exact than WGSL asks");
  }
  return faults;
}
