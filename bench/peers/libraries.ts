/** The libraries that can be compared, by their names on the command line and in tables. */

/** A library. */
export interface Library {
  readonly title: string;
  /**
   * The module that loads the library and exports `loadPeer()`, or the Python program to run
   * instead.
   */
  readonly module: string;
  /**
   * Whether the library computes on the comparison's adapter. If not, it runs native code on the
   * CPU.
   */
  readonly gpu: boolean;
}

/** The libraries, in the order of the tables. The tables compare all others with `gradsink`. */
export const libraries = {
  "gradsink": { title: "gradsink", module: "libraries/ours.ts", gpu: true },
  "jax-js": { title: "jax-js", module: "libraries/jax.ts", gpu: true },
  "tfjs": { title: "TensorFlow.js WebGPU", module: "libraries/tensorflow.ts", gpu: true },
  "onnx-webgpu": { title: "onnxruntime-web WebGPU", module: "libraries/onnx_webgpu.ts", gpu: true },
  "onnx-jsep": { title: "onnxruntime-web JSEP", module: "libraries/onnx_jsep.ts", gpu: true },
  "onnx-cpu": { title: "onnxruntime CPU, native", module: "libraries/onnx_node.ts", gpu: false },
  "torch-cpu": { title: "PyTorch CPU", module: "libraries/torch_cpu.py", gpu: false },
} as const satisfies Record<string, Library>;

/** The name of a library. */
export type LibraryName = keyof typeof libraries;
