/**
 * Eight GPUs, as Deno and Dawn describe them: NVIDIA's with its own driver, all others with Mesa's.
 */
import type { GpuInfo } from "../../../src/gpu/gpu_info.ts";

export interface HardwareAdapter {
  readonly name: string;
  readonly deno: GpuInfo;
  readonly dawn: GpuInfo;
}

interface Told {
  readonly vendor: string;
  readonly description: string;
  /** The architecture and the description that Dawn reports. The description names the driver. */
  readonly dawn: readonly [architecture: string, driver: string];
  readonly subgroups: readonly [minimum: number, maximum: number];
  /** The most bytes of memory per workgroup. */
  readonly workgroupMemory: number;
  /** The most invocations per workgroup. Default: 1024. */
  readonly invocations?: number;
  /** The most bytes per binding. Default: 2^31 - 4. */
  readonly binding?: number;
}

function adapter(name: string, told: Told): HardwareAdapter {
  const { vendor, description, dawn: [architecture, driver], subgroups, workgroupMemory } = told;
  const [minimum, maximum] = subgroups;
  const shared = {
    backend: "vulkan",
    vendor,
    device: "",
    software: false,
    features: ["shader-f16", "subgroups", "timestamp-query"],
    limits: {
      maxBufferSize: 2 ** 31 - 1,
      maxStorageBufferBindingSize: told.binding ?? 2 ** 31 - 4,
      maxStorageBuffersPerShaderStage: 16,
      maxComputeWorkgroupStorageSize: workgroupMemory,
      maxComputeInvocationsPerWorkgroup: told.invocations ?? 1024,
      maxComputeWorkgroupSizeX: 1024,
      maxComputeWorkgroupSizeY: 1024,
      maxComputeWorkgroupsPerDimension: 65535,
      minStorageBufferOffsetAlignment: 256,
    },
    subgroupSize: { minimum, maximum },
  } as const;
  return {
    name,
    deno: { ...shared, runtime: "deno", architecture: "", description },
    dawn: { ...shared, runtime: "dawn", architecture, description: driver },
  };
}

export const hardwareAdapters: readonly HardwareAdapter[] = [
  adapter("vega10", {
    vendor: "amd",
    description: "AMD Radeon RX Vega (RADV VEGA10)",
    dawn: ["gcn-5", "radv: Mesa 25.0.7"],
    subgroups: [64, 64],
    workgroupMemory: 65536,
  }),
  adapter("navi21", {
    vendor: "amd",
    description: "AMD Radeon RX 6800 (RADV NAVI21)",
    dawn: ["rdna-2", "radv: Mesa 25.0.7"],
    subgroups: [32, 64],
    workgroupMemory: 65536,
  }),
  adapter("navi31", {
    vendor: "amd",
    description: "AMD Radeon RX 7900 XTX (RADV NAVI31)",
    dawn: ["rdna-3", "radv: Mesa 25.0.7"],
    subgroups: [32, 64],
    workgroupMemory: 65536,
  }),
  adapter("dg2", {
    vendor: "intel",
    description: "Intel(R) Arc(tm) A770M Graphics (DG2)",
    dawn: ["gen-12hp", "Intel open-source Mesa driver: Mesa 26.2.6"],
    subgroups: [8, 32],
    workgroupMemory: 49152,
  }),
  adapter("bmg", {
    vendor: "intel",
    description: "Intel(R) Graphics (BMG G21)",
    dawn: ["xe-2hpg", "Intel open-source Mesa driver: Mesa 26.2.6"],
    subgroups: [16, 32],
    workgroupMemory: 49152,
  }),
  adapter("ga102", {
    vendor: "nvidia",
    description: "NVIDIA GeForce RTX 3090",
    dawn: ["ampere", "NVIDIA: 550.90.07"],
    subgroups: [32, 32],
    workgroupMemory: 49152,
  }),
  adapter("m1", {
    vendor: "mesa",
    description: "Apple M1 (G13G A0)",
    dawn: ["software", "Honeykrisp: Mesa 26.2.6"],
    subgroups: [32, 32],
    workgroupMemory: 32768,
  }),
  adapter("adreno730", {
    vendor: "qualcomm",
    description: "Turnip Adreno (TM) 730",
    dawn: ["adreno-7xx", "turnip Mesa driver: Mesa 26.2.6"],
    subgroups: [64, 128],
    workgroupMemory: 32768,
    invocations: 2048,
    binding: 2 ** 27,
  }),
];
