/**
 * The registers and memory that GPUs give an invocation, by what Deno, Dawn and browsers report.
 */
import { gpuBudget, SAFE_BUDGET } from "../../../src/ops/shared/budget.ts";
import { assertEquals } from "../../support/assert/assert.ts";

type Told = Parameters<typeof gpuBudget>[0];

// As Mesa's drivers give them: the maker in both, the name of the device in Deno, the architecture
// and the driver in Dawn.
const known: readonly {
  readonly vendor: string;
  readonly deno: string;
  readonly dawn: readonly [architecture: string, description: string];
  /** In Deno and in Dawn. */
  readonly registers: readonly [number, number];
}[] = [
  {
    vendor: "amd",
    deno: "AMD Radeon RX Vega (RADV VEGA10)",
    dawn: ["gcn-5", "radv: Mesa 25.0.7"],
    registers: [128, 128],
  },
  {
    vendor: "amd",
    deno: "AMD Radeon RX 6800 (RADV NAVI21)",
    dawn: ["rdna-2", "radv: Mesa 25.0.7"],
    registers: [128, 128],
  },
  {
    vendor: "amd",
    deno: "AMD Radeon RX 7900 XTX (RADV NAVI31)",
    dawn: ["rdna-3", "radv: Mesa 25.0.7"],
    registers: [192, 192],
  },
  {
    vendor: "intel",
    deno: "Intel(R) Arc(tm) A770M Graphics (DG2)",
    dawn: ["gen-12hp", "Intel open-source Mesa driver: Mesa 26.2.6"],
    registers: [128, 64],
  },
  {
    vendor: "intel",
    deno: "Intel(R) Graphics (BMG G21)",
    dawn: ["xe-2hpg", "Intel open-source Mesa driver: Mesa 26.2.6"],
    registers: [128, 64],
  },
  {
    vendor: "nvidia",
    deno: "NVIDIA GeForce RTX 3090",
    dawn: ["ampere", ""],
    registers: [192, 192],
  },
  {
    vendor: "mesa",
    deno: "Apple M1 (G13G A0)",
    dawn: ["software", "Honeykrisp: Mesa 26.2.6"],
    registers: [127, 127],
  },
  { vendor: "apple", deno: "Apple M1", dawn: ["metal-3", ""], registers: [127, 127] },
  {
    vendor: "qualcomm",
    deno: "Turnip Adreno (TM) 730",
    dawn: ["adreno-7xx", "turnip Mesa driver: Mesa 26.2.6"],
    registers: [128, 128],
  },
];

Deno.test("gpuBudget() knows GPUs by what Deno, Dawn and browsers tell", () => {
  for (const { vendor, deno, dawn: [architecture, description], registers } of known) {
    const told = (runtime: Told["runtime"], changes: Partial<Told>) =>
      gpuBudget({ runtime, vendor, architecture: "", description: "", ...changes }).registers;
    assertEquals(told("deno", { description: deno }), registers[0], deno);
    assertEquals(told("dawn", { architecture, description }), registers[1], architecture);
    if (vendor === "mesa") continue; // browsers describe no device, and Mesa is no maker of GPUs
    assertEquals(told("browser", { architecture }), registers[1], architecture);
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

Deno.test("gpuBudget() takes what is safe for a GPU that is not known", () => {
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
