import type { GpuInfo } from "../../../src/gpu/gpu_info.ts";

/** A GPU without a name, features or subgroups, except for the given changes. */
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
