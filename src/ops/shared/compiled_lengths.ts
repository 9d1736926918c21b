/** Lengths that kernels divide by, compiled into them where a division is slow. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Specialization } from "../../gpu/specialize.ts";

// With fewer invocations, compiling one more kernel takes longer than that kernel saves in a
// thousand runs.
const LEAST_INVOCATIONS = 2 ** 12;

/**
 * The constants that compile lengths into a kernel. CPUs divide integers lane by lane, which can
 * take as long as the rest of a kernel that copies numbers, but a division by a constant is a
 * multiplication. Every combination of lengths compiles a kernel of its own.
 *
 * @param options how many invocations a call has, and the kernel's constants with their lengths
 * @returns the constants on adapters that compute on the CPU, if the call is large; else none
 */
export function compiledLengths(
  gpu: Gpu,
  { invocations, lengths }: {
    readonly invocations: number;
    readonly lengths: Readonly<Record<string, number>>;
  },
): Specialization {
  return gpu.info.software && invocations >= LEAST_INVOCATIONS ? lengths : {};
}
