/**
 * Stores the compilers' results: one file per GPU and runtime, with one line of JSON per kernel. So
 * an interrupted run continues, and a second run takes seconds.
 */
import { fileURLToPath } from "node:url";
import { sha256 } from "../../../src/sha256.ts";
import type { AssemblyLoop } from "../assembly.ts";
import type { Executable } from "../figures.ts";
import type { PretendedGpu } from "../gpus.ts";
import type { PreparedDrivers } from "../prepare.ts";

/** The compiler's results for a WGSL text. */
export interface KeptKernel {
  readonly workgroup: readonly number[];
  readonly executables: readonly Executable[];
  /** The loops of the first executable, if `loopsOf` can read the compiler's assembly. */
  readonly loops?: readonly AssemblyLoop[];
}

// The modules that read the assembly.
const readers = ["../assembly.ts", "../assembly/loops.ts"];

/**
 * Finds the path of the file that stores a GPU's results with a runtime. The file's name has a hash
 * of what the results depend on besides the WGSL: the driver and its environment, the layer, the
 * runtime's version, and the modules that read the assembly. Removes the GPU's files for the same
 * runtime with other hashes.
 *
 * @param options `folder` is made if it is missing
 */
export async function keptFile(
  gpu: PretendedGpu,
  { drivers: { libraries, layers }, runtime, folder }: {
    readonly drivers: PreparedDrivers;
    readonly runtime: "deno" | "dawn";
    readonly folder: string;
  },
): Promise<string> {
  const { size, mtime } = await Deno.stat(`${libraries}/libvulkan_${gpu.driver}.so`);
  const texts = await Promise.all(
    readers.map((name) => Deno.readTextFile(fileURLToPath(new URL(name, import.meta.url)))),
  );
  const version = runtime === "deno" ? Deno.version.deno : import.meta.resolve("webgpu");
  const parts = [size, mtime, layers, gpu.environment, version, texts];
  const digest = await sha256(JSON.stringify(parts));
  const prefix = `${gpu.name}-${runtime}-`;
  const name = `${prefix}${digest.slice(0, 12)}.jsonl`;
  await Deno.mkdir(folder, { recursive: true });
  for await (const entry of Deno.readDir(folder)) {
    if (entry.name.startsWith(prefix) && entry.name !== name) {
      await Deno.remove(`${folder}/${entry.name}`).catch(() => {}); // another run was faster
    }
  }
  return `${folder}/${name}`;
}

/** The stored kernels of one file, by digest of their WGSL. */
export class KeptKernels {
  readonly #path: string;
  readonly #kernels = new Map<string, KeptKernel>();

  /** @param path the file, which need not exist */
  constructor(path: string) {
    this.#path = path;
    let text = "";
    try {
      text = Deno.readTextFileSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    for (const line of text.split("\n")) {
      try {
        const { digest, ...kernel } = JSON.parse(line) as KeptKernel & { readonly digest: string };
        this.#kernels.set(digest, kernel);
      } catch {
        // half a line of an interrupted run: the kernel of this line is compiled again
      }
    }
  }

  /** The results for a WGSL text, if they are stored. */
  async find(code: string): Promise<KeptKernel | undefined> {
    return this.#kernels.get(await sha256(code));
  }

  /** Stores the results for a WGSL text. */
  async keep(code: string, kernel: KeptKernel): Promise<void> {
    const digest = await sha256(code);
    this.#kernels.set(digest, kernel);
    // If an interrupted run has left half a line, the first line break ends it.
    const line = `\n${JSON.stringify({ digest, ...kernel })}\n`;
    Deno.writeTextFileSync(this.#path, line, { append: true });
  }
}
