/** The libraries that can be compared, by the names that the command line and the tables use. */

/** A library. */
export interface Library {
  readonly title: string;
  /** The module beside this one that loads it: it exports `loadPeer()`; or a program in Python that is the process. */
  readonly module: string;
  /** Whether it computes on the same adapter; otherwise on the CPU, by native code. */
  readonly gpu: boolean;
}

/** In the order of the tables; `gradsink` is what the others are compared with. */
export const libraries = {
  "gradsink": { title: "gradsink", module: "ours.ts", gpu: true },
  "jax-js": { title: "jax-js", module: "jax.ts", gpu: true },
  "tfjs": { title: "TensorFlow.js WebGPU", module: "tensorflow.ts", gpu: true },
  "onnx-webgpu": { title: "onnxruntime-web WebGPU", module: "onnx_webgpu.ts", gpu: true },
  "onnx-jsep": { title: "onnxruntime-web JSEP", module: "onnx_jsep.ts", gpu: true },
  "onnx-cpu": { title: "onnxruntime CPU, native", module: "onnx_node.ts", gpu: false },
  "torch-cpu": { title: "PyTorch CPU", module: "torch_cpu.py", gpu: false },
} as const satisfies Record<string, Library>;

/** The name of a library. */
export type LibraryName = keyof typeof libraries;
