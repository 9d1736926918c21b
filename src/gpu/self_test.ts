/**
 * The self-test that every adapter must pass before `openGpu` uses it. The test checks whether the
 * adapter computes correctly. Mesa's lavapipe 22.3, for example, leaves loops early without an
 * error.
 *
 * The test takes a few milliseconds, one dispatch and 2 KB of memory. Any page can use this small
 * module without the rest of gradsink.
 *
 * @example
 * ```ts
 * import { selfTest } from "@gradsink/gradsink/self-test";
 *
 * const adapter = await navigator.gpu?.requestAdapter();
 * if (adapter) {
 *   const device = await adapter.requestDevice();
 *   const { passed, checks } = await selfTest(device);
 *   for (const { name, fault } of checks) console.log(name, fault ?? "right");
 *   console.log(passed ? "this GPU can be trusted" : "this GPU miscomputes");
 *   device.destroy();
 * }
 * ```
 *
 * @module
 */
import { runSelfTest, type SelfTestCheck, selfTestSource } from "./adapter/self_test.ts";

export type { SelfTestCheck } from "./adapter/self_test.ts";

/** The self-test's verdict on a device. */
export interface SelfTestVerdict {
  /** Whether every check passed. */
  readonly passed: boolean;
  /** Each check with its expected and computed numbers. */
  readonly checks: readonly SelfTestCheck[];
}

/**
 * Checks loops, workgroup memory with barriers, and the accuracy of exp, sqrt and division.
 *
 * @param device an open device of any WebGPU implementation; it stays open
 * @returns the verdict; a device that refuses the kernel or is lost fails the check `runs`
 *
 * @example
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import { selfTest } from "@gradsink/gradsink/self-test";
 *
 * using gpu = await openGpu();
 * console.log((await selfTest(gpu.device)).passed); // true: openGpu refuses others
 * ```
 */
export async function selfTest(device: GPUDevice): Promise<SelfTestVerdict> {
  device.pushErrorScope("validation");
  let checks: readonly SelfTestCheck[] = [];
  let fault: string | undefined;
  try {
    checks = await runSelfTest(device, selfTestSource);
  } catch (error) {
    fault = error instanceof Error ? error.message : String(error);
  }
  const invalid = await device.popErrorScope().catch((error: Error) => error);
  fault ??= invalid?.message;
  if (fault !== undefined) {
    checks = [{ name: "runs", passed: false, wanted: [], found: [], fault }];
  }
  return { passed: checks.every(({ passed }) => passed), checks };
}
