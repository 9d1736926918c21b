/** Searches a machine for a usable adapter: the one that the user names, or the best. */
import { EMBEDDED } from "./candidates.ts";
import { findNamedAdapter } from "./named.ts";
import { probeAdapter } from "./probe.ts";
import {
  type AdapterWish,
  type FoundAdapter,
  nothingFound,
  requestAdapter,
  requestOptions,
  type Search,
} from "./request.ts";
import { dawnRuntime, denoRuntime, mayUseVariable } from "./runtimes.ts";

/**
 * The environment variable that chooses the GPU, like the option `adapter`. It holds a part of the
 * GPU's name, the GPU's number, or `embedded`, which ignores the installed drivers.
 *
 * This file sets the variable to `embedded` before it opens the embedded driver. So the process's
 * other isolates (`deno test --parallel` has many) open their own embedded driver. Otherwise they
 * would find this isolate's driver among the installed ones, and lose it when this isolate ends.
 */
const ADAPTER_VARIABLE = "GRADSINK_ADAPTER";

/** The GPU that the option or the environment names; undefined for the usual search. */
async function wantedAdapter({ adapter }: AdapterWish): Promise<string | undefined> {
  if (adapter !== undefined) return adapter;
  return await mayUseVariable(ADAPTER_VARIABLE)
    ? Deno.env.get(ADAPTER_VARIABLE)?.trim() || undefined
    : undefined;
}

async function embeddedOnly(wish: AdapterWish): Promise<boolean> {
  return await wantedAdapter(wish) === EMBEDDED;
}

/**
 * Finds an adapter: the named one; else the machine's GPU; else an installed software driver that
 * passes the self-test; else, on x64 Linux, the embedded SwiftShader, fetched once.
 *
 * @param wish which adapter of Deno's WebGPU or Dawn is wanted
 * @returns the adapter, to be tested by `openDevice`
 * @throws {RangeError} if the given name or number does not mean one GPU; the message lists GPUs
 * @throws {Error} if the runtime cannot be loaded or has no usable adapter
 */
export async function findAdapter(wish: AdapterWish): Promise<FoundAdapter> {
  const wanted = await wantedAdapter(wish);
  if (wanted !== undefined && wanted !== EMBEDDED) return await findNamedAdapter(wish, wanted);
  const tried: string[] = [];
  const open = wish.runtime === "dawn" ? dawnRuntime : denoRuntime;
  const origin = await open();
  const worth = !await embeddedOnly(wish) && await worthRequesting({ wish, tried });
  // Check again: while the probe ran, another isolate may have opened the embedded driver and set
  // the variable.
  if (worth && !await embeddedOnly(wish)) {
    const found = await requestAdapter(origin, { wish, tried });
    if (found !== undefined) return found;
  }
  if (wish.software === "never") {
    throw nothingFound(tried, "Install the GPU's Vulkan driver, or allow a software adapter");
  }
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    throw nothingFound(tried, "Install a GPU driver");
  }
  const { activateEmbeddedDriver, installEmbeddedDriver } = await import("../embedded/driver.ts");
  const driver = await installEmbeddedDriver().catch((error: Error) => {
    tried.push(`the embedded SwiftShader: ${error.message}`);
    throw nothingFound(
      tried,
      "Install Mesa's lavapipe 25 or later (Debian: mesa-vulkan-drivers, libvulkan1)",
    );
  });
  if (await mayUseVariable(ADAPTER_VARIABLE)) Deno.env.set(ADAPTER_VARIABLE, "embedded");
  activateEmbeddedDriver(driver);
  const found = await requestAdapter(await open(), { wish, tried });
  if (found !== undefined) return found;
  throw nothingFound(
    tried,
    "Install Mesa's lavapipe 25 or later (Debian: mesa-vulkan-drivers, libvulkan1)",
  );
}

// Whether to request an adapter from the installed drivers. On Linux a Worker probes them first,
// because a request binds this isolate to the drivers that it finds, even if they compute wrong.
// Dawn uses the same drivers as Deno's WebGPU, so the probe's result holds for Dawn too.
async function worthRequesting({ wish, tried }: Search): Promise<boolean> {
  if (Deno.build.os !== "linux") return true;
  const probed = await probeAdapter(requestOptions(wish));
  if (probed === null) {
    tried.push("installed drivers: no adapter");
    return false;
  }
  if (probed.openGl) {
    tried.push(`${probed.name}: refused, it is Mesa's OpenGL, not a Vulkan driver`);
    return false;
  }
  if (probed.software && wish.software === "never") {
    tried.push(`${probed.name}: a software adapter`);
    return false;
  }
  if (probed.faults.length > 0) {
    const reason = `${probed.name}: refused, it fails the self-test: ${probed.faults.join("; ")}`;
    tried.push(reason);
    console.error(`gradsink: ${reason}`);
    return false;
  }
  return true;
}
