/**
 * The options of `openGpu`. This file has no code, so that browser pages can use it: for them the
 * rest of `openGpu` does not compile.
 */
import type { OpenGpuOptions as AdapterOptions } from "../gpu/open_gpu_options.ts";

/** The options of `openGpu`. */
export interface OpenGpuOptions extends AdapterOptions {
  /**
   * Whether to use the choices of `deno task tune` for this adapter. They lie in the user's cache,
   * which `openGpu` reads only if `--allow-read` and `--allow-env` are granted; it never prompts.
   * The environment variable `GRADSINK_TUNING=off` turns the choices off for a whole program.
   * Default: true.
   */
  readonly tuning?: boolean;
}
