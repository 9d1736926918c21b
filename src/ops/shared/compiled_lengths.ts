/** Lengths that kernels divide by, compiled into them where a division is slow. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Specialization } from "../../gpu/specialize.ts";

// With fewer invocations, compiling one more kernel takes longer than that kernel saves in a
// thousand runs.
const LEAST_INVOCATIONS = 2 ** 12;

/**
 * Decides whether a kernel's lengths become constants, which are known when the kernel is compiled.
 * CPUs divide integers lane by lane. In a kernel that copies numbers, this can take as long as all
 * the rest. A division by a constant becomes a multiplication, which is faster. But every
 * combination of lengths then needs a compiled kernel of its own.
 *
 * @param options how many invocations a call has, and the lengths by the names of their constants
 * @returns the lengths, if the adapter computes on the CPU and the call is large; else no constants
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
