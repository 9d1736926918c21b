import { GpuError, openGpu, type OpenGpuOptions } from "../../mod.ts";
import { probeAdapter } from "../../src/gpu/adapter/probe.ts";
import { faultsOf, runSelfTest, selfTestSource } from "../../src/gpu/adapter/self_test.ts";
import { assert, assertEquals, assertRejects } from "../support/assert/assert.ts";
import { eachRuntime } from "../support/gpu.ts";

const { software } = await openGpu().then((gpu) => {
  gpu.dispose();
  return gpu.info;
});

Deno.test("openGpu() refuses unknown options", async () => {
  const refused: [unknown, string][] = [
    [{ runtime: "node" }, `runtime is "node", wanted one of "deno", "dawn", "browser"`],
    [{ software: true }, `software is true, wanted one of "auto", "always", "never"`],
    [{ powerPreference: "low" }, `powerPreference is "low"`],
  ];
  for (const [options, message] of refused) {
    await assertRejects(() => openGpu(options as OpenGpuOptions), RangeError, message);
  }
});

eachRuntime(
  "openGpu() describes the device, and requests the adapter's features and larger limits",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    const { info } = gpu;
    assertEquals(info.runtime, runtime);
    assert(/^[a-z]/.test(info.vendor), info.vendor);
    assert(info.backend.length > 0);
    assertEquals(info.features, [...gpu.device.features].sort());
    assertEquals(info.notes, undefined);
    assertEquals(info.limits.maxBufferSize, gpu.device.limits.maxBufferSize);
    assertEquals(info.subgroupSize !== undefined, info.features.includes("subgroups"));
    // The kernels need 16 KiB, which WebGPU guarantees. openGpu requests more if the adapter has
    // more.
    assert((info.limits.maxComputeWorkgroupStorageSize ?? 0) >= 16384);
    assert((info.limits.maxStorageBuffersPerShaderStage ?? 0) >= 8);
  },
);

eachRuntime(
  "openGpu() opens a software adapter on request, and never if it is unwanted",
  async (runtime) => {
    using gpu = await openGpu({ runtime, software: "always" });
    assert(gpu.info.software);
    await assertRejects(() => openGpu({ runtime, software: "never" }), Error, "no usable adapter");
  },
  { unless: software ? undefined : "this machine has a GPU" },
);

Deno.test("probeAdapter() sees the adapter without permissions", async () => {
  const probed = await probeAdapter({});
  using gpu = await openGpu();
  assertEquals(probed?.software, gpu.info.software);
  assertEquals(probed?.faults, []);
});

// Each changed shader computes what a faulty adapter would, which the self-test must notice.
const broken: [string, (source: string) => string, string][] = [
  [
    "a loop budget of 65,535 iterations",
    (source) =>
      source.replace("count += select", "if (count >= 65535u) { break; }\n      count += select"),
    "ended after",
  ],
  // This removes a write, not a barrier: where 64 invocations run in lockstep, results are right
  // even without the barrier.
  [
    "a write that does not reach the others",
    (source) => source.replace("ring[lane] = next;", "if (lane != 5u) { ring[lane] = next; }"),
    "workgroupBarrier",
  ],
  [
    "an exp that is off by 1e-4",
    (source) => source.replace("exp(x) * exp(-x)", "exp(x) * exp(-x) * 1.0001"),
    "off by more than 1e-5",
  ],
];
for (const [name, breakIt, message] of broken) {
  eachRuntime(`runSelfTest() finds ${name}`, async (runtime) => {
    using gpu = await openGpu({ runtime });
    const code = breakIt(selfTestSource);
    assert(code !== selfTestSource);
    const faults = faultsOf(await runSelfTest(gpu.device, code));
    assertEquals(faults.length, 1);
    assert(faults[0]?.includes(message), faults[0]);
  });
}

Deno.test("GpuError names its operator", () => {
  const error = new GpuError("attentionForward", "out of memory");
  assertEquals([error.name, error.operator, error.message], [
    "GpuError",
    "attentionForward",
    "attentionForward: out of memory",
  ]);
});
