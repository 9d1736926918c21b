/**
 * Installs and activates the embedded driver, computes with it, and prints one line of JSON.
 *
 * Drivers are chosen for a whole process, so a test runs this with `deno run`. Arguments:
 *
 * 1. the cache folder, or `default` for the usual one
 * 2. the runtime, `deno` or `dawn`; or `install` to stop after installing
 */
import { activateEmbeddedDriver, installEmbeddedDriver } from "../../../src/gpu/embedded/driver.ts";

export interface ChildReport {
  readonly notices: readonly string[];
  readonly folder: string;
  /** The adapter's description; null if none was found. */
  readonly adapter?: string | null;
  /** The number of results that differ from the CPU's. */
  readonly wrong?: number;
  /** The number of results compared. */
  readonly compared?: number;
}

const SHADER = `
@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
var<workgroup> shared_input: array<u32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  shared_input[lane] = input[id.x];
  workgroupBarrier();
  output[id.x] = shared_input[63u - lane] * 3u + id.x;
}`;

async function compute(device: GPUDevice): Promise<{ wrong: number; compared: number }> {
  const count = 256;
  const input = Uint32Array.from({ length: count }, (_, i) => (i * 7919) % 1009);
  const usage = { STORAGE: 128, COPY_DST: 8, COPY_SRC: 4, MAP_READ: 1 };
  const size = input.byteLength;
  const source = device.createBuffer({ size, usage: usage.STORAGE | usage.COPY_DST });
  const target = device.createBuffer({ size, usage: usage.STORAGE | usage.COPY_SRC });
  const readback = device.createBuffer({ size, usage: usage.MAP_READ | usage.COPY_DST });
  device.queue.writeBuffer(source, 0, input);
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code: SHADER }) },
  });
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [
      { binding: 0, resource: { buffer: source } },
      { binding: 1, resource: { buffer: target } },
    ],
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(count / 64);
  pass.end();
  encoder.copyBufferToBuffer(target, 0, readback, 0, size);
  device.queue.submit([encoder.finish()]);
  await readback.mapAsync(1);
  const output = new Uint32Array(readback.getMappedRange().slice(0));
  let wrong = 0;
  for (let i = 0; i < count; i++) {
    const mirrored = input[i - i % 64 + 63 - i % 64]!;
    if (output[i] !== mirrored * 3 + i) wrong++;
  }
  return { wrong, compared: count };
}

async function runChild(cacheFolder: string, runtime: string): Promise<ChildReport> {
  const notices: string[] = [];
  const driver = await installEmbeddedDriver({
    ...cacheFolder === "default" ? {} : { cacheFolder },
    notice: (line) => notices.push(line),
  });
  if (runtime === "install") return { notices, folder: driver.folder };
  activateEmbeddedDriver(driver);
  let gpu: GPU = navigator.gpu;
  if (runtime === "dawn") {
    const { create, globals } = await import("webgpu");
    Object.assign(globalThis, globals);
    gpu = create([]);
    Object.assign(globalThis, { keptAlive: gpu }); // garbage collection would end in a segfault
  }
  const adapter = await gpu.requestAdapter();
  if (adapter === null) return { notices, folder: driver.folder, adapter: null };
  const device = await adapter.requestDevice();
  const { description, architecture } = adapter.info;
  return {
    notices,
    folder: driver.folder,
    adapter: `${description} ${architecture}`,
    ...await compute(device),
  };
}

if (import.meta.main) {
  const [cacheFolder = "default", runtime = "deno"] = Deno.args;
  console.log(JSON.stringify(await runChild(cacheFolder, runtime)));
  Deno.exit(0); // Dawn's threads would keep the process alive
}
