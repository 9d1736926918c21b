/**
 * Writes a line of WGSL n times, which is all that the `.wgsl.ts` kernels need. WGSL has no
 * unrolling, and an array that a loop indexes ends in memory, so a register tile must consist of
 * named variables.
 *
 * @param count the number of texts
 * @param line the text for each index
 * @param separator the text between them; by default a line break
 * @returns the texts, joined
 */
export function unroll(count: number, line: (index: number) => string, separator = "\n"): string {
  return Array.from({ length: count }, (_, index) => line(index)).join(separator);
}
