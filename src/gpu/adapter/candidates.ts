/** Lists the GPUs that a runtime can open, and finds the one that a name or a number means. */
import type { Runtime } from "../gpu_info.ts";
import { probeAdapter } from "./probe.ts";
import { dawnAdapterNames, denoRuntime, mayUseVariable } from "./runtimes.ts";
import { listVulkanDevices, SELECT_VARIABLE } from "./vulkan_devices.ts";

/** A GPU that a user can choose. */
export interface AdapterCandidate {
  readonly name: string;
  /** Whether it computes on the CPU; undefined if only opening the GPU would tell. */
  readonly software: boolean | undefined;
  /** How to make the runtime open this GPU. */
  readonly by:
    /** The value of `VK_LOADER_DEVICE_SELECT` that selects this GPU's model. */
    | { readonly vulkan: string }
    | { readonly request: GPURequestAdapterOptions }
    | { readonly dawn: string };
}

/** The value of the option `adapter` that means the SwiftShader that this project fetches. */
export const EMBEDDED = "embedded";

/**
 * Lists the GPUs that a user can choose, in the order of their numbers.
 *
 * Dawn can list every GPU; Deno's WebGPU cannot list any. For Deno on Linux the Vulkan loader lists
 * the GPUs, which needs `--allow-ffi` and `--allow-env=VK_LOADER_DEVICE_SELECT`. Without these
 * permissions, and on other systems, this function makes different requests to WebGPU and lists the
 * adapters that they return. GPUs may then be missing.
 *
 * @throws {Error} if the runtime cannot be loaded or probed
 */
export async function listCandidates(
  runtime: Exclude<Runtime, "browser">,
): Promise<AdapterCandidate[]> {
  if (runtime === "dawn") {
    const names = await dawnAdapterNames();
    return names.map((name) => ({ name, software: undefined, by: { dawn: name } }));
  }
  const devices = Deno.build.os === "linux" && await mayUseVariable(SELECT_VARIABLE)
    ? listVulkanDevices()
    : undefined;
  if (devices === undefined) return await requestedCandidates();
  return devices.map(({ name, vendor, device, software }) => ({
    name,
    software,
    by: { vulkan: `${vendor.toString(16)}:${device.toString(16)}` },
  }));
}

/** The adapters that WebGPU gives for different requests, each GPU once. */
async function requestedCandidates(): Promise<AdapterCandidate[]> {
  const requests: GPURequestAdapterOptions[] = [
    {},
    { powerPreference: "high-performance" },
    { powerPreference: "low-power" },
    { forceFallbackAdapter: true },
  ];
  await denoRuntime(); // keeps OpenGL out
  const found = new Map<string, AdapterCandidate>();
  for (const request of requests) {
    const probed = await probeAdapter(request);
    if (probed === null || probed.openGl || found.has(probed.name)) continue;
    const { name, software } = probed;
    found.set(name, { name, software, by: { request } });
  }
  return [...found.values()];
}

function listed(candidates: readonly AdapterCandidate[]): string {
  return candidates.length === 0
    ? "none is found"
    : candidates.map(({ name }, number) => `${number} ${name}`).join("; ");
}

/**
 * Finds the GPU that a user means. Of several GPUs of one model it finds only the first, because no
 * runtime can tell them apart.
 *
 * @param candidates in the order of their numbers
 * @param wanted a number of at most two digits, from 0 on; or a part of a GPU's name, in any case
 * @throws {RangeError} if no candidate matches, several models match, or the number belongs to a
 *   later GPU of a model that is listed before; the message lists the candidates
 */
export function chooseCandidate(
  candidates: readonly AdapterCandidate[],
  wanted: string,
): AdapterCandidate {
  const given = `openGpu: adapter is ${JSON.stringify(wanted.slice(0, 100))}`;
  const there = `There are: ${listed(candidates)}`;
  if (/^\d{1,2}$/.test(wanted)) {
    const number = Number(wanted);
    const found = candidates[number];
    if (found === undefined) {
      throw new RangeError(`${given}, and no GPU has this number. ${there}`);
    }
    const first = candidates.findIndex(({ by }) => sameChoice(by, found.by));
    if (first === number) return found;
    throw new RangeError(
      `${given}, which is the same model as ${first}, and no runtime can tell the two apart. ` +
        "Hide the others from this process: by a container, by a cluster's job scheduler, or, " +
        `with Mesa's drivers, by DRI_PRIME. ${there}`,
    );
  }
  const part = wanted.toLowerCase();
  const exact = candidates.filter(({ name }) => name.toLowerCase() === part);
  const matches = exact.length > 0
    ? exact
    : candidates.filter(({ name }) => name.toLowerCase().includes(part));
  const [found] = matches;
  if (found === undefined) {
    throw new RangeError(
      `${given}, and no GPU's name holds this. ${there}. Wanted a part of a name, a number, or ` +
        `"${EMBEDDED}" for the SwiftShader that gradsink fetches`,
    );
  }
  if (matches.some(({ by }) => !sameChoice(by, found.by))) {
    const several = matches.map((each) => `${candidates.indexOf(each)} ${each.name}`).join("; ");
    throw new RangeError(
      `${given}, and several GPUs' names hold this: ${several}. Give more of the name, or a number`,
    );
  }
  return found;
}

function sameChoice(a: AdapterCandidate["by"], b: AdapterCandidate["by"]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
