/**
 * The options of `openGpu`. This file has no code, so that browser pages can import it. They cannot
 * import the other files of `openGpu`, which do not compile for browsers.
 */
import type { OpenGpuOptions as AdapterOptions } from "../gpu/open_gpu_options.ts";

/** The options of `openGpu`. */
export interface OpenGpuOptions extends AdapterOptions {
  /**
   * Whether to use the variants that `deno task tune` chose for this adapter. The user's cache
   * stores these choices. `openGpu` reads them only if `--allow-read` and `--allow-env` are
   * granted; it never prompts. The environment variable `GRADSINK_TUNING=off` turns the choices off
   * for a whole program. Default: true.
   */
  readonly tuning?: boolean;
}
