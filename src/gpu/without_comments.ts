/** WGSL as compilers read it. */

/**
 * WGSL without its line comments and indentation. Lines keep their numbers, so that messages name
 * the right line. WGSL has no strings that could hold slashes.
 *
 * @param code WGSL
 */
export function withoutComments(code: string): string {
  return code.split("\n").map((line) => line.replace(/\/\/.*/, "").trim()).join("\n");
}
