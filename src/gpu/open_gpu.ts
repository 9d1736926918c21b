import { type AdapterWish, findAdapter, type FoundAdapter } from "./adapter_search.ts";
import { Gpu } from "./gpu.ts";
import { GpuError } from "./gpu_error.ts";
import { describe, type Runtime } from "./gpu_info.ts";
import { enableLine } from "./pipelines.ts";
import { runSelfTest, selfTestSources } from "./self_test.ts";

/** What `openGpu` can be asked for. */
export interface OpenGpuOptions {
  /**
   * The WebGPU implementation: `deno` (wgpu, built in), `dawn` (npm:webgpu, needs `--allow-ffi`) or
   * `browser`. Default: the one that this program runs in.
   */
  readonly runtime?: Runtime;
  /**
   * Whether an adapter that computes on the CPU will do: `auto`, if there is no hardware; `always`, even
   * if there is; `never`. Default: `auto`.
   */
  readonly software?: "auto" | "always" | "never";
  /** Which GPU of a machine that has several. Default: the system's choice. */
  readonly powerPreference?: "low-power" | "high-performance";
}

const runtimes: readonly Runtime[] = ["deno", "dawn", "browser"];
const softwareChoices = ["auto", "always", "never"] as const;
const powerPreferences = ["low-power", "high-performance"] as const;

/** Limits asked for, as much of each as the adapter has; the kernels' floor is far below. */
const wantedLimits = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** Adapters that passed the self-test in this isolate. */
const trusted = new Set<string>();

/**
 * Finds a GPU, checks that it computes right, and opens it.
 *
 * Without a hardware GPU it takes an installed software Vulkan driver, and without one, on x64 Linux, fetches
 * SwiftShader once (which needs the permissions that the project's tasks carry). With the environment variable
 * `GRADSINK_ADAPTER=embedded` installed drivers are passed over.
 *
 * @param options which runtime and adapter; see `OpenGpuOptions`
 * @returns the opened GPU; dispose of it when done
 * @throws {RangeError} if an option has an unknown value
 * @throws {Error} if there is no usable adapter, saying what was tried and what to install
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
  checkChoice("runtime", options.runtime, runtimes);
  checkChoice("software", options.software, softwareChoices);
  checkChoice("powerPreference", options.powerPreference, powerPreferences);
  const wish: AdapterWish = {
    runtime: options.runtime ?? (typeof Deno === "undefined" ? "browser" : "deno"),
    software: options.software ?? "auto",
    ...options.powerPreference === undefined ? {} : { powerPreference: options.powerPreference },
  };
  const found = await findAdapter(wish);
  const device = await requestDevice(found);
  try {
    await trust(device, found);
  } catch (error) {
    device.destroy();
    throw error;
  }
  return new Gpu(device, describe(device, found.adapter, found.origin));
}

function checkChoice(name: string, given: unknown, choices: readonly string[]): void {
  if (given !== undefined && !choices.includes(given as string)) {
    const wanted = choices.map((choice) => `"${choice}"`).join(", ");
    throw new RangeError(`openGpu: ${name} is ${JSON.stringify(given)}, wanted one of ${wanted}`);
  }
}

async function requestDevice({ adapter, origin }: FoundAdapter): Promise<GPUDevice> {
  const requiredLimits: Record<string, number> = {};
  for (const name of wantedLimits) requiredLimits[name] = adapter.limits[name];
  const requiredFeatures = ["timestamp-query", "shader-f16", "subgroups"]
    .filter((feature) => adapter.features.has(feature as GPUFeatureName)) as GPUFeatureName[];
  // Deno offers subgroups without listing them (a canary in the tests watches this).
  if (origin.runtime === "deno" && !requiredFeatures.includes("subgroups" as GPUFeatureName)) {
    const hidden = [...requiredFeatures, "subgroups" as GPUFeatureName];
    const device = await adapter.requestDevice({ requiredFeatures: hidden, requiredLimits })
      .catch(() => undefined);
    if (device !== undefined) return device;
  }
  return await adapter.requestDevice({ requiredFeatures, requiredLimits });
}

async function trust(device: GPUDevice, { adapter, origin }: FoundAdapter): Promise<void> {
  const name = adapter.info.description || adapter.info.vendor || "this adapter";
  const subgroups = device.features.has("subgroups" as GPUFeatureName);
  const identity = `${origin.runtime} ${name} ${subgroups}`;
  if (trusted.has(identity)) return;
  const faults = await runSelfTest(device, {
    base: selfTestSources.base,
    ...subgroups
      ? { subgroup: enableLine("subgroups", origin.runtime) + selfTestSources.subgroup }
      : {},
  });
  if (faults.length > 0) {
    throw new GpuError("openGpu", `refused ${name}, it fails the self-test: ${faults.join("; ")}`);
  }
  trusted.add(identity);
}
