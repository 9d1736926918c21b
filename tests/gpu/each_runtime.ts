import type { Runtime } from "../../mod.ts";

const ffi = (await Deno.permissions.query({ name: "ffi" })).state === "granted";

/**
 * Registers a test for each runtime that Deno has: its own WebGPU, and Dawn, which is native code
 * and is ignored where `--allow-ffi` is missing.
 *
 * @param name the test's name; the runtime is added
 * @param run the test
 * @param unless why the test cannot run on this machine, if it cannot; it is then ignored, by a
 *   name that says so
 */
export function eachRuntime(
  name: string,
  run: (runtime: Runtime) => Promise<void>,
  unless?: string,
): void {
  for (const runtime of ["deno", "dawn"] as const) {
    const reason = unless ?? (runtime === "dawn" && !ffi ? "needs --allow-ffi" : undefined);
    Deno.test({
      name: `${name} [${runtime}${reason === undefined ? "" : `: ${reason}`}]`,
      ignore: reason !== undefined,
      fn: () => run(runtime),
    });
  }
}
