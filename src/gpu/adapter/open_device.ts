/** Opens a GPU from an adapter: requests a device and runs the self-test. Runs in browsers too. */
import type { FoundAdapter } from "./request.ts";
import { Gpu } from "../gpu.ts";
import { GpuError } from "../gpu_error.ts";
import { describe } from "../gpu_info.ts";
import { examineClaims, type Truth } from "./claims.ts";
import { faultsOf, runSelfTest, selfTestSource } from "./self_test.ts";

/** The limits to request as high as the adapter offers them; most kernels need far less. */
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

const wantedFeatures = ["timestamp-query", "shader-f16", "subgroups"];

/** What the self-test found about the adapters that this isolate has opened. */
const examined = new Map<string, Promise<Truth>>();

/**
 * Opens a device on an adapter and tests that it computes correctly. Leaves out features that the
 * adapter falsely claims.
 *
 * @throws {GpuError} if the adapter fails the self-test
 * @throws {Error} if the adapter gives no device
 */
export async function openDevice(found: FoundAdapter): Promise<Gpu> {
  const { device, refused } = await requestDevice(found);
  try {
    const truth = await examine(device, found);
    const notes = Object.freeze([...refused, ...truth.notes]);
    for (const note of notes) console.error(`gradsink: ${nameOf(found)}: ${note}`);
    return new Gpu(
      device,
      describe(device, found.adapter, { ...found, truth: { ...truth, notes } }),
    );
  } catch (error) {
    device.destroy();
    throw error;
  }
}

/** A device, and what the adapter offered but then refused, one sentence each. */
interface RequestedDevice {
  readonly device: GPUDevice;
  readonly refused: readonly string[];
}

async function requestDevice({ adapter, origin }: FoundAdapter): Promise<RequestedDevice> {
  const requiredLimits: Record<string, number> = {};
  for (const name of wantedLimits) requiredLimits[name] = adapter.limits[name];
  const offered = wantedFeatures
    .filter((feature) => adapter.features.has(feature as GPUFeatureName)) as GPUFeatureName[];
  // Deno does not list the feature subgroups, but may grant it, so request it anyway (a test fails
  // if Deno begins to list it).
  if (origin.runtime === "deno" && !offered.includes("subgroups" as GPUFeatureName)) {
    const hidden = [...offered, "subgroups" as GPUFeatureName];
    const device = await adapter.requestDevice({ requiredFeatures: hidden, requiredLimits })
      .catch(() => undefined);
    if (device !== undefined) return { device, refused: [] };
  }
  let refusal: unknown;
  for (const requiredFeatures of subsets(offered)) {
    // If the adapter refuses what it offers, ask for less: fewer features, or WebGPU's default
    // limits.
    for (const limits of [requiredLimits, {}]) {
      try {
        const device = await adapter.requestDevice({ requiredFeatures, requiredLimits: limits });
        const missing = offered.filter((feature) => !requiredFeatures.includes(feature));
        return {
          device,
          refused: [
            ...missing.map((feature) => `it offers the feature ${feature} and refuses it`),
            ...limits === requiredLimits
              ? []
              : ["it refuses its own limits: those of WebGPU are used"],
          ],
        };
      } catch (error) {
        refusal ??= error;
      }
    }
  }
  throw refusal;
}

// Every subset of a list's items, larger ones first.
function subsets<Item>(items: readonly Item[]): Item[][] {
  const all = Array.from(
    { length: 2 ** items.length },
    (_, bits) => items.filter((_, i) => (bits >> i & 1) === 0),
  );
  return all.sort((a, b) => b.length - a.length);
}

async function examine(device: GPUDevice, found: FoundAdapter): Promise<Truth> {
  const { runtime } = found.origin;
  const { subgroupMinSize, subgroupMaxSize } = found.adapter.info;
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = device.limits;
  const identity = JSON.stringify([
    [runtime, nameOf(found), [...device.features].sort()],
    [subgroupMinSize, subgroupMaxSize],
    [maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize],
  ]);
  const examining = examined.get(identity) ?? findTruth(device, found);
  examined.set(identity, examining);
  try {
    return await examining;
  } catch (error) {
    examined.delete(identity);
    throw error;
  }
}

function nameOf({ adapter: { info } }: FoundAdapter): string {
  return info.description || info.vendor || "this adapter";
}

async function findTruth(device: GPUDevice, found: FoundAdapter): Promise<Truth> {
  const faults = faultsOf(await runSelfTest(device, selfTestSource));
  const truth = faults.length > 0 ? undefined : await examineClaims(device, found);
  faults.push(...truth?.faults ?? []);
  if (truth === undefined || faults.length > 0) {
    throw new GpuError(
      "openGpu",
      `refused ${nameOf(found)}, it fails the self-test: ${faults.join("; ")}`,
    );
  }
  return truth;
}
