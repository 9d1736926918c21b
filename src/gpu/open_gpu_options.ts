import type { Runtime } from "./gpu_info.ts";

/** What `openGpu` can be asked for. */
export interface OpenGpuOptions {
  /**
   * The WebGPU implementation: `deno` (wgpu, built in), `dawn` (npm:webgpu, needs `--allow-ffi`) or
   * `browser`. Default: the one that this program runs in.
   */
  readonly runtime?: Runtime;
  /**
   * Whether to use an adapter that computes on the CPU: `auto`, if there is no hardware; `always`,
   * even if there is; `never`. Default: `auto`.
   */
  readonly software?: "auto" | "always" | "never";
  /** Which GPU of a machine that has several. Default: the system's choice. */
  readonly powerPreference?: "low-power" | "high-performance";
}

const runtimes: readonly Runtime[] = ["deno", "dawn", "browser"];
const softwareChoices = ["auto", "always", "never"] as const;
const powerPreferences = ["low-power", "high-performance"] as const;

/**
 * Throws if an option has an unknown value.
 *
 * @param options whatever a caller gave
 * @throws {RangeError} that says what is wanted
 */
export function checkOpenGpuOptions(options: OpenGpuOptions): void {
  checkChoice("runtime", options.runtime, runtimes);
  checkChoice("software", options.software, softwareChoices);
  checkChoice("powerPreference", options.powerPreference, powerPreferences);
}

function checkChoice(name: string, given: unknown, choices: readonly string[]): void {
  if (given !== undefined && !choices.includes(given as string)) {
    const wanted = choices.map((choice) => `"${choice}"`).join(", ");
    throw new RangeError(`openGpu: ${name} is ${JSON.stringify(given)}, wanted one of ${wanted}`);
  }
}
