import { type AdapterWish, nothingFound, requestAdapter, webGpu } from "./adapter/request.ts";
import type { Gpu } from "./gpu.ts";
import { openDevice } from "./adapter/open_device.ts";
import { checkOpenGpuOptions, type OpenGpuOptions } from "./open_gpu_options.ts";

/**
 * Opens the browser's GPU, as `openGpu({ runtime: "browser" })` does. This module leaves out the
 * code that only Deno can run, for pages that must stay small.
 *
 * @param options which adapter
 * @returns the opened GPU; dispose of it when done
 * @throws {RangeError} if an option has an unknown value, or asks for another runtime or for a GPU
 *   by name
 * @throws {Error} if the browser has no WebGPU or no adapter; the message says what to do
 * @throws {GpuError} if the adapter fails the self-test
 *
 * @example
 * ```ts
 * import { openBrowserGpu } from "./open_browser_gpu.ts";
 *
 * async function vendor(): Promise<string> {
 *   using gpu = await openBrowserGpu();
 *   return gpu.info.vendor;
 * }
 * ```
 */
export async function openBrowserGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  checkOpenGpuOptions(options);
  const { runtime = "browser", software = "auto", powerPreference } = options;
  if (runtime !== "browser") {
    throw new RangeError(`openBrowserGpu: runtime is "${runtime}", wanted "browser"`);
  }
  if (options.adapter !== undefined) {
    throw new RangeError(
      `openBrowserGpu: adapter is ${JSON.stringify(options.adapter)}, but a browser chooses the ` +
        "GPU itself: powerPreference is all that a page can ask for",
    );
  }
  const wish: AdapterWish = {
    runtime,
    software,
    ...powerPreference === undefined ? {} : { powerPreference },
  };
  const tried: string[] = [];
  const origin = { runtime, backend: "unknown", gpu: webGpu(runtime) };
  const found = await requestAdapter(origin, { wish, tried });
  if (found !== undefined) return await openDevice(found);
  throw nothingFound(
    tried,
    "Use a browser with WebGPU, and see its settings for hardware acceleration",
  );
}
