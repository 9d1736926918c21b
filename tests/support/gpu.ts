/**
 * The GPUs that the tests run on. Every test file opens each runtime once, when its first test
 * needs it.
 */
import { Gpu, openGpu, type Runtime } from "../../mod.ts";
import { missingFlags, type TestPermission } from "./permitted.ts";
import { describeReport, type Report } from "./report.ts";

const ffi = (await Deno.permissions.query({ name: "ffi" })).state === "granted";

/** `GRADSINK_TEST_RUNTIMES=deno` omits Dawn. */
const variable = "GRADSINK_TEST_RUNTIMES";
const mayAsk = Deno.permissions.querySync({ name: "env", variable }).state === "granted";
const wanted = (mayAsk && Deno.env.get(variable)?.split(",")) || ["deno", "dawn"];

/** Why tests of a runtime are ignored; undefined if they run. */
function leftOut(
  runtime: Runtime,
  permissions: readonly TestPermission[] = [],
): string | undefined {
  if (!wanted.includes(runtime)) return `not in ${variable}`;
  const flags = missingFlags(permissions);
  if (runtime === "dawn" && !ffi) flags.push("--allow-ffi");
  return flags.length === 0 ? undefined : `needs ${flags.join(" ")}`;
}

const opened = new Map<Runtime, Promise<Gpu>>();

// Disposes of the devices. Otherwise Dawn would destroy its device at the end of the process, after
// its driver is unloaded, and crash.
Deno.test.afterAll(async () => {
  for (const opening of await Promise.allSettled(opened.values())) {
    if (opening.status === "fulfilled") opening.value.dispose();
  }
});

/**
 * The test file's `Gpu` of a runtime, opened on the first call and disposed of at the end.
 *
 * @throws {Error} if no adapter can be opened: a test that needs one fails and is not skipped
 */
export function testGpu(runtime: Runtime): Promise<Gpu> {
  // Choices tuned on this machine must not decide which kernels are tested.
  const gpu = opened.get(runtime) ?? openGpu({ runtime, tuning: false });
  opened.set(runtime, gpu);
  return gpu;
}

export interface RuntimeOptions {
  /** The runtimes to register for; both by default. */
  readonly runtimes?: readonly Runtime[];
  /** The permissions that the test needs. */
  readonly permissions?: readonly TestPermission[];
  /** Why the test cannot run on this machine, if it cannot. */
  readonly unless?: string | undefined;
}

/**
 * Registers a test for each runtime, and adds the runtime to its name. The runtimes are Deno's own
 * WebGPU, and Dawn, which is native code and needs `--allow-ffi`. A test that cannot run is
 * ignored, and its name says why.
 */
export function eachRuntime(
  name: string,
  run: (runtime: Runtime) => Promise<void>,
  { runtimes = ["deno", "dawn"], permissions, unless }: RuntimeOptions = {},
): void {
  for (const runtime of runtimes) {
    const reason = unless ?? leftOut(runtime, permissions);
    Deno.test({
      name: `${name} [${runtime}${reason === undefined ? "" : `: ${reason}`}]`,
      ignore: reason !== undefined,
      fn: () => run(runtime),
    });
  }
}

/**
 * Like {@linkcode eachRuntime}, but passes the file's `Gpu` of the runtime to the test, and prints
 * the report that the test returns.
 */
export function onEachRuntime(
  name: string,
  run: (gpu: Gpu) => Promise<Report | void>,
  options?: RuntimeOptions,
): void {
  eachRuntime(name, async (runtime) => {
    const gpu = await testGpu(runtime);
    const report = await run(gpu);
    await gpu.sync();
    if (report !== undefined) console.log(`    ${describeReport(report)}`);
  }, options);
}

/**
 * Like {@linkcode onEachRuntime}, for tests that not every adapter can run. Opens the runtimes
 * immediately, before any test runs, and calls `unfit` with each `Gpu`. If `unfit` returns a reason
 * why the test cannot run there, the test is ignored, with the reason in its name.
 */
export async function onEachFitRuntime(
  name: string,
  run: (gpu: Gpu) => Promise<Report | void>,
  { unfit, runtimes = ["deno", "dawn"] }: {
    readonly unfit: (gpu: Gpu) => string | undefined;
    readonly runtimes?: readonly Runtime[];
  },
): Promise<void> {
  for (const runtime of runtimes) {
    const unless = leftOut(runtime) === undefined ? unfit(await testGpu(runtime)) : undefined;
    onEachRuntime(name, run, { runtimes: [runtime], unless });
  }
}

export interface SiblingOptions {
  /** Pretends that the adapter is, or is not, a CPU. The choice of kernels depends on it. */
  readonly software?: boolean;
  /** Pretends that another vendor made the GPU. The choice of kernels depends on it. */
  readonly vendor?: string;
  /** Smaller limits than the device's, for tests with little data. */
  readonly limits?: Readonly<Record<string, number>>;
}

/**
 * Another `Gpu` on the same device, with separate pipelines and limits. It shares the choice of
 * variants and the rewriting of kernels. Never dispose of it: that would destroy the shared device.
 */
export function siblingGpu(gpu: Gpu, { software, vendor, limits }: SiblingOptions): Gpu {
  const info = {
    ...gpu.info,
    software: software ?? gpu.info.software,
    vendor: vendor ?? gpu.info.vendor,
  };
  const sibling = new Gpu(limits === undefined ? gpu.device : withLimits(gpu.device, limits), info);
  sibling.pipelines.rewrite = (part) => gpu.pipelines.rewrite(part);
  sibling.variants.get = (key) => gpu.variants.get(key);
  return sibling;
}

// Returns a proxy whose methods are bound to the device, because they insist on the native object
// as `this`.
function withLimits(device: GPUDevice, limits: Readonly<Record<string, number>>): GPUDevice {
  const reduced = new Proxy(device.limits, {
    get: (target, name) => limits[String(name)] ?? Reflect.get(target, name, target),
  });
  return new Proxy(device, {
    get(target, name) {
      if (name === "limits") return reduced;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

const portables = new WeakMap<Gpu, Gpu>();

/** A {@linkcode siblingGpu} that runs only the portable kernels, even if others are faster. */
export function portableGpu(gpu: Gpu): Gpu {
  const known = portables.get(gpu);
  if (known !== undefined) return known;
  const sibling = siblingGpu(gpu, {});
  sibling.variants.get = () => "portable";
  portables.set(gpu, sibling);
  return sibling;
}
