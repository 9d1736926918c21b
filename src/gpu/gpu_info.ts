/** The WebGPU implementation: Deno's own (wgpu), npm:webgpu (Dawn), or the browser's. */
export type Runtime = "deno" | "dawn" | "browser";

/** Describes an opened GPU. */
export interface GpuInfo {
  /** The WebGPU implementation. */
  readonly runtime: Runtime;
  /** The graphics interface that WebGPU uses: vulkan, metal, d3d12, or unknown. */
  readonly backend: string;
  /** The maker, in lower case: nvidia, amd, intel, apple, arm, qualcomm, mesa, google, … */
  readonly vendor: string;
  /** The family of GPUs, if the runtime reports it; else empty. */
  readonly architecture: string;
  /** The device's identifier, if the runtime reports it; else empty. */
  readonly device: string;
  /** The driver's own description, if the runtime reports it; else empty. */
  readonly description: string;
  /** True for an adapter that computes on the CPU. */
  readonly software: boolean;
  /** The enabled features that passed the self-test, sorted. */
  readonly features: readonly string[];
  /** The limits that were granted. */
  readonly limits: Readonly<Record<string, number>>;
  /** The sizes a subgroup can have; absent if subgroups cannot be used. */
  readonly subgroupSize?: SubgroupSize;
  /**
   * One sentence for each claim of the adapter that the self-test found false, for each feature
   * that the adapter offered and then refused, and for all limits together if it refused them.
   * Absent if there are none.
   */
  readonly notes?: readonly string[];
}

/** The number of lanes in a subgroup. */
export interface SubgroupSize {
  /** The smallest number. */
  readonly minimum: number;
  /** The largest number. */
  readonly maximum: number;
}

// PCI vendor numbers, which Deno reports instead of names. 0x10005 is Khronos' number for Mesa.
const vendors: Readonly<Record<number, string>> = {
  0x1002: "amd",
  0x1010: "imagination",
  0x106b: "apple",
  0x10de: "nvidia",
  0x13b5: "arm",
  0x1414: "microsoft",
  0x1ae0: "google",
  0x5143: "qualcomm",
  0x8086: "intel",
  0x10005: "mesa",
};

/**
 * The name of a GPU's maker.
 *
 * @param vendor a name, or a PCI vendor number in decimal
 * @returns the name in lower case; the number itself if its name is not known
 */
export function vendorName(vendor: string): string {
  return (/^\d+$/.test(vendor) ? vendors[Number(vendor)] : undefined) ?? vendor.toLowerCase();
}

/**
 * Describes an opened device.
 *
 * @param adapter the adapter on which the device was opened
 * @param found the device's runtime and backend, and what the self-test found about its features
 */
export function describe(
  device: GPUDevice,
  adapter: GPUAdapter,
  { origin: { runtime, backend }, truth: { features, subgroupSize, notes } }: {
    readonly origin: Pick<GpuInfo, "runtime" | "backend">;
    readonly truth: Pick<GpuInfo, "features" | "subgroupSize"> & Required<Pick<GpuInfo, "notes">>;
  },
): GpuInfo {
  const { info } = adapter;
  const limits: Record<string, number> = {};
  for (const name in device.limits) {
    const limit: unknown = device.limits[name as keyof GPUSupportedLimits];
    if (typeof limit === "number") limits[name] = limit;
  }
  return Object.freeze({
    runtime,
    backend,
    vendor: vendorName(info.vendor),
    architecture: info.architecture,
    device: info.device,
    description: info.description,
    // Older browsers report `isFallbackAdapter` on the adapter itself, or not at all.
    software: info.isFallbackAdapter ??
      (adapter as { isFallbackAdapter?: boolean }).isFallbackAdapter ?? false,
    features,
    limits: Object.freeze(limits),
    ...subgroupSize === undefined ? {} : { subgroupSize },
    ...notes.length === 0 ? {} : { notes },
  });
}
