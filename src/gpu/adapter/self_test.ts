/**
 * The test that every adapter must pass before it is used. `claims.ts` tests what an adapter offers
 * beyond WebGPU's minimum.
 *
 * `runSelfTest` refers to nothing outside itself, because its text also runs in the Worker that
 * probes an adapter (see `probe.ts`).
 */
import source from "../../../kernels/self_test/adapter.wgsl" with { type: "text" };

/** The WGSL of the self-test. */
export const selfTestSource: string = source;

/** One check of the self-test, and what 64 invocations computed for it. */
export interface SelfTestCheck {
  /** What is checked. */
  readonly name: string;
  /** Whether all 64 numbers are right. */
  readonly passed: boolean;
  /** What each invocation should compute; empty if the self-test could not run. */
  readonly wanted: readonly number[];
  /** What each invocation computed; empty if the self-test could not run. */
  readonly found: readonly number[];
  /** What is wrong, as a sentence without a period; absent if the check passed. */
  readonly fault?: string;
}

/** Runs the self-test on a device. */
export async function runSelfTest(device: GPUDevice, code: string): Promise<SelfTestCheck[]> {
  const run = async (): Promise<Uint32Array> => {
    const size = 192 * 4;
    // The usages are written as numbers. They mean STORAGE | COPY_SRC | COPY_DST for `buffer`, and
    // MAP_READ | COPY_DST for `staging`.
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

  const computed = [...await run()];
  const check = (
    name: string,
    { first, wanted, fault }: {
      readonly first: number;
      readonly wanted: (lane: number) => number;
      readonly fault: (found: number) => string;
    },
  ): SelfTestCheck => {
    const right = Array.from({ length: 64 }, (_, lane) => wanted(lane));
    const found = computed.slice(first, first + 64);
    const wrong = found.find((number, lane) => number !== right[lane]);
    const passed = wrong === undefined;
    return { name, passed, wanted: right, found, ...passed ? {} : { fault: fault(wrong) } };
  };
  return [
    check("loops", {
      first: 0,
      wanted: () => 75_000,
      fault: (found) => `a loop of 75,000 iterations ended after ${found}`,
    }),
    check("workgroup memory", {
      first: 64,
      wanted: (lane) => 64 + lane,
      fault: () => "workgroupBarrier does not order workgroup memory",
    }),
    check("exp, sqrt and division", {
      first: 128,
      wanted: () => 1,
      fault: () => "exp, sqrt or division is off by more than 1e-5",
    }),
  ];
}

/** What the self-test found wrong: one sentence each, without a period. */
export function faultsOf(checks: readonly SelfTestCheck[]): string[] {
  return checks.flatMap(({ fault }) => fault ?? []);
}
