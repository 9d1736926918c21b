/** Reading every driver's statistics. */
import { figuresOf } from "../../../bench/compilers/figures.ts";
import { pretendedGpus } from "../../../bench/compilers/gpus.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";

const gpu = (name: string) => pretendedGpus.find((each) => each.name === name)!;
const executable = (subgroupSize: number, statistics: Record<string, number>) => ({
  name: "compute",
  subgroupSize,
  statistics,
});

const amd = {
  "VGPRs": 84,
  "Spilled VGPRs": 1,
  "Spilled SGPRs": 2,
  "Subgroups per SIMD": 9,
  "Instructions": 1000,
  "LDS size": 8704,
};

Deno.test("figuresOf() counts AMD's occupancy in the subgroups that run", () => {
  const read = (name: string, lanes: number) => figuresOf(executable(lanes, amd), gpu(name));
  assertEquals(read("navi31", 64), {
    subgroupSize: 64,
    registers: 84,
    spills: 3,
    occupancy: 4,
    instructions: 1000,
    workgroupMemory: 8704,
  });
  assertEquals(read("navi31", 32).occupancy, 9);
  assertEquals(read("vega10", 64).occupancy, 9);
});

Deno.test("figuresOf() adds up registers that are spilled and read back", () => {
  const others: readonly [string, Record<string, number>][] = [
    ["dg2", {
      "Max live registers": 98,
      "Spills": 3,
      "Fills": 4,
      "Instructions": 9,
      "Workgroup Memory Size": 64,
    }],
    ["ga102", {
      "Number of GPRs": 98,
      "Spills to memory": 3,
      "Fills from memory": 4,
      "Max warps/SM": 20,
      "Instruction count": 9,
    }],
    ["m1", { "GPRs": 98, "Spills": 3, "Fills": 4, "Threads": 512, "Instructions": 9 }],
    ["adreno730", {
      "Registers used": 98,
      "STP Count": 3,
      "LDP Count": 4,
      "Max Waves Per Core": 8,
      "Instruction Count": 9,
    }],
  ];
  for (const [name, statistics] of others) {
    const { registers, spills, instructions } = figuresOf(executable(32, statistics), gpu(name));
    assertEquals([registers, spills, instructions], [98, 7, 9], name);
  }
});

Deno.test("figuresOf() names a statistic that a driver does not report", () => {
  assertThrows(
    () => figuresOf(executable(8, { Spills: 0 }), gpu("dg2")),
    Error,
    'the driver reports no "Max live registers", only Spills',
  );
});
