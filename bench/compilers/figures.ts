/**
 * Reads a compiled kernel's figures from its driver's statistics, whose names differ between
 * drivers.
 */
import type { PretendedGpu } from "./gpus.ts";

/** One program of a pipeline, as the driver reports it. */
export interface Executable {
  readonly name: string;
  readonly subgroupSize: number;
  readonly statistics: Readonly<Record<string, number>>;
}

/** A compiled kernel's figures. */
export interface Figures {
  readonly subgroupSize: number;
  /**
   * Registers per invocation: AMD's vector registers, NVIDIA's registers, Apple's 16-bit half
   * registers, Adreno's registers of four numbers. On Intel: the largest number of registers that a
   * thread uses at once, out of 128, or 256 on bmg.
   */
  readonly registers: number;
  /**
   * On AMD: the number of registers that find no room; vector registers are then kept in memory,
   * scalar registers elsewhere. On other GPUs: the number of instructions that store registers to
   * memory or load them back.
   */
  readonly spills: number;
  /**
   * The largest number of subgroups at once per SIMD unit (AMD), multiprocessor (NVIDIA) or core
   * (Adreno), or of invocations per core (Apple). Undefined on Intel.
   */
  readonly occupancy: number | undefined;
  /** All instructions of the program. */
  readonly instructions: number;
  /** Bytes of workgroup memory, if the driver reports them. */
  readonly workgroupMemory: number | undefined;
}

function statistic({ statistics }: Executable, name: string): number {
  const value = statistics[name];
  if (value === undefined) {
    const known = Object.keys(statistics).join(", ");
    throw new Error(`the driver reports no ${JSON.stringify(name)}, only ${known}`);
  }
  return value;
}

/**
 * Reads a driver's statistics.
 *
 * @throws {Error} if a statistic is missing, because this version of the driver names it
 *   differently
 */
export function figuresOf(executable: Executable, { family, name }: PretendedGpu): Figures {
  const { subgroupSize } = executable;
  const of = (statisticName: string) => statistic(executable, statisticName);
  switch (family) {
    case "amd": {
      // On RDNA the driver counts subgroups of 32 lanes; a subgroup of 64 takes the place of two.
      const widths = name.startsWith("vega") ? 1 : subgroupSize / 32;
      return {
        subgroupSize,
        registers: of("VGPRs"),
        spills: of("Spilled VGPRs") + of("Spilled SGPRs"),
        occupancy: Math.floor(of("Subgroups per SIMD") / widths),
        instructions: of("Instructions"),
        workgroupMemory: of("LDS size"),
      };
    }
    case "intel":
      return {
        subgroupSize,
        registers: of("Max live registers"),
        spills: of("Spills") + of("Fills"),
        occupancy: undefined, // the number of threads is constant
        instructions: of("Instructions"),
        workgroupMemory: of("Workgroup Memory Size"),
      };
    case "nvidia":
      return {
        subgroupSize,
        registers: of("Number of GPRs"),
        spills: of("Spills to memory") + of("Fills from memory"),
        occupancy: of("Max warps/SM"),
        instructions: of("Instruction count"),
        workgroupMemory: undefined,
      };
    case "apple":
      return {
        subgroupSize,
        registers: of("GPRs"),
        spills: of("Spills") + of("Fills"),
        occupancy: of("Threads"),
        instructions: of("Instructions"),
        workgroupMemory: undefined,
      };
    case "qualcomm":
      return {
        subgroupSize,
        registers: of("Registers used"),
        spills: of("STP Count") + of("LDP Count"),
        occupancy: of("Max Waves Per Core"),
        instructions: of("Instruction Count"),
        workgroupMemory: undefined,
      };
  }
}
