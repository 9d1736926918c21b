/**
 * Asks a runtime for an adapter. Runs in browsers too; `search.ts` searches a machine's drivers.
 */
import type { Runtime } from "../gpu_info.ts";

/** A WebGPU implementation that can give adapters. */
export interface RuntimeEntry {
  readonly runtime: Runtime;
  /** The graphics interface that it will use, such as `vulkan`, or `unknown`. */
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

/** An adapter with its runtime. */
export interface FoundAdapter {
  readonly adapter: GPUAdapter;
  readonly origin: RuntimeEntry;
}

/** A search in progress. */
export interface Search {
  readonly wish: AdapterWish;
  /** The attempts that failed. */
  readonly tried: string[];
}

/** The options with which to call WebGPU's `requestAdapter`. */
export function requestOptions(wish: AdapterWish): GPURequestAdapterOptions {
  return {
    ...wish.powerPreference === undefined ? {} : { powerPreference: wish.powerPreference },
    ...wish.software === "always" ? { forceFallbackAdapter: true } : {},
  };
}

/**
 * Returns this program's WebGPU, `navigator.gpu`.
 *
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
 * @param search the wanted adapter, and the list `tried`, to which a failure is added
 * @returns undefined if there is no adapter, or if the adapter computes on the CPU and the wish
 *   excludes that
 */
export async function requestAdapter(
  origin: RuntimeEntry,
  { wish, tried }: Search,
): Promise<FoundAdapter | undefined> {
  const options = requestOptions(wish);
  let adapter = await origin.gpu.requestAdapter(options);
  if (adapter === null && options.forceFallbackAdapter) {
    // With `forceFallbackAdapter`, Dawn looks only for its own SwiftShader. Without that option it
    // may find lavapipe.
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

export function nothingFound(tried: readonly string[], advice: string): Error {
  return new Error(`openGpu: no usable adapter. Tried: ${tried.join("; ")}. ${advice}`);
}
