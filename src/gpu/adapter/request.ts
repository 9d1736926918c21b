/**
 * Asking a runtime for an adapter. Runs in browsers too; searching a machine's drivers is for
 * `adapter/search.ts`.
 */
import type { Runtime } from "../gpu_info.ts";

/** A WebGPU implementation ready to give adapters. */
export interface RuntimeEntry {
  readonly runtime: Runtime;
  /** The graphics interface it will use, as far as that is known. */
  readonly backend: string;
  readonly gpu: GPU;
}

/** The adapter that the caller wants. */
export interface AdapterWish {
  readonly runtime: Runtime;
  /** `auto`: hardware, else software; `always`: software only; `never`: hardware only. */
  readonly software: "auto" | "always" | "never";
  readonly powerPreference?: GPUPowerPreference;
  /** A part of the GPU's name, its number, or `embedded`. */
  readonly adapter?: string;
}

/** An adapter and where it came from. */
export interface FoundAdapter {
  readonly adapter: GPUAdapter;
  readonly origin: RuntimeEntry;
}

/** A search under way. */
export interface Search {
  readonly wish: AdapterWish;
  /** The attempts that failed. */
  readonly tried: string[];
}

/**
 * The request to a runtime.
 *
 * @param wish which adapter is wanted
 */
export function requestOptions(wish: AdapterWish): GPURequestAdapterOptions {
  return {
    ...wish.powerPreference === undefined ? {} : { powerPreference: wish.powerPreference },
    ...wish.software === "always" ? { forceFallbackAdapter: true } : {},
  };
}

/**
 * The WebGPU of this program.
 *
 * @param runtime for the message
 * @throws {Error} if there is none
 */
export function webGpu(runtime: Runtime): GPU {
  const gpu = (globalThis.navigator as { gpu?: GPU } | undefined)?.gpu;
  if (gpu === undefined) {
    const place = runtime === "browser" ? "this browser" : "this Deno";
    throw new Error(`openGpu: ${place} has no WebGPU (navigator.gpu)`);
  }
  return gpu;
}

/**
 * Asks a runtime for an adapter.
 *
 * @param origin the runtime
 * @param search what is wanted; what came of it is added to `tried`
 * @returns undefined if there is none, or only one that computes on the CPU where that will not do
 */
export async function requestAdapter(
  origin: RuntimeEntry,
  { wish, tried }: Search,
): Promise<FoundAdapter | undefined> {
  const options = requestOptions(wish);
  let adapter = await origin.gpu.requestAdapter(options);
  if (adapter === null && options.forceFallbackAdapter) {
    // Asked for a fallback first, Dawn looks for its own SwiftShader alone and passes over
    // lavapipe.
    const usual = await origin.gpu.requestAdapter();
    adapter = usual?.info.isFallbackAdapter ? usual : null;
  }
  if (adapter === null) {
    tried.push(`${origin.runtime}: no adapter`);
    return undefined;
  }
  if (adapter.info.isFallbackAdapter && wish.software === "never") {
    tried.push(`${adapter.info.description || adapter.info.vendor}: a software adapter`);
    return undefined;
  }
  return { adapter, origin };
}

/**
 * The error for a machine without a usable adapter.
 *
 * @param tried what was tried, one part each
 * @param advice what to do
 */
export function nothingFound(tried: readonly string[], advice: string): Error {
  return new Error(`openGpu: no usable adapter. Tried: ${tried.join("; ")}. ${advice}`);
}
