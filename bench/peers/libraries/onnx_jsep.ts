/** onnxruntime-web's older build for WebGPU, with kernels written in TypeScript (JSEP). */
import { loadOnnxWeb } from "./onnx_web.ts";
import type { Peer } from "../peer.ts";

/** Loads the library from npm. */
export function loadPeer(): Promise<Peer> {
  return loadOnnxWeb("all");
}
