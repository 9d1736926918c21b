/** `openGpu` with the choices that tuning made for the adapter. */
import { openGpu as openAdapter } from "../gpu/open_gpu.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { applyTuning } from "./tuning/choices.ts";
import type { OpenGpuOptions } from "./open_gpu_options.ts";
import { tunableOperators } from "./tuning/operators.ts";
import { isTuningOff, readTuning } from "./tuning/file.ts";

export type { OpenGpuOptions } from "./open_gpu_options.ts";

/**
 * Finds a GPU, checks that it computes right, and opens it.
 *
 * Without a hardware GPU it takes an installed software Vulkan driver, and without one, on x64
 * Linux, fetches SwiftShader once (which needs the permissions that the project's tasks carry).
 * The option `adapter`, or the environment variable `GRADSINK_ADAPTER`, names one GPU of several.
 *
 * Where an operator has several variants, calls run what suits this kind of adapter, or what
 * `deno task tune` measured to be the fastest on this very one; `gpu.variants` holds these choices.
 * Variants differ in the order of their sums, and so in the last bits of their results.
 *
 * @param options which runtime and adapter, and whether tuned choices count; see `OpenGpuOptions`
 * @returns the opened GPU; dispose of it when done
 * @throws {RangeError} if an option has an unknown value; or if no GPU, or more than one, has the
 *   name that is given, with the list of those that there are
 * @throws {TypeError} if `tuning` is not a boolean
 * @throws {Error} if there is no usable adapter, saying what was tried and what to install
 * @throws {GpuError} if the adapter fails the self-test
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu({ software: "auto", tuning: false });
 * console.log(gpu.info, gpu.variants.size); // 0: the choices of this kind of adapter
 * ```
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  const { tuning = true, ...adapter } = options;
  if (typeof tuning !== "boolean") {
    throw new TypeError(`openGpu: tuning is ${JSON.stringify(tuning)}, wanted true or false`);
  }
  const gpu = await openAdapter(adapter);
  if (tuning && !isTuningOff()) {
    const own = [...tunableOperators.values()].flatMap(({ digest }) => digest ?? []);
    for (const source of [undefined, ...new Set(own)]) {
      await applyTuning(gpu, await readTuning(gpu.info, source));
    }
  }
  return gpu;
}
