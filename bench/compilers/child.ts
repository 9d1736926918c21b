/**
 * Runs collect.ts for a simulated GPU, in a process with the drivers' own dynamic loader and C
 * library.
 */
import { fileURLToPath } from "node:url";
import type { GpuInfo } from "../../src/gpu/gpu_info.ts";
import type { CollectReport, CollectRequest, Compiled } from "./collect.ts";
import { keptFile } from "./collect/kept.ts";
import type { PretendedGpu } from "./gpus.ts";
import type { PreparedDrivers } from "./prepare.ts";
import type { KernelSelection } from "./works.ts";

/** The results of a GPU's compiler. */
export interface GpuResult {
  readonly gpu: PretendedGpu;
  /** What the WebGPU implementation says of the adapter; undefined if the adapter did not open. */
  readonly info: GpuInfo | undefined;
  readonly compiled: readonly Compiled[];
  /** The reason why some kernels failed or are missing. */
  readonly problem?: string;
}

/** Options of compiling. */
export interface CompileOptions {
  readonly drivers: PreparedDrivers;
  readonly runtime: "deno" | "dawn";
  readonly selection: KernelSelection;
  /**
   * A folder for assembly, SPIR-V and WGSL. If it is given, all kernels are compiled, even those
   * with stored results.
   */
  readonly keep: string | undefined;
  /** The folder of stored results. */
  readonly kept: string;
  /** ms for all kernels. */
  readonly deadline: number;
  readonly interrupt: AbortSignal;
  readonly progress: (done: number, total: number, text: string) => void;
}

/** A process that died; the message says why. */
class ChildError extends Error {}

/** After this many deaths of the process, the remaining kernels are not compiled. */
const MOST_DEATHS = 8;

/**
 * Compiles a selection of kernels for a GPU. A kernel that crashes the compiler counts as failed,
 * and a new process continues with the next kernel.
 */
export async function compileOn(gpu: PretendedGpu, options: CompileOptions): Promise<GpuResult> {
  const compiled = new Map<number, Compiled>();
  const end = AbortSignal.timeout(options.deadline);
  const stop = AbortSignal.any([end, options.interrupt]);
  let info: GpuInfo | undefined;
  let problem: string | undefined;
  for (let deaths = 0; deaths < MOST_DEATHS; deaths++) {
    let trying: (CollectReport & { readonly type: "begin" }) | undefined;
    let total = 0;
    try {
      const said = await runChild(
        gpu,
        { ...options, skip: [...compiled.keys()], stop },
        (report) => {
          if (report.type === "opened") {
            info = report.info;
            total = report.total;
          } else if (report.type === "begin") {
            trying = report;
            const { operator, variant } = report.work;
            options.progress(compiled.size, total, `${gpu.name} ${operator} ${variant}`);
          } else {
            compiled.set(report.number, report.result);
            trying = undefined;
          }
        },
      );
      const failed = [...compiled.values()].some(({ error }) => error !== undefined);
      problem = failed && said !== "" ? said : undefined;
      break;
    } catch (error) {
      options.interrupt.throwIfAborted();
      if (!(error instanceof ChildError)) throw error;
      problem = error.message;
      if (end.aborted) {
        problem = `not done after ${options.deadline / 1000} s`;
        break;
      }
      if (trying === undefined) break;
      const { number, work } = trying;
      compiled.set(number, {
        ...work,
        workgroup: [],
        executables: [],
        error: `the compiler died: ${error.message}`,
      });
    }
  }
  return {
    gpu,
    info,
    compiled: [...compiled].sort(([a], [b]) => a - b).map(([, result]) => result),
    ...problem === undefined ? {} : { problem },
  };
}

async function runChild(
  gpu: PretendedGpu,
  { drivers, runtime, selection, keep, kept, skip, stop }: CompileOptions & {
    readonly skip: readonly number[];
    readonly stop: AbortSignal;
  },
  report: (report: CollectReport) => void,
): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "gradsink-compilers-" });
  try {
    await Deno.mkdir(`${folder}/texts`);
    const request: CollectRequest = {
      runtime,
      family: gpu.family,
      selection,
      log: `${folder}/log`,
      texts: `${folder}/texts`,
      skip,
      kept: await keptFile(gpu, { drivers, runtime, folder: kept }),
      ...keep === undefined ? {} : { keep: `${keep}/${gpu.name}` },
    };
    return await talk(await startChild(gpu, drivers, folder), { request, stop, report });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function startChild(
  gpu: PretendedGpu,
  { libraries, shim, layers }: PreparedDrivers,
  folder: string,
): Promise<Deno.ChildProcess> {
  const driver = `${folder}/driver.json`;
  await Deno.writeTextFile(
    driver,
    JSON.stringify({
      file_format_version: "1.0.0",
      ICD: { api_version: "1.3.305", library_path: `${libraries}/libvulkan_${gpu.driver}.so` },
    }),
  );
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const script = fileURLToPath(new URL("./collect.ts", import.meta.url));
  const permissions = ["--allow-env", "--allow-read", "--allow-write", "--allow-ffi"];
  const options = ["run", "--quiet", "--no-prompt", "--config", `${root}deno.json`, ...permissions];
  const loader = ["--library-path", libraries, "--preload", shim];
  return new Deno.Command(`${libraries}/ld-linux-x86-64.so.2`, {
    args: [...loader, Deno.execPath(), ...options, script],
    env: {
      NO_COLOR: "1",
      XDG_RUNTIME_DIR: folder,
      MESA_SHADER_CACHE_DISABLE: "true",
      NVK_I_WANT_A_BROKEN_VULKAN_DRIVER: "1",
      VK_DRIVER_FILES: driver,
      VK_ICD_FILENAMES: driver,
      VK_LAYER_PATH: layers,
      VK_INSTANCE_LAYERS: "VK_LAYER_GRADSINK_compilers",
      GRADSINK_LAYER_LOG: `${folder}/log`,
      GRADSINK_LAYER_TEXTS: `${folder}/texts`,
      GRADSINK_TUNING: "off",
      ...gpu.environment,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function talk(
  child: Deno.ChildProcess,
  { request, stop, report }: {
    readonly request: CollectRequest;
    readonly stop: AbortSignal;
    readonly report: (report: CollectReport) => void;
  },
): Promise<string> {
  const kill = () => {
    try {
      child.kill("SIGKILL"); // nothing else ends a busy compiler
    } catch {
      // it has ended by itself
    }
  };
  stop.addEventListener("abort", kill);
  if (stop.aborted) kill();
  try {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(request))).catch(() => {});
    await writer.close().catch(() => {});
    const errors = new Response(child.stderr).text();
    const others: string[] = []; // lines that are no reports: Dawn writes errors to standard output
    for await (const line of linesOf(child.stdout)) {
      if (line.startsWith("{")) report(JSON.parse(line) as CollectReport);
      else others.push(line);
    }
    const { success, signal, code } = await child.status;
    const said = (await errors).trim().split("\n").slice(-2).join(" / ");
    if (!success) throw new ChildError(`${signal ?? `exit code ${code}`}${said && `: ${said}`}`);
    return others.slice(0, 2).join(" / ");
  } finally {
    kill();
    stop.removeEventListener("abort", kill);
  }
}

// Yields the stream's lines. Drops an unfinished last line, which a process that died may leave.
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines.filter((line) => line !== "");
  }
}
