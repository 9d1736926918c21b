import type { Runtime } from "./gpu_info.ts";

/** The options of `openGpu`. */
export interface OpenGpuOptions {
  /**
   * The WebGPU implementation: `deno` (wgpu, built in), `dawn` (npm:webgpu, needs `--allow-ffi`) or
   * `browser`. Default: the one that this program runs in.
   */
  readonly runtime?: Runtime;
  /**
   * Whether to use an adapter that computes on the CPU. `auto`: if there is no hardware GPU;
   * `always`: even if there is one; `never`. Default: `auto`.
   */
  readonly software?: "auto" | "always" | "never";
  /** Which kind of GPU to prefer on a machine with several. Default: the system's choice. */
  readonly powerPreference?: "low-power" | "high-performance";
  /**
   * Which GPU: a part of its name, in any case; its number in the list of `deno task adapters`; or
   * `embedded` for the SwiftShader that gradsink fetches. If there is no such GPU, `openGpu` throws
   * instead of opening another one. Not allowed in a browser, which chooses the GPU itself.
   * Default: the environment variable `GRADSINK_ADAPTER`, else the machine's GPU.
   */
  readonly adapter?: string;
}

const runtimes: readonly Runtime[] = ["deno", "dawn", "browser"];
const softwareChoices = ["auto", "always", "never"] as const;
const powerPreferences = ["low-power", "high-performance"] as const;

/**
 * Throws if an option has an unknown value, or if two options choose the GPU.
 *
 * @param options the caller's options
 * @throws {RangeError} that says what the option accepts
 */
export function checkOpenGpuOptions(options: OpenGpuOptions): void {
  checkChoice("runtime", options.runtime, runtimes);
  checkChoice("software", options.software, softwareChoices);
  checkChoice("powerPreference", options.powerPreference, powerPreferences);
  const { adapter } = options;
  if (adapter === undefined) return;
  const given = `openGpu: adapter is ${JSON.stringify(adapter)}`;
  if (typeof adapter !== "string" || adapter.trim() === "") {
    throw new RangeError(`${given}, wanted a part of a GPU's name, or its number, as a text`);
  }
  if (options.powerPreference !== undefined) {
    throw new RangeError(
      `${given}, and powerPreference is "${options.powerPreference}": wanted one of the two`,
    );
  }
}

function checkChoice(name: string, given: unknown, choices: readonly string[]): void {
  if (given !== undefined && !choices.includes(given as string)) {
    const wanted = choices.map((choice) => `"${choice}"`).join(", ");
    throw new RangeError(`openGpu: ${name} is ${JSON.stringify(given)}, wanted one of ${wanted}`);
  }
}
