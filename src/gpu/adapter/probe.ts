/**
 * Tests the adapter that `navigator.gpu` would give, without committing this isolate to it.
 *
 * In Deno an isolate keeps the drivers that its first `requestAdapter` finds. If that call finds no
 * driver, or one that miscomputes, the isolate cannot try again. So a Worker tries first. A Worker
 * from a `data:` URL needs no permission, but cannot import, so it gets `runSelfTest` as text.
 */
import { faultsOf, runSelfTest, type SelfTestCheck, selfTestSource } from "./self_test.ts";

/** What the probe found. */
export interface ProbedAdapter {
  /** The adapter's description, or its vendor if it has none. */
  readonly name: string;
  readonly software: boolean;
  /** True if it looks like Mesa's OpenGL rather than a Vulkan driver. */
  readonly openGl: boolean;
  /** What the self-test found wrong; empty if it passed. */
  readonly faults: readonly string[];
}

interface ProbeRequest {
  readonly options: GPURequestAdapterOptions;
  readonly code: string;
}

// Runs in the Worker, which gets this function as text: it may use only its arguments and globals.
async function probe(
  request: ProbeRequest,
  selfTest: typeof runSelfTest,
): Promise<Omit<ProbedAdapter, "faults"> & { readonly checks: readonly SelfTestCheck[] } | null> {
  const adapter = await navigator.gpu.requestAdapter(request.options);
  if (adapter === null) return null;
  const name = adapter.info.description || `vendor ${adapter.info.vendor}`;
  const software = adapter.info.isFallbackAdapter;
  // Both of Mesa's software renderers are called llvmpipe; only the Vulkan one offers shader-f16.
  const openGl = name.includes("llvmpipe") && !adapter.features.has("shader-f16");
  if (openGl) return { name, software, openGl, checks: [] }; // its pipelines take 20 s to build
  const device = await adapter.requestDevice();
  const checks = await selfTest(device, request.code);
  device.destroy();
  return { name, software, openGl, checks };
}

/**
 * Requests an adapter in a Worker and runs the self-test on it.
 *
 * @param options as for `navigator.gpu.requestAdapter`
 * @returns what the probe found, or null if there is no adapter
 */
export function probeAdapter(options: GPURequestAdapterOptions): Promise<ProbedAdapter | null> {
  const code = `${runSelfTest}\n${probe}\n
    self.onmessage = (event) => probe(event.data, runSelfTest).then(
      (adapter) => self.postMessage({ adapter }),
      (error) => self.postMessage({ error: String(error?.message ?? error) }),
    );`;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(code)}`, { type: "module" });
  const request: ProbeRequest = { options, code: selfTestSource };
  return new Promise<ProbedAdapter | null>((resolve, reject) => {
    worker.onmessage = (event) => {
      const { adapter, error } = event.data as {
        adapter: Awaited<ReturnType<typeof probe>>;
        error?: string;
      };
      if (error === undefined) resolve(adapter && withFaults(adapter));
      else resolve({ name: "the adapter", software: true, openGl: false, faults: [error] });
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`The adapter probe failed: ${event.message}`));
    };
    worker.postMessage(request);
  }).finally(() => worker.terminate());
}

function withFaults(
  { checks, ...adapter }: NonNullable<Awaited<ReturnType<typeof probe>>>,
): ProbedAdapter {
  return { ...adapter, faults: faultsOf(checks) };
}
