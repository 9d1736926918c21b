/** From an adapter to an opened GPU: what is asked of the device, and the test that it must pass. Runs in browsers too. */
import type { FoundAdapter } from "./request.ts";
import { Gpu } from "../gpu.ts";
import { GpuError } from "../gpu_error.ts";
import { describe } from "../gpu_info.ts";
import { enableLine } from "../pipelines.ts";
import { runSelfTest, selfTestSources } from "./self_test.ts";

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
 * Opens a device on an adapter and sees that it computes right.
 *
 * @param found the adapter
 * @returns the opened GPU
 * @throws {GpuError} if the adapter fails the self-test
 */
export async function openDevice(found: FoundAdapter): Promise<Gpu> {
  const device = await requestDevice(found);
  try {
    await trust(device, found);
  } catch (error) {
    device.destroy();
    throw error;
  }
  return new Gpu(device, describe(device, found.adapter, found.origin));
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
