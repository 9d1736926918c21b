/**
 * Chooses a GPU by name on a machine with two drivers: an installed one and the embedded
 * SwiftShader.
 */
import { fileURLToPath } from "node:url";
import { listVulkanDevices } from "../../../src/gpu/adapter/vulkan_devices.ts";
import { ICD_FILE } from "../../../src/gpu/embedded/archive.ts";
import { driverFolderName } from "../../../src/gpu/embedded/folder_name.ts";
import { projectCacheFolder } from "../../../src/files/cache_folder.ts";
import { openGpu } from "../../../mod.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "../../support/assert/assert.ts";
import { missingFlags } from "../../support/permitted.ts";
import { eachRuntime } from "../../support/gpu.ts";
import type { ChildReport } from "./named_child.ts";

const child = fileURLToPath(new URL("./named_child.ts", import.meta.url));

/** Variables that would hide one of the two drivers, or choose between them. */
const HIDING = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "GRADSINK_ADAPTER"] as const;

function embeddedDriver(): string {
  const variables = { HOME: Deno.env.get("HOME"), XDG_CACHE_HOME: Deno.env.get("XDG_CACHE_HOME") };
  return `${projectCacheFolder(variables)}/${driverFolderName()}/${ICD_FILE}`;
}

/** Why these tests cannot run here; undefined if they can. */
function reasonAgainst(): string | undefined {
  const [missing] = missingFlags(["run", "read", "env", "ffi"]);
  if (missing !== undefined) return `needs ${missing}`;
  if (Deno.build.target !== "x86_64-unknown-linux-gnu") return "needs x64 Linux";
  if (HIDING.some((name) => Deno.env.get(name))) return "the environment chooses a driver";
  if ((listVulkanDevices() ?? []).length === 0) return "needs an installed Vulkan driver";
  try {
    Deno.statSync(embeddedDriver());
  } catch {
    return "the embedded driver is not in the cache";
  }
  return undefined;
}

async function report(
  runtime: string,
  wishes: readonly object[],
  env: Record<string, string> = {},
): Promise<ChildReport> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      "--no-lock",
      child,
      runtime,
      ...wishes.map((wish) => JSON.stringify(wish)),
    ],
    // Adds the embedded driver to the installed ones.
    env: { NO_COLOR: "1", VK_ADD_DRIVER_FILES: embeddedDriver(), ...env },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!) as ChildReport;
}

/** A name as the runtime spells it: Dawn uses lower case and hyphens. */
function written(runtime: string, name: string): string {
  return runtime === "dawn" ? name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-") : name;
}

eachRuntime(
  "openGpu() finds the GPU that is named, by number or by name, and no other",
  async (runtime) => {
    const { names } = await report(runtime, []);
    assert(names.length >= 2, `${names}`);
    assert(names.some((name) => name.includes("SwiftShader")), `${names}`);
    const other = names.find((name) => !name.includes("SwiftShader"))!;
    const { found, selected } = await report(runtime, [
      ...names.map((_, number) => ({ adapter: String(number) })),
      { adapter: "swiftshader" },
      { adapter: other.toUpperCase() },
      { adapter: "no such GPU" },
      { adapter: "swiftshader", software: "never" },
    ]);
    const count = names.length;
    assertEquals(found.slice(0, count), names.map((name) => written(runtime, name)));
    assertStringIncludes(found[count]!, runtime === "dawn" ? "swiftshader" : "SwiftShader");
    assertEquals(found[count + 1], written(runtime, other));
    for (const name of names) assertStringIncludes(found[count + 2]!, name);
    assertStringIncludes(found[count + 2]!, "no GPU's name holds this");
    assertStringIncludes(found[count + 3]!, 'is a software adapter, but software is "never"');
    assertEquals(selected, null);
    // GRADSINK_ADAPTER chooses as the option `adapter` does. If both are given, the option decides.
    const byVariable = await report(
      runtime,
      [{}, { adapter: other }],
      { GRADSINK_ADAPTER: "SwiftShader" },
    );
    assertEquals(byVariable.found, [found[count]!, written(runtime, other)]);
  },
  { unless: reasonAgainst() },
);

Deno.test("openGpu() refuses a malformed adapter name, or one together with a power preference", async () => {
  const refused: [object, string][] = [
    [{ adapter: " " }, 'adapter is " ", wanted a part of a GPU\'s name'],
    [{ adapter: 1 }, "adapter is 1, wanted a part of a GPU's name, or its number, as a text"],
    [{ adapter: "a", powerPreference: "low-power" }, 'and powerPreference is "low-power"'],
    [{ adapter: "a", runtime: "browser" }, "a browser chooses the GPU itself"],
  ];
  for (const [options, message] of refused) {
    await assertRejects(() => openGpu(options), RangeError, message);
  }
});
