/** onnxruntime-web's build for WebGPU with the native library's kernels. */
import { loadOnnxWeb } from "./onnx_web.ts";
import type { Peer } from "../peer.ts";

/** Loads the library from npm. */
export function loadPeer(): Promise<Peer> {
  return loadOnnxWeb("webgpu");
}
