import { openGpu } from "../../../mod.ts";
import { paceDawnPolling, pauseAfter } from "../../../src/gpu/adapter/dawn_polling.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { eachRuntime } from "../../support/gpu.ts";

Deno.test("pauseAfter() notices short work at once, and all work within 0.5 ms and within 1/32 of its time", () => {
  assertEquals(pauseAfter(0), 0);
  assertEquals(pauseAfter(0.3), 0);
  for (let waited = 0.01; waited < 1e4; waited *= 1.1) {
    const pause = pauseAfter(waited);
    assert(pause <= 0.5 && pause <= waited / 32, `${pause} after ${waited}`);
    assert(waited < 1 || pause > 0, `no pause after ${waited}`);
  }
});

Deno.test("paceDawnPolling() does not change setImmediate for other callers", async () => {
  paceDawnPolling();
  const once = globalThis.setImmediate;
  paceDawnPolling();
  assertEquals(globalThis.setImmediate, once);
  assertEquals(await new Promise((done) => setImmediate(done, "given")), "given");
  // Like the bindings' callbacks, a bound function has a source that reads "native code", but it
  // must not be delayed.
  const order: string[] = [];
  setImmediate(order.push.bind(order), "bound");
  const dropped = setImmediate(() => order.push("dropped"));
  clearImmediate(dropped);
  await new Promise<void>((done) => setImmediate(done));
  assertEquals(order, ["bound"]);
});

// openGpu() recognizes the bindings' callbacks by their source. This test fails if a later version
// of npm:webgpu changes that source.
eachRuntime("openGpu() sleeps between polls while work is pending", async (runtime) => {
  using gpu = await openGpu({ runtime });
  await gpu.sync();
  const wait = Atomics.wait;
  let pauses = 0;
  Atomics.wait = ((...given: Parameters<typeof Atomics.wait>) => {
    pauses++;
    return wait(...given);
  }) as typeof Atomics.wait;
  try {
    const code = `@group(0) @binding(0) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      var sum = 0.0;
      for (var i = 0u; i < 200000u; i++) { sum = sum * 0.5 + f32(i); }
      y[id.x] = sum;
    }`;
    const module = gpu.device.createShaderModule({ code });
    const pipeline = gpu.device.createComputePipeline({ layout: "auto", compute: { module } });
    const buffer = gpu.empty([4096]).buffer;
    const bindGroup = gpu.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer } }],
    });
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(64);
    pass.end();
    gpu.device.queue.submit([encoder.finish()]);
    const start = performance.now();
    await gpu.sync();
    const waited = performance.now() - start;
    // A GPU may finish before the first pause begins, so a wait below 5 ms needs no pause.
    assert(waited < 5 || pauses > 0, `${waited} ms waited, no pause`);
  } finally {
    Atomics.wait = wait;
  }
}, { runtimes: ["dawn"] });
