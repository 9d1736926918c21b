/**
 * Removes line comments and indentation from WGSL. Lines keep their numbers, so messages name the
 * right line. WGSL has no strings that could hold slashes.
 */
export function withoutComments(code: string): string {
  return code.split("\n").map((line) => line.replace(/\/\/.*/, "").trim()).join("\n");
}
