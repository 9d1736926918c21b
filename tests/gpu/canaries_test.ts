/**
 * Facts of the platform that the code relies on. If one of these tests fails, the platform has
 * changed: simplify or mend the code that the test names.
 */
import { openGpu } from "../../mod.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { eachRuntime } from "../support/gpu.ts";

const { software, features } = await openGpu().then((gpu) => {
  gpu.dispose();
  return gpu.info;
});
const noSubgroups = features.includes("subgroups") ? undefined : "this adapter has no subgroups";
const run = (await Deno.permissions.query({ name: "run" })).state === "granted";

async function compiles(device: GPUDevice, code: string): Promise<boolean> {
  device.pushErrorScope("validation");
  device.createShaderModule({ code });
  return await device.popErrorScope() === null;
}

Deno.test({
  name: "Deno does not list subgroups, but grants them (open_gpu.ts requests them all the same)",
  ignore: noSubgroups !== undefined,
  async fn() {
    const adapter = await navigator.gpu.requestAdapter();
    assertEquals(adapter?.features.has("subgroups" as GPUFeatureName), false);
  },
});

eachRuntime(
  "`enable subgroups;` is unknown to Deno and wanted by Dawn (enableLine in pipelines.ts)",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    const body = "@compute @workgroup_size(8) fn main() { _ = subgroupAdd(1u); }";
    const enabled = await compiles(gpu.device, `enable subgroups;\n${body}`);
    const bare = await compiles(gpu.device, body);
    assertEquals({ enabled, bare }, { enabled: runtime === "dawn", bare: runtime === "deno" });
  },
  { unless: noSubgroups },
);

eachRuntime(
  "WGSL sees no NaN in x != x, so kernels must not test for it (attention's masks)",
  async (runtime) => {
    using gpu = await openGpu({ runtime });
    const input = gpu.tensor([NaN, 1], [2]);
    const output = gpu.empty([2]);
    const code = `@group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(2) fn main(@builtin(local_invocation_index) i: u32) {
      y[i] = select(0.0, 1.0, x[i] != x[i]);
    }`;
    const module = gpu.device.createShaderModule({ code });
    const pipeline = gpu.device.createComputePipeline({ layout: "auto", compute: { module } });
    const bindGroup = gpu.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [input, output].map(({ buffer }, binding) => ({ binding, resource: { buffer } })),
    });
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(1);
    pass.end();
    gpu.device.queue.submit([encoder.finish()]);
    assertEquals([...await output.read()], [0, 0]);
  },
  { unless: software ? undefined : "seen on software adapters only" },
);

// Runs code in a child process, so that this process keeps its drivers.
async function child(code: string, env: Record<string, string>): Promise<unknown> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-lock", "--allow-env=DENO_WEBGPU_BACKEND,VK_DRIVER_FILES", "-"],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = command.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();
  return JSON.parse(new TextDecoder().decode((await command.output()).stdout));
}

Deno.test({
  name: `Deno's first null adapter is its last (adapter/probe.ts looks in a Worker)${
    run ? "" : " [needs --allow-run]"
  }`,
  ignore: !run || Deno.build.os !== "linux",
  async fn() {
    const code = `const first = await navigator.gpu.requestAdapter();
      Deno.env.delete("VK_DRIVER_FILES");
      const second = await navigator.gpu.requestAdapter();
      console.log(JSON.stringify([first === null, second === null]));`;
    const env = { DENO_WEBGPU_BACKEND: "vulkan", VK_DRIVER_FILES: "/nonexistent.json" };
    assertEquals(await child(code, env), [true, true]);
  },
});

Deno.test({
  name:
    `Mesa's OpenGL is called llvmpipe too, but lacks shader-f16 (adapter/probe.ts tells them apart by it)${
      run ? "" : " [needs --allow-run]"
    }`,
  ignore: !run || Deno.build.os !== "linux",
  async fn() {
    const code = `const adapter = await navigator.gpu.requestAdapter();
      console.log(JSON.stringify(adapter && [adapter.info.description, adapter.features.has("shader-f16")]));`;
    const seen = await child(code, { DENO_WEBGPU_BACKEND: "gl" }) as [string, boolean] | null;
    if (seen === null) return; // no OpenGL on this machine
    assert(!seen[0].includes("llvmpipe") || !seen[1], `${seen}`);
  },
});

Deno.test("the module of a Worker can be a data: URL, without a permission (adapter/probe.ts)", async () => {
  const code = "self.postMessage(typeof navigator.gpu.requestAdapter)";
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(code)}`, { type: "module" });
  const answer = await new Promise((resolve) => worker.onmessage = (event) => resolve(event.data));
  worker.terminate();
  assertEquals(answer, "function");
});
