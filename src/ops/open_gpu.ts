/** `openGpu`, which also applies the adapter's tuned choices. */
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
 * Without a hardware GPU it uses an installed software Vulkan driver. Without either, on x64 Linux,
 * it fetches SwiftShader once, which needs the permissions of the project's tasks. The option
 * `adapter`, or the environment variable `GRADSINK_ADAPTER`, names one GPU of several.
 *
 * If an operator has several variants, calls run the default for this kind of adapter, or the
 * variant that `deno task tune` measured as the fastest on this adapter; `gpu.variants` holds these
 * tuned choices. Variants add in different orders, so their results can differ in the last bits.
 *
 * @param options the runtime and adapter, and whether to use tuned choices; see `OpenGpuOptions`
 * @returns the opened GPU; dispose of it when done
 * @throws {RangeError} if an option has an unknown value, `adapter` and `powerPreference` are both
 *   given, or `adapter` does not determine one GPU; then the message lists the GPUs
 * @throws {TypeError} if `tuning` is not a boolean
 * @throws {Error} if the runtime cannot be loaded or has no usable adapter; the message says why
 * @throws {GpuError} if the adapter fails the self-test
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu({ software: "auto", tuning: false });
 * console.log(gpu.info, gpu.variants.size); // 0 tuned choices: the defaults run
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
