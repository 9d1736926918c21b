/** Describes the machine and the suite for the bench, and makes a measuring process's command. */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { cpus } from "node:os";
import config from "../../../deno.json" with { type: "json" };
import { packageCacheFolder, projectCacheFolder } from "../../files/cache_folder.ts";
import {
  DRIVER_VARIABLES,
  FOLDER_VARIABLES,
  permissionFlags,
  type PermissionNeed,
} from "../../permissions.ts";
import type { ChildCommand } from "../../processes.ts";
import { EMBEDDED } from "../../gpu/adapter/candidates.ts";
import { SELECT_VARIABLE } from "../../gpu/adapter/vulkan_devices.ts";
import { TUNING_VARIABLE } from "../../ops/tuning/file.ts";
import type { ResultFile, ResultHost, ResultRuntime } from "../../measure/result_file.ts";
import { thisDeno } from "../../processes.ts";

export const ownCheckout = new URL("../../../", import.meta.url);

/** The measuring process's module, in a checkout. */
export const CHILD = "src/measure/child.ts";

/** This suite's version and commit. */
export async function describeSuite(): Promise<ResultFile["suite"]> {
  return { version: config.version, commit: await gitCommit() };
}

/**
 * Asks git for a checkout's commit. Adds a + if tracked files differ from the commit. Returns null
 * if git names no commit or may not run. Names the checkout's folder to git, because the bench runs
 * from any folder.
 *
 * @param checkout default: this one
 */
export async function gitCommit(checkout = ownCheckout): Promise<string | null> {
  const git = { name: "run", command: "git" } as const;
  if (checkout.protocol !== "file:" || (await Deno.permissions.query(git)).state !== "granted") {
    return null;
  }
  const ask = async (...args: string[]): Promise<string | undefined> => {
    const { success, stdout } = await new Deno.Command("git", {
      args: ["-C", fileURLToPath(checkout), ...args],
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  };
  try {
    const commit = await ask("rev-parse", "HEAD");
    if (commit === undefined || !/^[0-9a-f]{40,64}$/.test(commit)) return null;
    const changes = await ask("status", "--porcelain", "--untracked-files=no");
    return changes === "" ? commit : `${commit}+`;
  } catch {
    return null; // git is not installed
  }
}

/** Describes this machine, as far as permissions allow. */
export async function describeHost(): Promise<ResultHost> {
  const allowed = async (
    kind: "osRelease" | "cpus" | "hostname" | "systemMemoryInfo",
  ): Promise<boolean> => (await Deno.permissions.query({ name: "sys", kind })).state === "granted";
  const model = await allowed("cpus") ? cpus()[0]?.model.trim() : undefined;
  return {
    os: Deno.build.os,
    arch: Deno.build.arch,
    ...await allowed("osRelease") ? { osRelease: Deno.osRelease() } : {},
    ...model ? { cpu: model } : {},
    ...await allowed("hostname") ? { id: await hostId() } : {},
    logicalProcessors: navigator.hardwareConcurrency,
    ...await allowed("systemMemoryInfo") ? { memoryBytes: Deno.systemMemoryInfo().total } : {},
  };
}

// Nodes of a cluster may differ only in their name, which is private, so hash it. The hash mixes in
// the system's random identifier, so nobody can find the name by hashing likely names.
async function hostId(): Promise<string> {
  const secret = await Deno.readTextFile("/etc/machine-id").catch(() => "");
  return createHash("sha256").update(`${secret}\n${Deno.hostname()}`).digest("hex").slice(0, 16);
}

/** The WebGPU implementation and its version. */
export function describeRuntime(name: "deno" | "dawn"): ResultRuntime {
  const version = Deno.version.deno;
  return name === "deno"
    ? { name, version }
    : { name, version, webgpuVersion: config.imports.webgpu.split("@").at(-1)!.replace("^", "") };
}

/**
 * The command that starts a measuring process, with only the permissions that opening its adapter
 * needs.
 *
 * @param gpu `runtime`: the WebGPU implementation; `adapter`: the GPU's name (default:
 *   GRADSINK_ADAPTER; the search for a named GPU needs more permissions); `checkout`: the checkout
 *   whose suite to run (default: this one)
 * @param program the process's module, or a custom operator that the usual module runs
 */
export function childCommand(
  { runtime, adapter = readVariable("GRADSINK_ADAPTER") || EMBEDDED, checkout = ownCheckout }: {
    readonly runtime: "deno" | "dawn";
    readonly adapter?: string | undefined;
    readonly checkout?: URL;
  },
  program: URL | { readonly url: string; readonly digest: string } = new URL(CHILD, checkout),
): ChildCommand {
  // A library that is opened by its bare name needs permission for all libraries. Dawn opens such
  // libraries, and so does the search for a named GPU, which asks Vulkan's loader.
  const byName = runtime === "dawn" || adapter !== EMBEDDED;
  const variables = Object.fromEntries(
    FOLDER_VARIABLES.map((name) => [name, readVariable(name)]),
  ) as Record<typeof FOLDER_VARIABLES[number], string | undefined>;
  const environment = [
    ...FOLDER_VARIABLES,
    ...DRIVER_VARIABLES,
    "DENO_WEBGPU_BACKEND",
    "GRADSINK_ADAPTER",
    SELECT_VARIABLE,
    TUNING_VARIABLE,
  ];
  const needs: PermissionNeed[] = environment.map((value) => ({ name: "env", value }));
  try {
    const cache = projectCacheFolder(variables);
    needs.push(
      { name: "read", value: cache },
      { name: "read", value: packageCacheFolder(variables) },
      { name: "write", value: cache },
    );
    if (!byName) needs.push({ name: "ffi", value: cache });
  } catch {
    // There is no cache folder. Go on, because only the embedded driver needs one.
  }
  const flags = permissionFlags(needs);
  if (byName) flags.push("--allow-ffi");
  const start = program instanceof URL
    ? [program.href]
    : [...projectFlags(checkout), operatorProgram(program, checkout)];
  return {
    command: thisDeno(),
    args: ["run", "--quiet", "--no-prompt", "--no-lock", ...flags, ...start],
  };
}

// Writes a program that imports the operator's file. The import's URL is a literal in the program,
// so Deno needs no permission to read the file.
function operatorProgram(
  { url, digest }: { readonly url: string; readonly digest: string },
  checkout: URL,
): string {
  const text = `import { runChild } from ${JSON.stringify(new URL(CHILD, checkout).href)};
await runChild({
  digest: ${JSON.stringify(digest)},
  load: () => import(${JSON.stringify(url)}),
});`;
  return `data:application/javascript,${encodeURIComponent(text)}`;
}

/**
 * Deno's flags for a program outside this project. With them it can import the project, and the
 * project's packages, by name.
 */
export function projectFlags(checkout = ownCheckout): string[] {
  const config = new URL("deno.json", checkout);
  return config.protocol === "file:" ? [`--config=${fileURLToPath(config)}`] : [];
}

function readVariable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}
