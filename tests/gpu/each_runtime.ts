import type { Runtime } from "../../mod.ts";

const ffi = (await Deno.permissions.query({ name: "ffi" })).state === "granted";

/**
 * Registers a test for each runtime that Deno has: its own WebGPU, and Dawn, which is native code and is
 * ignored, by a name that says so, where `--allow-ffi` is missing.
 */
export function eachRuntime(name: string, run: (runtime: Runtime) => Promise<void>): void {
  Deno.test(`${name} [deno]`, () => run("deno"));
  Deno.test({
    name: ffi ? `${name} [dawn]` : `${name} [dawn: needs --allow-ffi]`,
    ignore: !ffi,
    fn: () => run("dawn"),
  });
}
