/**
 * The process for a simulated GPU. It compiles kernels and writes the results to standard output,
 * one JSON object per line. child.ts starts it and writes the request to its standard input. No
 * kernel runs.
 */
import { createDryGpu } from "../../src/gpu/dry_gpu.ts";
import { describe, type GpuInfo } from "../../src/gpu/gpu_info.ts";
import { type AssemblyLoop, loopsOf } from "./assembly.ts";
import { type KeptKernel, KeptKernels } from "./collect/kept.ts";
import type { Executable } from "./figures.ts";
import type { CompilerFamily } from "./gpus.ts";
import { type KernelSelection, listWorks, type Work } from "./works.ts";

/** A request to the process. */
export interface CollectRequest {
  readonly runtime: "deno" | "dawn";
  readonly family: CompilerFamily;
  readonly selection: KernelSelection;
  /** The log file to which the Vulkan layer writes a line per pipeline. */
  readonly log: string;
  /** The folder to which the Vulkan layer writes SPIR-V and the driver's texts (assembly). */
  readonly texts: string;
  /** A folder for the assembly, the SPIR-V and the WGSL of every kernel. */
  readonly keep?: string;
  /** The kernels, by number, that earlier processes compiled or failed to compile. */
  readonly skip: readonly number[];
  /** The file of stored results. */
  readonly kept: string;
}

/** The outcome of a kernel. */
export interface Compiled extends Omit<Work, "code">, KeptKernel {
  /** Equal for kernels with the same WGSL. */
  readonly code: number;
  /** The reason why the kernel did not compile, and so has no executables. */
  readonly error?: string;
}

/** A line that the process writes. */
export type CollectReport =
  | { readonly type: "opened"; readonly info: GpuInfo; readonly total: number }
  /** Sent before a kernel is compiled, to identify the kernel if the process dies. */
  | {
    readonly type: "begin";
    readonly number: number;
    readonly work: Omit<Compiled, keyof KeptKernel | "error">;
  }
  | { readonly type: "compiled"; readonly number: number; readonly result: Compiled };

/** The limits to request from the adapter. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupsPerDimension",
] as const;

async function openDevice(
  runtime: "deno" | "dawn",
): Promise<{ readonly device: GPUDevice; readonly info: GpuInfo; readonly dawn: unknown }> {
  const dawn = runtime === "dawn"
    ? (await import("webgpu")).create(["backend=vulkan"]) as unknown as GPU
    : undefined;
  const adapter = await (dawn ?? navigator.gpu).requestAdapter();
  if (adapter === null) throw new Error("the driver gives no adapter");
  const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  const listed = ["timestamp-query", "shader-f16"]
    .filter((feature) => adapter.features.has(feature as GPUFeatureName));
  const request = (features: readonly string[]) =>
    adapter.requestDevice({ requiredFeatures: features as GPUFeatureName[], requiredLimits });
  // Deno does not list subgroups among the adapter's features, but grants them on request.
  const device = await request([...listed, "subgroups"]).catch(() => request(listed));
  // No kernel runs here, so the adapter's claims cannot be tested: take them as true.
  const { subgroupMinSize: minimum = 4, subgroupMaxSize: maximum = 128 } = adapter.info;
  const features: string[] = [...device.features].sort();
  const truth = {
    features,
    notes: [],
    ...features.includes("subgroups") ? { subgroupSize: { minimum, maximum } } : {},
  };
  const info = describe(device, adapter, { origin: { runtime, backend: "vulkan" }, truth });
  return { device, info: { ...info, software: false }, dawn };
}

interface LayerLine {
  readonly number: number;
  readonly workgroup: readonly number[];
  readonly executables: readonly Executable[];
}

// Reads the lines of the Vulkan layer's log. The layer writes a pipeline's line before
// createComputePipeline() returns.
function layerLines(log: string): string[] {
  try {
    return Deno.readTextFileSync(log).trimEnd().split("\n").filter((line) => line !== "");
  } catch {
    return [];
  }
}

async function compile(
  device: GPUDevice,
  { code, label }: { readonly code: string; readonly label: string },
  { runtime, log }: CollectRequest,
): Promise<{ readonly line?: LayerLine; readonly error?: string }> {
  const before = layerLines(log).length;
  if (runtime === "deno") device.pushErrorScope("validation");
  const module = device.createShaderModule({ label, code });
  device.createComputePipeline({
    label,
    layout: "auto",
    compute: { module, entryPoint: "main" },
  });
  // Dawn answers popErrorScope() only via a queue, which a simulated device does not have.
  const error = runtime === "deno" ? await device.popErrorScope() : null;
  const lines = layerLines(log);
  if (error !== null) return { error: error.message };
  return lines.length > before
    ? { line: JSON.parse(lines.at(-1)!) as LayerLine }
    : { error: "the driver made no pipeline" };
}

// Returns the loops of the first executable's assembly. Removes the layer's texts of the pipeline.
// If there is a folder `keep`, first copies them there under readable names.
function takeTexts(
  { number }: LayerLine,
  { name, code }: { readonly name: string; readonly code: string },
  { texts, keep, family }: CollectRequest,
): AssemblyLoop[] | undefined {
  const own = [...Deno.readDirSync(texts)].map((entry) => entry.name)
    .filter((each) => each.startsWith(`${number}.`));
  const assembly = own.find((each) => /^\d+\.0\..*assembly$/i.test(each));
  const loops = assembly === undefined
    ? undefined
    : loopsOf(Deno.readTextFileSync(`${texts}/${assembly}`), family);
  for (const each of own) {
    if (keep !== undefined) {
      Deno.copyFileSync(`${texts}/${each}`, `${keep}/${name}${each.slice(each.indexOf("."))}`);
    }
    Deno.removeSync(`${texts}/${each}`);
  }
  if (keep !== undefined) Deno.writeTextFileSync(`${keep}/${name}.wgsl`, code);
  return loops;
}

async function collect(
  request: CollectRequest,
  report: (report: CollectReport) => void,
): Promise<void> {
  const { device, info } = await openDevice(request.runtime);
  const works = listWorks(createDryGpu(info), request.selection);
  report({ type: "opened", info, total: works.length });
  if (request.keep !== undefined) Deno.mkdirSync(request.keep, { recursive: true });
  const codes = new Map<string, number>();
  const kept = new KeptKernels(request.kept);
  const known = new Map<number, KeptKernel & Pick<Compiled, "error">>();
  for (const [number, { code, ...work }] of works.entries()) {
    const id = codes.get(code) ?? number;
    codes.set(code, id);
    if (request.skip.includes(number)) continue;
    let found = known.get(id) ?? (request.keep === undefined ? await kept.find(code) : undefined);
    if (found === undefined) {
      report({ type: "begin", number, work: { ...work, code: id } });
      const label = `${work.operator} ${work.variant} ${work.shape} ${work.file}`;
      const { line, error } = await compile(device, { code, label }, request);
      const name = label.replace(/[^\w.³×-]+/g, "_");
      const loops = line && takeTexts(line, { name, code }, request);
      found = {
        workgroup: line?.workgroup ?? [],
        executables: line?.executables ?? [],
        ...loops === undefined ? {} : { loops },
        ...error === undefined ? {} : { error },
      };
      if (error === undefined) await kept.keep(code, found);
    }
    known.set(id, found);
    report({ type: "compiled", number, result: { ...work, code: id, ...found } });
  }
}

if (import.meta.main) {
  const request = await new Response(Deno.stdin.readable).json() as CollectRequest;
  await collect(request, (report) => {
    const bytes = new TextEncoder().encode(JSON.stringify(report) + "\n");
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  });
  Deno.exit(0); // skips destroying the device, which would need a queue
}
