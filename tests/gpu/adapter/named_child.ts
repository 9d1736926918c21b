/**
 * Lists the adapters and finds some of them, in a new process, because a process keeps its drivers.
 * Arguments: `deno` or `dawn`, then a JSON text of options for each adapter to find. Prints one
 * line of JSON.
 */
import { listCandidates } from "../../../src/gpu/adapter/candidates.ts";
import type { AdapterWish } from "../../../src/gpu/adapter/request.ts";
import { findAdapter } from "../../../src/gpu/adapter/search.ts";
import { SELECT_VARIABLE } from "../../../src/gpu/adapter/vulkan_devices.ts";

export interface ChildReport {
  readonly names: readonly string[];
  /** For each adapter to find: its name as the runtime spells it, or the error. */
  readonly found: readonly string[];
  /**
   * The value of the Vulkan loader's variable that selects a device, read after all adapters were
   * found; null if unset.
   */
  readonly selected: string | null;
}

async function find(wish: AdapterWish): Promise<string> {
  try {
    const { adapter: { info } } = await findAdapter(wish);
    return wish.runtime === "dawn" ? info.device : info.description;
  } catch (error) {
    return String(error);
  }
}

if (import.meta.main) {
  const [runtime, ...wishes] = Deno.args as ["deno" | "dawn", ...string[]];
  const names = (await listCandidates(runtime)).map(({ name }) => name);
  const found: string[] = [];
  for (const wish of wishes) {
    found.push(await find({ runtime, software: "auto", ...JSON.parse(wish) as object }));
  }
  const selected = Deno.env.get(SELECT_VARIABLE) ?? null;
  console.log(JSON.stringify({ names, found, selected } satisfies ChildReport));
  Deno.exit(0); // a driver's threads would keep the process alive
}
