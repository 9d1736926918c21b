/**
 * Writes `count` lines of WGSL, one for each index from 0 on. WGSL has no unrolling, and an array
 * that a loop indexes does not stay in registers, so a register tile must consist of named
 * variables.
 */
export function unroll(count: number, line: (index: number) => string, separator = "\n"): string {
  return Array.from({ length: count }, (_, index) => line(index)).join(separator);
}
