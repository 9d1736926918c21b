/** Opens the GPU that the user named, and no other. */
import type { AdapterWish, FoundAdapter, RuntimeEntry } from "./request.ts";
import { type AdapterCandidate, chooseCandidate, listCandidates } from "./candidates.ts";
import { dawnRuntime, denoRuntime } from "./runtimes.ts";
import { SELECT_VARIABLE } from "./vulkan_devices.ts";

/**
 * Finds the GPU that the caller names.
 *
 * @param wish the caller's choice; its runtime is Deno's or Dawn
 * @param wanted a part of the GPU's name, or its number in the list of candidates
 * @throws {RangeError} if no candidate matches, several models match, or the number belongs to a
 *   later GPU of a model that is listed before; the message lists the candidates
 * @throws {Error} if the runtime cannot be loaded, cannot open the GPU or opens another one; or if
 *   `wish.software` excludes it
 */
export async function findNamedAdapter(wish: AdapterWish, wanted: string): Promise<FoundAdapter> {
  const runtime = wish.runtime === "dawn" ? "dawn" : "deno";
  const chosen = chooseCandidate(await listCandidates(runtime), wanted);
  const found = await request(chosen, runtime);
  const { info } = found.adapter;
  const name = info.description || info.device || info.vendor;
  if (!isCalled(found, chosen.name)) {
    throw new Error(
      `openGpu: adapter is ${JSON.stringify(wanted)}, and ${runtime} opens ${name} instead of ` +
        `${chosen.name}: it cannot choose here. Let the driver choose: VK_DRIVER_FILES names one ` +
        "driver, MESA_VK_DEVICE_SELECT one of Mesa's GPUs",
    );
  }
  const wrong = { auto: undefined, always: false, never: true }[wish.software];
  if (info.isFallbackAdapter === wrong) {
    throw new Error(
      `openGpu: no usable adapter: adapter is ${JSON.stringify(wanted)}, and ${chosen.name} is ` +
        `${wrong ? "a" : "no"} software adapter, but software is "${wish.software}"`,
    );
  }
  return found;
}

async function request(
  { name, by }: AdapterCandidate,
  runtime: "deno" | "dawn",
): Promise<FoundAdapter> {
  const origin = "dawn" in by ? await dawnRuntime(by.dawn) : await denoRuntime();
  const ask = async (origin: RuntimeEntry): Promise<FoundAdapter> => {
    const adapter = await origin.gpu.requestAdapter("request" in by ? by.request : {});
    if (adapter === null) throw new Error(`openGpu: ${runtime} cannot open ${name}`);
    return { adapter, origin };
  };
  if (!("vulkan" in by)) return await ask(origin);
  // Restore the variable afterwards: the loader reads it at every request, and a later request may
  // name no GPU.
  const before = Deno.env.get(SELECT_VARIABLE);
  Deno.env.set(SELECT_VARIABLE, by.vulkan);
  try {
    return await ask(origin);
  } finally {
    if (before === undefined) Deno.env.delete(SELECT_VARIABLE);
    else Deno.env.set(SELECT_VARIABLE, before);
  }
}

/** Whether an adapter is the named GPU. Dawn writes names in lower case, with hyphens. */
function isCalled({ adapter: { info }, origin }: FoundAdapter, name: string): boolean {
  return origin.runtime === "dawn"
    ? info.device === name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")
    : info.description === name;
}
