/**
 * The registers and memory that a GPU gives to an invocation and a workgroup, by maker and
 * architecture. They decide the default tiles.
 *
 * Source: the registers, spills and occupancy that AMD's, Intel's, NVIDIA's, Apple's and Qualcomm's
 * compilers in Mesa 25 and 26 report for this project's kernels (`deno task compilers`), and the
 * makers' manuals for workgroup memory.
 */
import type { GpuInfo } from "../../gpu/gpu_info.ts";

/** The registers and memory that a kernel's default tile may use. */
export interface GpuBudget {
  /**
   * How many 32-bit numbers an invocation can hold with good occupancy: the compiler keeps them all
   * in registers, and a core still has room for enough subgroups to compute while others wait for
   * memory.
   */
  readonly registers: number;
  /**
   * The most 32-bit numbers that an invocation can hold in registers; further ones spill to memory.
   */
  readonly mostRegisters: number;
  /** The bytes of workgroup memory in a core, which all workgroups on it share. */
  readonly workgroupMemory: number;
}

/** For unknown GPUs: the least values of the known ones. */
export const SAFE_BUDGET: GpuBudget = { registers: 64, mostRegisters: 64, workgroupMemory: 32768 };

/** A rule of the table below. A GPU has the budget of the first rule that matches it. */
interface Rule extends GpuBudget {
  readonly vendor: string;
  /**
   * Must match the GPU's `architecture` or `description`; some runtimes fill only one of them.
   * Default: every GPU of the vendor matches.
   */
  readonly family?: RegExp;
  /** The runtime. Default: any. */
  readonly runtime?: GpuInfo["runtime"];
}

const rules: readonly Rule[] = [
  // Large GPUs since RDNA 3 have 1,536 registers for each of a SIMD unit's 32 lanes. A subgroup of
  // 64 lanes takes two of the 1,536 for each number that its lanes hold. So if four subgroups share
  // a unit, each lane can hold 1,536 / (2 · 4) = 192 numbers.
  {
    vendor: "amd",
    family: /rdna-?[3-9]|navi ?[34]\d|gfx1[12]\d\d|radeon (rx )?[79]\d\d\d|radeon [78]\d\dm/i,
    registers: 192,
    mostRegisters: 256,
    workgroupMemory: 65536,
  },
  // RDNA 1 and 2 have 1,024 registers for each of 32 lanes, so if four subgroups of 64 lanes share
  // them, each lane can hold 128 numbers. Vega and older GPUs have 256 registers for each of 64
  // lanes, so if two subgroups share them, each lane can hold 128 numbers.
  { vendor: "amd", registers: 128, mostRegisters: 256, workgroupMemory: 65536 },
  // A multiprocessor has 65,536 registers: if ten subgroups of 32 lanes share it, each lane can
  // have 192. An invocation can have at most 255.
  { vendor: "nvidia", registers: 192, mostRegisters: 255, workgroupMemory: 65536 },
  // A subgroup has 128 registers. Each holds one number for each of 8 lanes; from Xe2 on, of 16
  // lanes. With Dawn (also in Chrome) a subgroup always has twice as many lanes. A number per lane
  // then takes two registers, so an invocation can hold only 64 numbers.
  { vendor: "intel", runtime: "deno", registers: 128, mostRegisters: 128, workgroupMemory: 65536 },
  { vendor: "intel", registers: 64, mostRegisters: 64, workgroupMemory: 65536 },
  // 255 registers of 16 bits hold 127 numbers of 32 bits. On Linux the adapter's vendor is `mesa`.
  { vendor: "apple", registers: 127, mostRegisters: 127, workgroupMemory: 32768 },
  {
    vendor: "mesa",
    family: /apple|honeykrisp/i,
    registers: 127,
    mostRegisters: 127,
    workgroupMemory: 32768,
  },
  // If four subgroups share a core, an invocation has 48 registers of four numbers each, so it can
  // hold 192 numbers. If six share the core, it has 32 registers and can hold 128 numbers.
  { vendor: "qualcomm", registers: 128, mostRegisters: 192, workgroupMemory: 32768 },
];

/**
 * Finds a GPU's budget by what the runtime reports: Deno reports the maker and the device's name,
 * Dawn and browsers report the maker and the architecture.
 *
 * @param info the opened GPU
 * @returns the budget; for an unknown GPU {@linkcode SAFE_BUDGET}
 */
export function gpuBudget(
  { runtime, vendor, architecture, description }: Pick<
    GpuInfo,
    "runtime" | "vendor" | "architecture" | "description"
  >,
): GpuBudget {
  const family = `${architecture} ${description}`;
  const rule = rules.find((each) =>
    each.vendor === vendor && (each.runtime ?? runtime) === runtime &&
    (each.family?.test(family) ?? true)
  );
  return rule ?? SAFE_BUDGET;
}
