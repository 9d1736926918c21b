/**
 * Checks how many registers per invocation gradsink assumes for a GPU, given the description of the
 * GPU by Deno, Dawn or a browser.
 */
import { gpuBudget, SAFE_BUDGET } from "../../../src/ops/shared/budget.ts";
import { assertEquals } from "../../support/assert/assert.ts";

type Told = Parameters<typeof gpuBudget>[0];

const mesa = "Intel open-source Mesa driver: Mesa 26.2.6";
// What each runtime tells about a GPU, and the registers that gradsink then assumes. Deno and Dawn
// both give the maker. Deno adds the device's name, Dawn the architecture and, with Mesa, the
// driver.
const known: readonly (readonly [
  vendor: string,
  deno: string,
  architecture: string,
  driver: string,
  registersInDeno: number,
  registersInDawn: number,
])[] = [
  ["amd", "AMD Radeon RX Vega (RADV VEGA10)", "gcn-5", "radv: Mesa 25.0.7", 128, 128],
  ["amd", "AMD Radeon RX 6800 (RADV NAVI21)", "rdna-2", "radv: Mesa 25.0.7", 128, 128],
  ["amd", "AMD Radeon RX 7900 XTX (RADV NAVI31)", "rdna-3", "radv: Mesa 25.0.7", 192, 192],
  ["intel", "Intel(R) Arc(tm) A770M Graphics (DG2)", "gen-12hp", mesa, 128, 64],
  ["intel", "Intel(R) Graphics (BMG G21)", "xe-2hpg", mesa, 128, 64],
  ["nvidia", "NVIDIA GeForce RTX 3090", "ampere", "", 192, 192],
  ["mesa", "Apple M1 (G13G A0)", "software", "Honeykrisp: Mesa 26.2.6", 127, 127],
  ["apple", "Apple M1", "metal-3", "", 127, 127],
  ["qualcomm", "Turnip Adreno (TM) 730", "adreno-7xx", "turnip Mesa driver: Mesa 26.2.6", 128, 128],
];

Deno.test("gpuBudget() recognizes GPUs by the descriptions of Deno, Dawn and browsers", () => {
  for (const [vendor, deno, architecture, driver, inDeno, inDawn] of known) {
    const told = (runtime: Told["runtime"], changes: Partial<Told>) =>
      gpuBudget({ runtime, vendor, architecture: "", description: "", ...changes }).registers;
    assertEquals(told("deno", { description: deno }), inDeno, deno);
    assertEquals(told("dawn", { architecture, description: driver }), inDawn, architecture);
    if (vendor === "mesa") continue; // only the description, empty in browsers, names the GPU
    assertEquals(told("browser", { architecture }), inDawn, architecture);
  }
});

Deno.test("gpuBudget() tells AMD's generations apart by the names of their products", () => {
  const of = (description: string) =>
    gpuBudget({ runtime: "deno", vendor: "amd", architecture: "", description }).registers;
  for (const name of ["AMD Radeon RX 9070 XT", "AMD Radeon 780M Graphics", "Radeon RX 7600"]) {
    assertEquals(of(name), 192, name);
  }
  for (
    const name of [
      "AMD Radeon RX 6700 XT",
      "AMD Radeon 680M",
      "AMD Radeon(TM) Graphics (RADV RAVEN)",
      "AMD Radeon RX 580 Series",
      "AMD Radeon VII",
      "",
    ]
  ) assertEquals(of(name), 128, name);
});

Deno.test("gpuBudget() is SAFE_BUDGET for an unknown GPU", () => {
  for (const vendor of ["", "arm", "imagination", "microsoft", "12345"]) {
    const told = { runtime: "browser", vendor, architecture: "rdna-3", description: "" } as const;
    assertEquals(gpuBudget(told), SAFE_BUDGET, vendor);
  }
});

Deno.test("gpuBudget() does not take Mesa's CPU driver for a GPU", () => {
  const description = "llvmpipe (LLVM 15.0.6, 256 bits)";
  const told = { runtime: "deno", vendor: "mesa", architecture: "", description } as const;
  assertEquals(gpuBudget(told), SAFE_BUDGET);
});
