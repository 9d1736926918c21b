/** The same figures of a compiled kernel, whatever its driver calls them. */
import type { PretendedGpu } from "./gpus.ts";

/** One program of a pipeline, as the driver reports it. */
export interface Executable {
  readonly name: string;
  readonly subgroupSize: number;
  readonly statistics: Readonly<Record<string, number>>;
}

/** What a compiler made of a kernel. */
export interface Figures {
  readonly subgroupSize: number;
  /**
   * Registers of an invocation: AMD's vector registers, NVIDIA's registers, Apple's halves of 16
   * bits, Adreno's registers of four numbers; on Intel the most registers of a thread that are live
   * at once, of 128.
   */
  readonly registers: number;
  /** Registers that were written to memory and read back. */
  readonly spills: number;
  /**
   * Subgroups of a SIMD unit (AMD), a multiprocessor (NVIDIA) or a core (Adreno); invocations of a
   * core (Apple).
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
 * @param executable what it reports
 * @param gpu whose driver
 * @throws {Error} if a statistic is missing: another version of the driver calls it otherwise
 */
export function figuresOf(executable: Executable, { family, name }: PretendedGpu): Figures {
  const { subgroupSize } = executable;
  const of = (statisticName: string) => statistic(executable, statisticName);
  switch (family) {
    case "amd": {
      // The driver counts subgroups of 32 lanes on RDNA, whose units hold a subgroup of 64 as two.
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
        occupancy: undefined, // always the same number of threads
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
