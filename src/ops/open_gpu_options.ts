/**
 * What `openGpu` can be asked for; a file without code, for pages in a browser, where the rest of
 * `openGpu` does not compile.
 */
import type { OpenGpuOptions as AdapterOptions } from "../gpu/open_gpu_options.ts";

/** What `openGpu` can be asked for. */
export interface OpenGpuOptions extends AdapterOptions {
  /**
   * Whether to take up what `deno task tune` found out about this adapter. It is read from the
   * user's cache, and only where the permissions to do so (`--allow-read`, `--allow-env`) have been
   * given; it never prompts for them. The environment variable `GRADSINK_TUNING=off` says no for a
   * whole program. Default: true.
   */
  readonly tuning?: boolean;
}
