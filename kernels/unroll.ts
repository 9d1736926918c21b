/**
 * The one thing that the `.wgsl.ts` kernels do to WGSL: write a line n times. WGSL has no
 * unrolling, and an array indexed in a loop ends in memory, so a register tile must be spelled out
 * as named variables.
 *
 * @param count how often
 * @param line the text for each index
 * @param separator what stands between them; a line break if not given
 * @returns the texts, joined
 */
export function unroll(count: number, line: (index: number) => string, separator = "\n"): string {
  return Array.from({ length: count }, (_, index) => line(index)).join(separator);
}
