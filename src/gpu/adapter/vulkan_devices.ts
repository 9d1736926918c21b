/**
 * The GPUs that Vulkan knows on Linux, in its loader's order. WebGPU itself cannot list them: it
 * gives one adapter per request.
 *
 * The structures are those of Vulkan 1.0, which every later version keeps: `VkInstanceCreateInfo`
 * with only its type set, and the first fields of `VkPhysicalDeviceProperties`.
 */

/** One GPU, or a driver that computes on the CPU. */
export interface VulkanDevice {
  /** The driver's name for it, such as `NVIDIA GeForce RTX 4090`. */
  readonly name: string;
  /** The maker's PCI number. */
  readonly vendor: number;
  /** The maker's number for this model; two equal cards have the same. */
  readonly device: number;
  readonly software: boolean;
}

/**
 * The environment variable that names the GPU model that the Vulkan loader must list first:
 * `VENDOR:DEVICE`, in hexadecimal.
 */
export const SELECT_VARIABLE = "VK_LOADER_DEVICE_SELECT";

const symbols = {
  vkCreateInstance: { parameters: ["buffer", "pointer", "buffer"], result: "i32" },
  vkEnumeratePhysicalDevices: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  vkGetPhysicalDeviceProperties: { parameters: ["pointer", "buffer"], result: "void" },
  vkDestroyInstance: { parameters: ["pointer", "pointer"], result: "void" },
} as const;

const INSTANCE_CREATE_INFO = 1;
/** Bytes of `VkInstanceCreateInfo`. */
const CREATE_INFO_BYTES = 64;
/** The size of the buffer for `VkPhysicalDeviceProperties`, which takes 824 bytes. */
const PROPERTIES_BYTES = 1024;
/** The offsets of fields in `VkPhysicalDeviceProperties`, in bytes. */
const [VENDOR, DEVICE, TYPE, NAME] = [8, 12, 16, 20];
const NAME_BYTES = 256;
const TYPE_CPU = 4;

/**
 * Lists the GPUs of this machine.
 *
 * @returns undefined without the permission `--allow-ffi`, or if the Vulkan loader is missing or
 *   fails
 */
export function listVulkanDevices(): VulkanDevice[] | undefined {
  // The loader is opened by its bare name, so an `--allow-ffi` with a list of paths is not enough.
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  let loader: Deno.DynamicLibrary<typeof symbols>;
  try {
    loader = Deno.dlopen("libvulkan.so.1", symbols);
  } catch {
    return undefined;
  }
  try {
    return devicesOf(loader.symbols);
  } finally {
    loader.close();
  }
}

function devicesOf(
  vulkan: Deno.DynamicLibrary<typeof symbols>["symbols"],
): VulkanDevice[] | undefined {
  const info = new Uint32Array(CREATE_INFO_BYTES / 4);
  info[0] = INSTANCE_CREATE_INFO;
  const created = new BigUint64Array(1);
  if (vulkan.vkCreateInstance(info, null, created) !== 0) return undefined;
  const instance = Deno.UnsafePointer.create(created[0]!);
  try {
    const count = new Uint32Array(1);
    if (vulkan.vkEnumeratePhysicalDevices(instance, count, null) !== 0) return undefined;
    const devices = new BigUint64Array(count[0]!);
    if (vulkan.vkEnumeratePhysicalDevices(instance, count, devices) !== 0) return undefined;
    return [...devices].map((device) => {
      const properties = new Uint8Array(PROPERTIES_BYTES);
      vulkan.vkGetPhysicalDeviceProperties(Deno.UnsafePointer.create(device), properties);
      const view = new DataView(properties.buffer);
      const text = properties.subarray(NAME, NAME + NAME_BYTES);
      return {
        name: new TextDecoder().decode(text.subarray(0, text.indexOf(0))),
        vendor: view.getUint32(VENDOR, true),
        device: view.getUint32(DEVICE, true),
        software: view.getUint32(TYPE, true) === TYPE_CPU,
      };
    });
  } finally {
    vulkan.vkDestroyInstance(instance, null);
  }
}
