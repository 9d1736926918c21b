/** The WebGPU implementations outside browsers: Deno's own and Dawn. */
import { type RuntimeEntry, webGpu } from "./request.ts";
import { paceDawnPolling } from "./dawn_polling.ts";

// Kept for the life of the process: if Dawn's entry object is garbage-collected, its adapters
// crash.
const dawnEntries: GPU[] = [];

/** True if this process may read and set an environment variable. */
export async function mayUseVariable(name: string): Promise<boolean> {
  if (typeof Deno === "undefined") return false;
  return (await Deno.permissions.query({ name: "env", variable: name })).state === "granted";
}

/**
 * Deno's own WebGPU (wgpu). On Linux, if the user chose no backend, this function chooses Vulkan,
 * because Mesa's OpenGL takes 20 s to build a pipeline. That needs
 * `--allow-env=DENO_WEBGPU_BACKEND`.
 */
export async function denoRuntime(): Promise<RuntimeEntry> {
  const variable = "DENO_WEBGPU_BACKEND";
  const allowed = await mayUseVariable(variable);
  if (Deno.build.os === "linux" && allowed && Deno.env.get(variable) === undefined) {
    Deno.env.set(variable, "vulkan");
  }
  const chosen = allowed ? Deno.env.get(variable) : undefined;
  const usual: Record<string, string> = { linux: "vulkan", darwin: "metal", windows: "d3d12" };
  return {
    runtime: "deno",
    backend: chosen ?? usual[Deno.build.os] ?? "unknown",
    gpu: webGpu("deno"),
  };
}

/**
 * Dawn, from npm:webgpu. Each call makes a new entry object, which also finds drivers that were
 * added since the last call.
 *
 * @param adapter a part of the GPU's name, as its driver writes it. Default: Dawn's own choice
 * @throws {Error} if the package cannot be loaded, or `--allow-ffi` is missing
 */
export async function dawnRuntime(adapter?: string): Promise<RuntimeEntry> {
  if ((await Deno.permissions.query({ name: "ffi" })).state !== "granted") {
    throw new Error("openGpu: the runtime dawn is native code, which needs --allow-ffi");
  }
  // A variable instead of a literal in `import` makes Deno download the package only for Dawn.
  const specifier = "npm:webgpu@^0.6.2";
  const { create } = await import(specifier) as { create(flags: string[]): GPU };
  paceDawnPolling();
  const backends: Record<string, string> = { linux: "vulkan", darwin: "metal", windows: "d3d12" };
  const backend = backends[Deno.build.os] ?? "vulkan";
  const gpu = create([
    `backend=${backend}`,
    "disable-dawn-features=timestamp_quantization",
    ...adapter === undefined ? [] : [`adapter=${adapter}`],
  ]);
  dawnEntries.push(gpu);
  return { runtime: "dawn", backend, gpu };
}

/**
 * The names of the GPUs that Dawn knows. Dawn lists them only in the error for an unknown name (a
 * test watches for changes of that error).
 *
 * @throws {Error} as {@linkcode dawnRuntime}
 */
export async function dawnAdapterNames(): Promise<string[]> {
  const { gpu } = await dawnRuntime("no GPU has this name");
  try {
    await gpu.requestAdapter();
  } catch (error) {
    const lines = String((error as Error).message).matchAll(/^ \* backend: .*, name: '(.*)'$/gm);
    return [...lines].map(([, name]) => name!);
  }
  return [];
}
