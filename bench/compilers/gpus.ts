/**
 * The GPUs for which Mesa's drivers can compile on a machine without such a GPU. For each driver,
 * Mesa's drm-shim has a library that simulates the device.
 */

/** A driver's compiler, which determines the form of the driver's statistics and assembly. */
export type CompilerFamily = "amd" | "intel" | "nvidia" | "apple" | "qualcomm";

export interface PretendedGpu {
  /** The GPU's name, as in `--gpus`. */
  readonly name: string;
  /** The name of its product. */
  readonly product: string;
  readonly family: CompilerFamily;
  /** The driver's library is `libvulkan_NAME.so`. */
  readonly driver: string;
  /** The library that simulates the device, `libNAME_noop_drm_shim.so`. */
  readonly shim: string;
  /** The variables that make the driver compile for this GPU. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * The release of the drivers: a stable distribution's, or the newest one, which supports more
   * GPUs.
   */
  readonly release: "stable" | "newest";
}

function amd(name: string, product: string): PretendedGpu {
  return {
    name,
    product,
    family: "amd",
    driver: "radeon",
    shim: "amdgpu",
    environment: { AMDGPU_GPU_ID: name },
    release: "stable",
  };
}

function intel(name: string, product: string): PretendedGpu {
  return {
    name,
    product,
    family: "intel",
    driver: "intel",
    shim: "intel",
    environment: { INTEL_STUB_GPU_PLATFORM: name },
    release: "newest",
  };
}

// Mesa's driver checks the bounds of every 4 bytes; NVIDIA's own driver does not. So layer.c turns
// Mesa's checks off.
function nvidia(name: string, product: string, chipset: string): PretendedGpu {
  return {
    name,
    product,
    family: "nvidia",
    driver: "nouveau",
    shim: "nouveau",
    environment: { NOUVEAU_CHIPSET: chipset, GRADSINK_LAYER_UNCHECKED: "1" },
    release: "newest",
  };
}

export const pretendedGpus: readonly PretendedGpu[] = [
  amd("vega10", "Radeon RX Vega 64"),
  amd("navi10", "Radeon RX 5700 XT"),
  amd("navi21", "Radeon RX 6900 XT"),
  amd("navi31", "Radeon RX 7900 XTX"),
  intel("adl", "Iris Xe (Alder Lake)"),
  intel("dg2", "Arc A770"),
  intel("bmg", "Arc B580"),
  nvidia("ga102", "GeForce RTX 3090", "172"),
  nvidia("ad102", "GeForce RTX 4090", "192"),
  {
    name: "m1",
    product: "Apple M1",
    family: "apple",
    driver: "asahi",
    shim: "asahi",
    environment: {},
    release: "newest",
  },
  {
    name: "adreno730",
    product: "Adreno 730",
    family: "qualcomm",
    driver: "freedreno",
    shim: "freedreno",
    environment: { FD_GPU_ID: "730" },
    release: "newest",
  },
];
