/** What GPUs are known to give an invocation, by what Deno, Dawn and browsers tell of them. */
import { gpuBudget, SAFE_BUDGET } from "../../../src/ops/shared/budget.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

type Told = Parameters<typeof gpuBudget>[0];

// Deno leaves the architecture empty and gives the driver's name of the device; Dawn gives both.
const known: readonly (readonly [vendor: string, architecture: string, description: string])[] = [
  ["amd", "gcn-5", "AMD Radeon RX Vega (RADV VEGA10)"],
  ["amd", "rdna-2", "AMD Radeon RX 6900 XT (RADV NAVI21)"],
  ["amd", "rdna-3", "AMD Radeon RX 7900 XTX (RADV NAVI31)"],
  ["intel", "xe-hpg", "Intel(R) Arc(tm) A770 Graphics (DG2)"],
  ["intel", "xe-2hpg", "Intel(R) Arc(tm) B580 Graphics (BMG G21)"],
  ["nvidia", "ampere", "NVIDIA GeForce RTX 3090"],
  ["apple", "metal-3", "Apple M1"],
  ["qualcomm", "adreno-7xx", "Adreno (TM) 730"],
];

function registers(told: Told): number {
  return gpuBudget(told).registers;
}

Deno.test("gpuBudget() knows GPUs by what Deno tells", () => {
  assertEquals(
    known.map(([vendor, , description]) =>
      registers({ runtime: "deno", vendor, architecture: "", description })
    ),
    [128, 128, 192, 128, 128, 192, 127, 128],
  );
});

Deno.test("gpuBudget() knows GPUs by what Dawn and browsers tell", () => {
  for (const runtime of ["dawn", "browser"] as const) {
    assertEquals(
      known.map(([vendor, architecture]) =>
        registers({ runtime, vendor, architecture, description: "" })
      ),
      [128, 128, 192, 64, 64, 192, 127, 128],
      runtime,
    );
  }
});

Deno.test("gpuBudget() tells AMD's generations apart by the names of their products", () => {
  const of = (description: string) =>
    registers({ runtime: "deno", vendor: "amd", architecture: "", description });
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

Deno.test("no budget is smaller than the safe one", () => {
  for (const runtime of ["deno", "dawn", "browser"] as const) {
    for (const [vendor, architecture, description] of known) {
      const budget = gpuBudget({ runtime, vendor, architecture, description });
      assert(budget.registers >= SAFE_BUDGET.registers, description);
      assert(budget.workgroupMemory >= SAFE_BUDGET.workgroupMemory, description);
    }
  }
});
