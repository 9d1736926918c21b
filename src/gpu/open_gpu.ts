import type { AdapterWish } from "./adapter/request.ts";
import { findAdapter } from "./adapter/search.ts";
import type { Gpu } from "./gpu.ts";
import { openBrowserGpu } from "./open_browser_gpu.ts";
import { openDevice } from "./adapter/open_device.ts";
import { checkOpenGpuOptions, type OpenGpuOptions } from "./open_gpu_options.ts";

export type { OpenGpuOptions } from "./open_gpu_options.ts";

/**
 * Finds a GPU, opens it, and checks that it computes correctly.
 *
 * Without a hardware GPU it uses an installed software Vulkan driver. Without either, on x64 Linux,
 * it fetches SwiftShader once, which needs the permissions of the project's tasks. The option
 * `adapter`, or the environment variable `GRADSINK_ADAPTER`, names one GPU of several.
 *
 * @param options which runtime and adapter; see `OpenGpuOptions`
 * @returns the opened GPU; dispose of it when done
 * @throws {RangeError} if an option has an unknown value, `adapter` and `powerPreference` are both
 *   given, or `adapter` does not determine one GPU; then the message lists the GPUs
 * @throws {Error} if the runtime cannot be loaded or has no usable adapter; the message says why
 * @throws {GpuError} if the adapter fails the self-test
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu({ software: "auto" });
 * console.log(gpu.info);
 * ```
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  checkOpenGpuOptions(options);
  const runtime = options.runtime ?? (typeof Deno === "undefined" ? "browser" : "deno");
  if (runtime === "browser") return await openBrowserGpu(options);
  const { software = "auto", powerPreference, adapter } = options;
  const wish: AdapterWish = {
    runtime,
    software,
    ...powerPreference === undefined ? {} : { powerPreference },
    ...adapter === undefined ? {} : { adapter: adapter.trim() },
  };
  return await openDevice(await findAdapter(wish));
}
