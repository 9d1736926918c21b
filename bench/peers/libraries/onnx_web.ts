/** onnxruntime-web, on WebGPU: https://onnxruntime.ai/docs/tutorials/web/ */
import { modelsOf, type OnnxModel } from "./onnx_model.ts";
import { exchangeAxes, type Peer, type PreparedWork } from "../peer.ts";
import type { Numbers } from "../works.ts";
import type { Work } from "../works.ts";

const VERSION = "1.30.0";

interface OrtTensor {
  readonly gpuBuffer: GPUBuffer;
  getData(): Promise<Float32Array>;
  dispose(): void;
}

interface Session {
  run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Record<string, OrtTensor>>;
}

interface Ort {
  readonly env: {
    readonly wasm: { numThreads: number };
    readonly webgpu: { readonly device: Promise<GPUDevice> | GPUDevice };
    logLevel: string;
  };
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
  readonly Tensor: {
    new (type: "float32", data: Float32Array, shape: readonly number[]): OrtTensor;
    fromGpuBuffer(buffer: GPUBuffer, options: object): OrtTensor;
  };
}

/**
 * Loads one of the library's two builds for WebGPU from npm.
 *
 * @param build `webgpu` has the native library's kernels; `all` has the older kernels, written in
 *   TypeScript (JSEP)
 */
export async function loadOnnxWeb(build: "webgpu" | "all"): Promise<Peer> {
  const ort = await import(`npm:onnxruntime-web@${VERSION}/${build}`) as Ort;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  return {
    versions: { [`onnxruntime-web/${build}`]: VERSION },
    async prepare(work, inputs) {
      const ways: PreparedWork[] = [];
      for (const model of await modelsOf(work)) {
        ways.push(await prepareModel(ort, model, { work, inputs }));
      }
      return ways;
    },
  };
}

async function prepareModel(
  ort: Ort,
  model: OnnxModel,
  { work, inputs }: { readonly work: Work; readonly inputs: Numbers },
): Promise<PreparedWork> {
  const session = await ort.InferenceSession.create(model.bytes, {
    executionProviders: ["webgpu"],
    preferredOutputLocation: "gpu-buffer",
  });
  const device = await ort.env.webgpu.device;
  const { H = 1, T = 1, D = 1 } = work.dimensions;
  const feeds: Record<string, OrtTensor> = {};
  for (const [name, dims] of Object.entries(model.inputs)) {
    const numbers = inputs[name] ?? model.constants[name]!;
    const data = model.tokensFirst ? exchangeAxes(numbers, [H, T, D]) : Float32Array.from(numbers);
    const size = Math.ceil(data.byteLength / 16) * 16;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = device.createBuffer({ size, usage });
    device.queue.writeBuffer(buffer, 0, data);
    feeds[name] = ort.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims });
  }
  let results: Record<string, OrtTensor> = {};
  return {
    way: model.way,
    async run() {
      for (const result of Object.values(results)) result.dispose();
      results = await session.run(feeds);
    },
    finish: async () => {
      await device.queue.onSubmittedWorkDone();
    },
    async read() {
      const read: Record<string, Float32Array<ArrayBuffer>> = {};
      for (const [name, result] of Object.entries(results)) {
        const data = await readBuffer(device, result.gpuBuffer);
        const length = model.outputs[name]!.reduce((a, b) => a * b, 1);
        const numbers = data.subarray(0, length);
        read[name] = model.tokensFirst ? exchangeAxes(numbers, [T, H, D]) : numbers;
      }
      return read;
    },
  };
}

async function readBuffer(
  device: GPUDevice,
  buffer: GPUBuffer,
): Promise<Float32Array<ArrayBuffer>> {
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const staging = device.createBuffer({ size: buffer.size, usage });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const data = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return data;
}
