/** What a made-up GPU reports about itself. */
import type { GpuInfo } from "../../../src/gpu/gpu_info.ts";

/** A GPU without a name, features or subgroups, except for what is changed. */
export function gpuInfo(changes: Partial<GpuInfo> = {}): GpuInfo {
  return {
    runtime: "deno",
    backend: "vulkan",
    vendor: "test",
    architecture: "",
    device: "",
    description: "",
    software: false,
    features: [],
    limits: {},
    ...changes,
  };
}
